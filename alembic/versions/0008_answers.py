"""answers that are kept for requests that come twice

Revision: 0008, after: 0007
"""
import sqlalchemy as sa
from alembic import op
revision = '0008'
down_revision = '0007'


def upgrade() -> None:
    """Forward."""
    op.create_table('answers',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('project_id', sa.Uuid(), nullable=False),
    sa.Column('key_id', sa.Uuid(), nullable=False),
    sa.Column('idempotency_key', sa.Text(), nullable=True),
    sa.Column('fingerprint', sa.LargeBinary(), nullable=False),
    sa.Column('taken', sa.SmallInteger(), nullable=False),
    sa.Column('status', sa.SmallInteger(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('char_length(idempotency_key) BETWEEN 1 AND 255', name=op.f('ck_answers_key_length')),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_answers_project_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_answers'))
    )
    op.create_index('uq_answers_idempotency_key', 'answers', ['project_id', 'idempotency_key'], unique=True, postgresql_where=sa.text('idempotency_key IS NOT NULL'))
    op.create_index('ix_answers_fingerprint', 'answers', ['project_id', 'fingerprint'], unique=False)
    op.create_index('ix_answers_expires', 'answers', ['expires_at'], unique=False)


def downgrade() -> None:
    """Back."""
    op.drop_table('answers')
