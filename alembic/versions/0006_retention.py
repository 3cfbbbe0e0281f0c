"""retention of projects, blobs that are to go, purges of projects

Revision: 0006, after: 0005
"""
import sqlalchemy as sa
from alembic import op
revision = '0006'
down_revision = '0005'


def upgrade() -> None:
    """Forward."""
    # In the order in which the running program locks them; rising one by one, they would meet it head-on.
    op.execute("LOCK TABLE projects, directories, files, batches, jobs IN ACCESS EXCLUSIVE MODE")
    op.create_table('retention',
    sa.Column('project_id', sa.Uuid(), nullable=False),
    sa.Column('results_days', sa.Integer(), nullable=True),
    sa.Column('jobs_days', sa.Integer(), nullable=True),
    sa.Column('batches_days', sa.Integer(), nullable=True),
    sa.Column('files_days', sa.Integer(), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('results_days BETWEEN 1 AND 10000', name=op.f('ck_retention_results')),
    sa.CheckConstraint('jobs_days BETWEEN 1 AND 10000', name=op.f('ck_retention_jobs')),
    sa.CheckConstraint('batches_days BETWEEN 1 AND 10000', name=op.f('ck_retention_batches')),
    sa.CheckConstraint('files_days BETWEEN 1 AND 10000', name=op.f('ck_retention_files')),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_retention_project_id')),
    sa.PrimaryKeyConstraint('project_id', name=op.f('pk_retention'))
    )
    op.create_table('doomed_blobs',
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('project_id', sa.Uuid(), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_doomed_blobs'))
    )
    op.create_index('ix_doomed_blobs_due', 'doomed_blobs', ['due_at'], unique=False)
    op.create_table('purges',
    sa.Column('project_id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), server_default='ROWS', nullable=False),
    sa.Column('rows_gone', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('blobs_gone', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('bytes_gone', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('ROWS','BLOBS','DONE')", name=op.f('ck_purges_state')),
    sa.PrimaryKeyConstraint('project_id', name=op.f('pk_purges'))
    )
    op.create_table('chores',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_chores'))
    )
    op.add_column('projects', sa.Column('purge_asked_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('directories', sa.Column('emptied_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('batches', sa.Column('purged_seq', sa.Integer(), server_default='0', nullable=False))
    op.add_column('batches', sa.Column('purged_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('batches', sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('jobs', sa.Column('purged_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index('ix_directories_expiring', 'directories', ['expires_at'], unique=False, postgresql_where=sa.text('expires_at IS NOT NULL AND deleted_at IS NULL'))
    op.create_index('ix_directories_leaving', 'directories', ['deleted_at'], unique=False, postgresql_where=sa.text('deleted_at IS NOT NULL AND emptied_at IS NULL'))
    op.create_index('ix_files_hidden', 'files', ['id'], unique=False, postgresql_where=sa.text('deleted_at IS NOT NULL'))
    op.create_index('ix_batches_finished', 'batches', ['project_id', 'finished_at'], unique=False)
    op.create_index('ix_batches_deleted', 'batches', ['id'], unique=False, postgresql_where=sa.text('deleted_at IS NOT NULL'))
    op.create_index('ix_jobs_alone', 'jobs', ['project_id', 'id'], unique=False, postgresql_where=sa.text('batch_id IS NULL'))
    op.create_index('ix_jobs_alone_kept', 'jobs', ['project_id', 'id'], unique=False, postgresql_where=sa.text('batch_id IS NULL AND purged_at IS NULL'))
    op.create_index('ix_jobs_parse_job', 'jobs', ['parse_job_id'], unique=False, postgresql_where=sa.text('parse_job_id IS NOT NULL'))


def downgrade() -> None:
    """Back."""
    op.execute("LOCK TABLE projects, directories, files, batches, jobs IN ACCESS EXCLUSIVE MODE")
    op.drop_index('ix_jobs_parse_job', table_name='jobs', postgresql_where=sa.text('parse_job_id IS NOT NULL'))
    op.drop_index('ix_jobs_alone_kept', table_name='jobs', postgresql_where=sa.text('batch_id IS NULL AND purged_at IS NULL'))
    op.drop_index('ix_jobs_alone', table_name='jobs', postgresql_where=sa.text('batch_id IS NULL'))
    op.drop_index('ix_batches_deleted', table_name='batches', postgresql_where=sa.text('deleted_at IS NOT NULL'))
    op.drop_index('ix_batches_finished', table_name='batches')
    op.drop_index('ix_files_hidden', table_name='files', postgresql_where=sa.text('deleted_at IS NOT NULL'))
    op.drop_index('ix_directories_leaving', table_name='directories', postgresql_where=sa.text('deleted_at IS NOT NULL AND emptied_at IS NULL'))
    op.drop_index('ix_directories_expiring', table_name='directories', postgresql_where=sa.text('expires_at IS NOT NULL AND deleted_at IS NULL'))
    op.drop_column('jobs', 'purged_at')
    op.drop_column('batches', 'deleted_at')
    op.drop_column('batches', 'purged_at')
    op.drop_column('batches', 'purged_seq')
    op.drop_column('directories', 'emptied_at')
    op.drop_column('projects', 'purge_asked_at')
    op.drop_table('chores')
    op.drop_table('purges')
    op.drop_index('ix_doomed_blobs_due', table_name='doomed_blobs')
    op.drop_table('doomed_blobs')
    op.drop_table('retention')
