"""sessions of the console, and the failures of a batch

Revision: 0013, after: 0012
"""
import sqlalchemy as sa
from alembic import op
revision = '0013'
down_revision = '0012'


def upgrade() -> None:
    """Forward."""
    op.create_table('console_sessions',
    sa.Column('hash', sa.LargeBinary(), nullable=False),
    sa.Column('key_id', sa.Uuid(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['key_id'], ['api_keys.id'], name=op.f('fk_console_sessions_key_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('hash', name=op.f('pk_console_sessions'))
    )
    op.create_index('ix_console_sessions_key_id', 'console_sessions', ['key_id'], unique=False)
    op.create_index('ix_console_sessions_expires_at', 'console_sessions', ['expires_at'], unique=False)
    op.create_index('ix_jobs_batch_failed', 'jobs', ['batch_id', 'seq'], unique=False, postgresql_include=['error_code'], postgresql_where=sa.text('error_code IS NOT NULL'))


def downgrade() -> None:
    """Back."""
    op.drop_index('ix_jobs_batch_failed', table_name='jobs', postgresql_include=['error_code'], postgresql_where=sa.text('error_code IS NOT NULL'))
    op.drop_table('console_sessions')
