"""who is told of batches and jobs, and what is to be told

Revision: 0011, after: 0010
"""
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision = '0011'
down_revision = '0010'


def upgrade() -> None:
    """Forward."""
    op.create_table('webhook_endpoints',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('project_id', sa.Uuid(), nullable=False),
    sa.Column('owner_id', sa.Uuid(), nullable=False),
    sa.Column('about', sa.Text(), nullable=False),
    sa.Column('webhook_id', sa.Uuid(), nullable=True),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('destination', sa.Uuid(), nullable=False),
    sa.Column('events', postgresql.ARRAY(sa.Text()), nullable=True),
    sa.Column('headers', postgresql.JSONB(none_as_null=True), nullable=True),
    sa.Column('output_format', sa.Text(), server_default='string', nullable=False),
    sa.Column('secret', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("about IN ('BATCH', 'JOBS')", name=op.f('ck_webhook_endpoints_about')),
    sa.CheckConstraint("output_format IN ('string', 'json')", name=op.f('ck_webhook_endpoints_output_format')),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_webhook_endpoints_project_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_endpoints'))
    )
    op.create_index('ix_webhook_endpoints_owner', 'webhook_endpoints', ['owner_id'], unique=False)
    op.create_index('ix_webhook_endpoints_project', 'webhook_endpoints', ['project_id'], unique=False)
    op.create_table('webhook_deliveries',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('project_id', sa.Uuid(), nullable=False),
    sa.Column('endpoint_id', sa.Uuid(), nullable=False),
    sa.Column('destination', sa.Uuid(), nullable=False),
    sa.Column('event_id', sa.Uuid(), nullable=False),
    sa.Column('event_type', sa.Text(), nullable=False),
    sa.Column('subject_id', sa.Uuid(), nullable=False),
    sa.Column('data', postgresql.JSONB(), nullable=False),
    sa.Column('status', sa.Text(), server_default='PENDING', nullable=False),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=True),
    sa.Column('token', sa.Uuid(), nullable=True),
    sa.Column('last_code', sa.Integer(), nullable=True),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.Column('last_answer', sa.Text(), nullable=True),
    sa.Column('last_seconds', sa.Double(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("status IN ('PENDING', 'SENT', 'DEAD')", name=op.f('ck_webhook_deliveries_status')),
    sa.CheckConstraint("(status = 'PENDING') = (due_at IS NOT NULL)", name=op.f('ck_webhook_deliveries_due')),
    sa.CheckConstraint("(status = 'PENDING') = (finished_at IS NULL)", name=op.f('ck_webhook_deliveries_finished')),
    sa.CheckConstraint("token IS NULL OR status = 'PENDING'", name=op.f('ck_webhook_deliveries_fence')),
    sa.CheckConstraint("status <> 'DEAD' OR last_error IS NOT NULL", name=op.f('ck_webhook_deliveries_why')),
    sa.ForeignKeyConstraint(['endpoint_id'], ['webhook_endpoints.id'], name=op.f('fk_webhook_deliveries_endpoint_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_deliveries')),
    postgresql_with={'fillfactor': 70, 'autovacuum_vacuum_scale_factor': 0.02}
    )
    op.create_index('uq_webhook_deliveries_event', 'webhook_deliveries', ['endpoint_id', 'event_id'], unique=True)
    op.create_index('ix_webhook_deliveries_due', 'webhook_deliveries', ['destination', 'due_at'], unique=False, postgresql_where=sa.text('due_at IS NOT NULL'))
    op.create_index('ix_webhook_deliveries_project', 'webhook_deliveries', ['project_id', 'id'], unique=False)
    op.create_index('ix_webhook_deliveries_subject', 'webhook_deliveries', ['subject_id'], unique=False)
    op.create_index('ix_webhook_deliveries_finished', 'webhook_deliveries', ['finished_at'], unique=False, postgresql_where=sa.text('finished_at IS NOT NULL'))


def downgrade() -> None:
    """Back."""
    op.drop_table('webhook_deliveries')
    op.drop_table('webhook_endpoints')
