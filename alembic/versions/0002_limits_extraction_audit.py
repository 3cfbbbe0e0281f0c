"""limits that refuse, jobs of extraction, the audit of operators, facts of the installation, tallies

Revision: 0002, after: 0001
"""
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    """Forward."""
    # In the order in which the running program locks them; rising one by one, they would meet it head-on.
    op.execute("LOCK TABLE lanes, chunks, jobs, workers IN ACCESS EXCLUSIVE MODE")
    op.create_table('audit_events',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('key_id', sa.Uuid(), nullable=True),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('target', sa.Text(), nullable=False),
    sa.Column('project_id', sa.Uuid(), nullable=True),
    sa.Column('detail', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('request_id', sa.Text(), nullable=True),
    sa.Column('address', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['key_id'], ['api_keys.id'], name=op.f('fk_audit_events_key_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_events'))
    )
    op.create_index('ix_audit_events_target', 'audit_events', ['target', 'id'], unique=False)
    op.create_table('installation',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_installation'))
    )
    op.create_table('tallies',
    sa.Column('job_type', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('jobs', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('seconds', sa.Double(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('job_type', 'status', name=op.f('pk_tallies')),
    postgresql_with={'fillfactor': 50}
    )
    op.add_column('jobs', sa.Column('configuration_id', sa.Text(), nullable=True))
    op.add_column('jobs', sa.Column('file_input', sa.Text(), nullable=True))
    op.add_column('jobs', sa.Column('parse_job_id', sa.Uuid(), nullable=True))
    op.add_column('lanes', sa.Column('wait', postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column('workers', sa.Column('side_by_side', sa.Integer(), server_default='1', nullable=False))
    op.create_check_constraint(op.f('ck_workers_side_by_side'), 'workers', 'side_by_side > 0')
    # The ledger holds some hundred rows: checking them under the lock takes no time.
    op.drop_constraint(op.f('ck_chunks_state'), 'chunks')
    op.create_check_constraint(op.f('ck_chunks_state'), 'chunks', "state IN ('WAITING','READY','TAKEN','DONE')")
    op.drop_index('ix_chunks_lane', table_name='chunks')
    op.create_index('ix_chunks_lane', 'chunks', ['project_id', 'job_type'], unique=False, postgresql_where=sa.text("state IN ('READY','TAKEN')"))
    op.create_index('ix_chunks_waiting', 'chunks', ['project_id', 'job_type', 'rank', 'id'], unique=False, postgresql_where=sa.text("state = 'WAITING'"))


def downgrade() -> None:
    """Back."""
    op.execute("LOCK TABLE lanes, chunks, jobs, workers IN ACCESS EXCLUSIVE MODE")
    op.drop_index('ix_chunks_waiting', table_name='chunks', postgresql_where=sa.text("state = 'WAITING'"))
    op.drop_index('ix_chunks_lane', table_name='chunks', postgresql_where=sa.text("state IN ('READY','TAKEN')"))
    op.create_index('ix_chunks_lane', 'chunks', ['project_id', 'job_type'], unique=False)
    # The version before knows no waiting: what waits may run at once.
    op.execute("UPDATE chunks SET state = 'READY' WHERE state = 'WAITING'")
    op.drop_constraint(op.f('ck_chunks_state'), 'chunks')
    op.create_check_constraint(op.f('ck_chunks_state'), 'chunks', "state IN ('READY','TAKEN','DONE')")
    op.drop_constraint(op.f('ck_workers_side_by_side'), 'workers')
    op.drop_column('workers', 'side_by_side')
    op.drop_column('lanes', 'wait')
    op.drop_column('jobs', 'parse_job_id')
    op.drop_column('jobs', 'file_input')
    op.drop_column('jobs', 'configuration_id')
    op.drop_table('tallies')
    op.drop_table('installation')
    op.drop_index('ix_audit_events_target', table_name='audit_events')
    op.drop_table('audit_events')
