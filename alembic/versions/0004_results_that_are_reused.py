"""results that are found again, jobs that share them, the engines of workers

Revision: 0004, after: 0003
"""
import sqlalchemy as sa
from alembic import op
revision = '0004'
down_revision = '0003'


def upgrade() -> None:
    """Forward."""
    # In the order in which the running program locks them; rising one by one, they would meet it head-on.
    op.execute("LOCK TABLE batches, jobs, workers IN ACCESS EXCLUSIVE MODE")
    op.create_table('reusable_results',
    sa.Column('project_id', sa.Uuid(), nullable=False),
    sa.Column('sha256', sa.LargeBinary(), nullable=False),
    sa.Column('recipe', sa.LargeBinary(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.PrimaryKeyConstraint('project_id', 'sha256', 'recipe', 'kind', name=op.f('pk_reusable_results'))
    )
    op.add_column('batches', sa.Column('reused', sa.Integer(), server_default='0', nullable=False))
    op.create_check_constraint(op.f('ck_batches_reused'), 'batches', 'reused <= ok')
    op.add_column('jobs', sa.Column('reused_from', sa.Uuid(), nullable=True))
    # Reads the table once and finds nothing to put into it.
    op.create_index('ix_jobs_reused', 'jobs', ['reused_from'], unique=False, postgresql_where=sa.text('reused_from IS NOT NULL'))
    op.add_column('workers', sa.Column('engine', sa.Text(), nullable=True))


def downgrade() -> None:
    """Back."""
    op.execute("LOCK TABLE batches, jobs, workers IN ACCESS EXCLUSIVE MODE")
    op.drop_column('workers', 'engine')
    op.drop_index('ix_jobs_reused', table_name='jobs', postgresql_where=sa.text('reused_from IS NOT NULL'))
    op.drop_column('jobs', 'reused_from')
    op.drop_constraint(op.f('ck_batches_reused'), 'batches')
    op.drop_column('batches', 'reused')
    op.drop_table('reusable_results')
