"""older versions of configurations, taken over from another server

Revision: 0010, after: 0009
"""
import sqlalchemy as sa
from alembic import op
revision = '0010'
down_revision = '0009'
NAMED = "deleted_at IS NULL AND superseded_at IS NULL"


def upgrade() -> None:
    """Forward."""
    op.add_column('configurations', sa.Column('superseded_at', sa.DateTime(timezone=True), nullable=True))
    op.drop_index('uq_configurations_name', table_name='configurations')
    op.create_index('uq_configurations_name', 'configurations', ['project_id', 'product_type', 'name'], unique=True, postgresql_where=sa.text(NAMED))


def downgrade() -> None:
    """Back. Older versions are hidden: their names would be there twice."""
    op.execute("UPDATE configurations SET deleted_at = coalesce(deleted_at, now()) WHERE superseded_at IS NOT NULL")
    op.drop_index('uq_configurations_name', table_name='configurations')
    op.create_index('uq_configurations_name', 'configurations', ['project_id', 'product_type', 'name'], unique=True, postgresql_where=sa.text('deleted_at IS NULL'))
    op.drop_column('configurations', 'superseded_at')
