"""pages of jobs that have room for the ends of all jobs in them

Revision: 0015, after: 0014
"""
from alembic import op
revision = '0015'
down_revision = '0014'


def upgrade() -> None:
    """Forward."""
    op.execute("ALTER TABLE jobs SET (fillfactor = 30)")


def downgrade() -> None:
    """Back."""
    op.execute("ALTER TABLE jobs SET (fillfactor = 50)")
