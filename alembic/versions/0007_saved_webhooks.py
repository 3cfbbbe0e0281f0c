"""saved webhooks

Revision: 0007, after: 0006
"""
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision = '0007'
down_revision = '0006'


def upgrade() -> None:
    """Forward."""
    op.create_table('webhook_configs',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('project_id', sa.Uuid(), nullable=False),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('events', postgresql.ARRAY(sa.Text()), nullable=True),
    sa.Column('headers', postgresql.JSONB(none_as_null=True), nullable=True),
    sa.Column('output_format', sa.Text(), server_default='string', nullable=False),
    sa.Column('secret', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("output_format IN ('string', 'json')", name=op.f('ck_webhook_configs_output_format')),
    sa.CheckConstraint('cardinality(events) > 0', name=op.f('ck_webhook_configs_events')),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_webhook_configs_project_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_configs'))
    )
    op.create_index('ix_webhook_configs_project', 'webhook_configs', ['project_id', 'id'], unique=False, postgresql_where=sa.text('deleted_at IS NULL'))


def downgrade() -> None:
    """Back."""
    op.drop_index('ix_webhook_configs_project', table_name='webhook_configs', postgresql_where=sa.text('deleted_at IS NULL'))
    op.drop_table('webhook_configs')
