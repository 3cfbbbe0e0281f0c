"""the virtual time with which a batch enters its lane

Revision: 0014, after: 0013
"""
import sqlalchemy as sa
from alembic import op
revision = '0014'
down_revision = '0013'


def upgrade() -> None:
    """Forward."""
    op.add_column('lanes', sa.Column('entry_vtime', sa.Double(), server_default='0', nullable=False))


def downgrade() -> None:
    """Back."""
    op.drop_column('lanes', 'entry_vtime')
