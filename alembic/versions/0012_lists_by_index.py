"""indexes for the filters of lists

Revision: 0012, after: 0011
"""
import sqlalchemy as sa
from alembic import op
revision = '0012'
down_revision = '0011'


def upgrade() -> None:
    """Forward."""
    # In the order in which the running program locks them; an index is built while others may read.
    op.execute("LOCK TABLE directories, files, batches, jobs IN SHARE MODE")
    op.create_index('ix_directories_name', 'directories', ['project_id', 'name', 'id'], unique=False)
    op.create_index('ix_files_name', 'files', ['project_id', 'name', 'id'], unique=False)
    op.create_index('ix_files_external', 'files', ['project_id', 'external_file_id', 'id'], unique=False, postgresql_where=sa.text('external_file_id IS NOT NULL'))
    op.create_index('ix_batches_ended', 'batches', ['project_id', 'status', 'id'], unique=False, postgresql_where=sa.text('wake_at IS NULL'))
    op.create_index('ix_jobs_failed', 'jobs', ['project_id', 'job_type', 'id'], unique=False, postgresql_where=sa.text('error_code IS NOT NULL'))


def downgrade() -> None:
    """Back."""
    op.execute("LOCK TABLE directories, files, batches, jobs IN ACCESS EXCLUSIVE MODE")
    op.drop_index('ix_jobs_failed', table_name='jobs', postgresql_where=sa.text('error_code IS NOT NULL'))
    op.drop_index('ix_batches_ended', table_name='batches', postgresql_where=sa.text('wake_at IS NULL'))
    op.drop_index('ix_files_external', table_name='files', postgresql_where=sa.text('external_file_id IS NOT NULL'))
    op.drop_index('ix_files_name', table_name='files')
    op.drop_index('ix_directories_name', table_name='directories')
