"""jobs belong to their batch by a check a statement, in place of the foreign key's check a row

Revision: 0016, after: 0015
"""
from alembic import op
revision = '0016'
down_revision = '0015'

# In the order in which the running program locks them; rising one by one, they would meet it head-on.
LOCK = "LOCK TABLE batches, jobs IN ACCESS EXCLUSIVE MODE"
JOBS_HAVE_THEIR_BATCH = """
CREATE FUNCTION jobs_have_their_batch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE place uuid;
BEGIN
  FOR place IN SELECT DISTINCT batch_id FROM made WHERE batch_id IS NOT NULL ORDER BY 1 LOOP
    PERFORM 1 FROM batches WHERE id = place FOR KEY SHARE;
    IF NOT FOUND THEN
      RAISE foreign_key_violation USING TABLE = 'jobs', CONSTRAINT = 'fk_jobs_batch_id', MESSAGE = 'there is no batch ' || place || ' for these jobs';
    END IF;
  END LOOP;
  RETURN NULL;
END
$$
"""
JOBS_STAY_IN_THEIR_BATCH = """
CREATE FUNCTION jobs_stay_in_their_batch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  RAISE foreign_key_violation USING TABLE = 'jobs', CONSTRAINT = 'fk_jobs_batch_id', MESSAGE = 'job ' || NEW.id || ' stays in its batch';
END
$$
"""
BATCHES_OUTLIVE_THEIR_JOBS = """
CREATE FUNCTION batches_outlive_their_jobs() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE feature_not_supported USING MESSAGE = 'batches are removed in READ COMMITTED';
  END IF;
  IF EXISTS (SELECT 1 FROM jobs WHERE batch_id = OLD.id) THEN
    RAISE foreign_key_violation USING TABLE = 'jobs', CONSTRAINT = 'fk_jobs_batch_id', MESSAGE = 'batch ' || OLD.id || ' still has jobs';
  END IF;
  RETURN NULL;
END
$$
"""
BATCHES_GO_WITH_THEIR_JOBS = """
CREATE FUNCTION batches_go_with_their_jobs() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM jobs WHERE batch_id IS NOT NULL) THEN
    RAISE foreign_key_violation USING TABLE = 'jobs', CONSTRAINT = 'fk_jobs_batch_id', MESSAGE = 'there are jobs of these batches';
  END IF;
  RETURN NULL;
END
$$
"""
TRIGGERS = (
    "CREATE TRIGGER jobs_have_their_batch AFTER INSERT ON jobs REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION jobs_have_their_batch()",
    "CREATE TRIGGER jobs_stay_in_their_batch AFTER UPDATE OF batch_id ON jobs FOR EACH ROW WHEN (NEW.batch_id IS DISTINCT FROM OLD.batch_id) EXECUTE FUNCTION jobs_stay_in_their_batch()",
    "CREATE TRIGGER batches_outlive_their_jobs AFTER DELETE ON batches FOR EACH ROW EXECUTE FUNCTION batches_outlive_their_jobs()",
    "CREATE TRIGGER batches_keep_their_id AFTER UPDATE OF id ON batches FOR EACH ROW WHEN (NEW.id <> OLD.id) EXECUTE FUNCTION batches_outlive_their_jobs()",
    "CREATE TRIGGER batches_go_with_their_jobs AFTER TRUNCATE ON batches FOR EACH STATEMENT EXECUTE FUNCTION batches_go_with_their_jobs()",
)


def upgrade() -> None:
    """Forward."""
    op.execute(LOCK)
    op.drop_constraint(op.f('fk_jobs_batch_id'), 'jobs', type_='foreignkey')
    for statement in (JOBS_HAVE_THEIR_BATCH, JOBS_STAY_IN_THEIR_BATCH, BATCHES_OUTLIVE_THEIR_JOBS, BATCHES_GO_WITH_THEIR_JOBS, *TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    """Back."""
    op.execute(LOCK)
    op.execute("DROP TRIGGER jobs_have_their_batch ON jobs")
    op.execute("DROP TRIGGER jobs_stay_in_their_batch ON jobs")
    op.execute("DROP TRIGGER batches_outlive_their_jobs ON batches")
    op.execute("DROP TRIGGER batches_keep_their_id ON batches")
    op.execute("DROP TRIGGER batches_go_with_their_jobs ON batches")
    op.execute("DROP FUNCTION jobs_have_their_batch()")
    op.execute("DROP FUNCTION jobs_stay_in_their_batch()")
    op.execute("DROP FUNCTION batches_outlive_their_jobs()")
    op.execute("DROP FUNCTION batches_go_with_their_jobs()")
    op.create_foreign_key(op.f('fk_jobs_batch_id'), 'jobs', 'batches', ['batch_id'], ['id'])
