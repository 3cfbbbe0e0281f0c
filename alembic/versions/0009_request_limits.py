"""limits of requests of a key

Revision: 0009, after: 0008
"""
import sqlalchemy as sa
from alembic import op
revision = '0009'
down_revision = '0008'


def upgrade() -> None:
    """Forward."""
    op.add_column('api_keys', sa.Column('requests_per_minute', sa.Integer(), nullable=True))
    op.add_column('api_keys', sa.Column('request_burst', sa.Integer(), nullable=True))
    op.create_check_constraint(op.f('ck_api_keys_requests'), 'api_keys', 'requests_per_minute BETWEEN 0 AND 1000000')
    op.create_check_constraint(op.f('ck_api_keys_burst'), 'api_keys', 'request_burst BETWEEN 1 AND 1000000')


def downgrade() -> None:
    """Back."""
    op.drop_column('api_keys', 'request_burst')
    op.drop_column('api_keys', 'requests_per_minute')
