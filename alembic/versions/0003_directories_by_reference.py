"""directories by reference: where they are read, what their files were when registered; hashes not yet known

Revision: 0003, after: 0002
"""
import sqlalchemy as sa
from alembic import op
revision = '0003'
down_revision = '0002'


def upgrade() -> None:
    """Forward."""
    # In the order in which the running program locks them; rising one by one, they would meet it head-on.
    op.execute("LOCK TABLE directories, directory_files, files, jobs IN ACCESS EXCLUSIVE MODE")
    op.add_column('directories', sa.Column('source_url', sa.Text(), nullable=True))
    op.add_column('directories', sa.Column('source_read_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('files', sa.Column('source_version', sa.Text(), nullable=True))
    op.alter_column('files', 'sha256', nullable=True)
    op.alter_column('directory_files', 'sha256', nullable=True)
    op.alter_column('jobs', 'sha256', nullable=True)
    # Hashed, since a URL may be longer than an entry of a tree; empty as long as nothing is read in place.
    op.create_index('ix_files_source', 'files', ['storage_key'], unique=False, postgresql_using='hash', postgresql_where=sa.text('source_version IS NOT NULL'))


def downgrade() -> None:
    """Back. What was read in place is known to nobody then: its rows stay, with an empty hash."""
    op.execute("LOCK TABLE directories, directory_files, files, jobs IN ACCESS EXCLUSIVE MODE")
    op.drop_index('ix_files_source', table_name='files')
    for table in ('jobs', 'directory_files', 'files'):
        op.execute(sa.update(sa.table(table, sa.column('sha256'))).where(sa.column('sha256').is_(None)).values(sha256=b''))
        op.alter_column(table, 'sha256', nullable=False)
    op.drop_column('files', 'source_version')
    op.drop_column('directories', 'source_read_at')
    op.drop_column('directories', 'source_url')
