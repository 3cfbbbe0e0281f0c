"""No job is without its batch: what a foreign key promises, asked once a statement instead of once a row.

The promise is kept by triggers (decision 40), which stand here and in the migration that made them; a test
compares both. Refusals are errors of the class of a foreign key's (23503) and name its constraint.
"""

from typing import Final

from sqlalchemy import DDL, MetaData, event

from shared.batches.model import Batch
from shared.jobs.model import Job

_REFUSE: Final = (
    "RAISE foreign_key_violation USING TABLE = 'jobs', CONSTRAINT = 'fk_jobs_batch_id', MESSAGE ="
)


def _function(name: str, body: str) -> str:
    # The path is fixed, for whoever restores a dump works with an empty one.
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$\n"
        f"{body}\n$$"
    )


def _trigger(name: str, when: str, *, function: str | None = None) -> str:
    return f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {function or name}()"


STATEMENTS: Final = (
    # Held as a foreign key would hold them: who removes one of them waits, and then sees these jobs.
    _function(
        "jobs_have_their_batch",
        f"""DECLARE place uuid;
BEGIN
  FOR place IN SELECT DISTINCT batch_id FROM made WHERE batch_id IS NOT NULL ORDER BY 1 LOOP
    PERFORM 1 FROM batches WHERE id = place FOR KEY SHARE;
    IF NOT FOUND THEN
      {_REFUSE} 'there is no batch ' || place || ' for these jobs';
    END IF;
  END LOOP;
  RETURN NULL;
END""",
    ),
    _function(
        "jobs_stay_in_their_batch",
        f"BEGIN\n  {_REFUSE} 'job ' || NEW.id || ' stays in its batch';\nEND",
    ),
    # A statement of an older snapshot would not see the jobs that came since.
    _function(
        "batches_outlive_their_jobs",
        f"""BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE feature_not_supported USING MESSAGE = 'batches are removed in READ COMMITTED';
  END IF;
  IF EXISTS (SELECT 1 FROM jobs WHERE batch_id = OLD.id) THEN
    {_REFUSE} 'batch ' || OLD.id || ' still has jobs';
  END IF;
  RETURN NULL;
END""",
    ),
    _function(
        "batches_go_with_their_jobs",
        f"""BEGIN
  IF EXISTS (SELECT 1 FROM jobs WHERE batch_id IS NOT NULL) THEN
    {_REFUSE} 'there are jobs of these batches';
  END IF;
  RETURN NULL;
END""",
    ),
    _trigger(
        "jobs_have_their_batch", "AFTER INSERT ON jobs REFERENCING NEW TABLE AS made FOR EACH STATEMENT"
    ),
    # After, for a trigger before an update would lock the row of each job that ends.
    _trigger(
        "jobs_stay_in_their_batch",
        "AFTER UPDATE OF batch_id ON jobs FOR EACH ROW WHEN (NEW.batch_id IS DISTINCT FROM OLD.batch_id)",
    ),
    _trigger("batches_outlive_their_jobs", "AFTER DELETE ON batches FOR EACH ROW"),
    _trigger(
        "batches_keep_their_id",
        "AFTER UPDATE OF id ON batches FOR EACH ROW WHEN (NEW.id <> OLD.id)",
        function="batches_outlive_their_jobs",
    ),
    _trigger("batches_go_with_their_jobs", "AFTER TRUNCATE ON batches FOR EACH STATEMENT"),
)


def declare(metadata: MetaData) -> None:
    """Tell the metadata of all tables what the lack of a key hides from it: that jobs go before batches where
    rows go table by table, and what is made behind the tables."""
    metadata.tables[Job.__tablename__].add_is_dependent_on(metadata.tables[Batch.__tablename__])
    for statement in STATEMENTS:
        event.listen(metadata, "after_create", DDL(statement))  # type: ignore[no-untyped-call]
