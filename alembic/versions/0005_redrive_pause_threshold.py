"""batches that redrive others, pauses, and thresholds of failure

Revision: 0005, after: 0004
"""
import sqlalchemy as sa
from alembic import op
revision = '0005'
down_revision = '0004'


def upgrade() -> None:
    """Forward."""
    # In the order in which the running program locks them. New columns are empty or constant: no row is rewritten.
    op.execute("LOCK TABLE batches, chunks IN ACCESS EXCLUSIVE MODE")
    op.add_column('batches', sa.Column('redrive_kind', sa.Text(), nullable=True))
    op.add_column('batches', sa.Column('paused_by', sa.Text(), nullable=True))
    op.add_column('batches', sa.Column('fail_percent', sa.Double(), nullable=True))
    op.add_column('batches', sa.Column('fail_after', sa.Integer(), nullable=True))
    op.create_check_constraint(op.f('ck_batches_redrive'), 'batches', "redrive_of IS NULL OR redrive_kind IS NOT NULL")
    op.create_check_constraint(op.f('ck_batches_redrive_kind'), 'batches', "redrive_kind IN ('FAILED', 'CHANGED')")
    op.create_check_constraint(op.f('ck_batches_threshold'), 'batches', "(fail_percent IS NULL) = (fail_after IS NULL)")
    op.create_index('ix_batches_redrives', 'batches', ['redrive_of', 'id'], unique=False, postgresql_where=sa.text("redrive_of IS NOT NULL"))
    op.add_column('chunks', sa.Column('paused', sa.Boolean(), server_default='false', nullable=False))


def downgrade() -> None:
    """Back."""
    op.execute("LOCK TABLE batches, chunks IN ACCESS EXCLUSIVE MODE")
    # The version before knows no pause: what waits for a resume asks for a grant again.
    op.drop_column('chunks', 'paused')
    op.drop_index('ix_batches_redrives', table_name='batches', postgresql_where=sa.text("redrive_of IS NOT NULL"))
    op.drop_constraint(op.f('ck_batches_threshold'), 'batches')
    op.drop_constraint(op.f('ck_batches_redrive_kind'), 'batches')
    op.drop_constraint(op.f('ck_batches_redrive'), 'batches')
    op.drop_column('batches', 'fail_after')
    op.drop_column('batches', 'fail_percent')
    op.drop_column('batches', 'paused_by')
    op.drop_column('batches', 'redrive_kind')
    op.execute("UPDATE batches SET paused_at = NULL, wake_at = now() WHERE paused_at IS NOT NULL AND wake_at IS NOT NULL")
    # It would list the whole directory instead of what was asked for.
    op.execute("UPDATE batches SET stop_as = 'CANCELLED', stop_at = now(), wake_at = now() WHERE redrive_of IS NOT NULL AND NOT spread_done AND wake_at IS NOT NULL AND stop_at IS NULL")
