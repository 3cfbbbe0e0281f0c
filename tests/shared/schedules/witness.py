"""Triggers that judge each move while it is made: at the end a missing fence is often invisible."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

# The end of a job: by the holder of the chunk around it, or by nobody while nobody holds it; and a client may
# cancel one that is held together with others, whose holder then throws away what it gives.
JOB_ENDS = """
CREATE FUNCTION witness_job() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE held uuid; files int;
BEGIN
  SELECT token, size INTO held, files FROM chunks c WHERE c.state = 'TAKEN' AND (c.job_id = NEW.id
    OR (c.batch_id = NEW.batch_id AND NEW.seq BETWEEN c.lo AND c.hi));
  IF held IS DISTINCT FROM NEW.token
    AND NOT (NEW.status = 'CANCELLED' AND NEW.token IS NULL AND files > 1) THEN
    RAISE EXCEPTION 'witness: job % ended by %, held by %', NEW.seq, NEW.token, held;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER witness_job AFTER UPDATE ON jobs FOR EACH ROW
  WHEN (OLD.status = 'PENDING' AND NEW.status <> 'PENDING') EXECUTE FUNCTION witness_job();
CREATE FUNCTION witness_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'witness: % moved after its end', OLD.id; END $$;
CREATE TRIGGER witness_ended_job AFTER UPDATE ON jobs FOR EACH ROW
  WHEN (OLD.status <> 'PENDING' AND (NEW.status <> OLD.status OR NEW.token IS DISTINCT FROM OLD.token
   OR NEW.result_key IS DISTINCT FROM OLD.result_key)) EXECUTE FUNCTION witness_ended();
CREATE TRIGGER witness_ended_batch AFTER UPDATE ON batches FOR EACH ROW
  WHEN (OLD.finished_at IS NOT NULL AND (NEW.status <> OLD.status OR NEW.ok <> OLD.ok
   OR NEW.failed <> OLD.failed OR NEW.cancelled <> OLD.cancelled)) EXECUTE FUNCTION witness_ended();
"""

# A closed chunk counts each ended file of its range once, and none that another live chunk was handed.
CHUNK_CLOSES = """
CREATE FUNCTION witness_chunk() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE own int;
BEGIN
  SELECT count(*) INTO own FROM jobs j WHERE j.batch_id = NEW.batch_id AND j.seq BETWEEN NEW.lo AND NEW.hi
    AND j.status IN ('COMPLETED', 'FAILED', 'CANCELLED') AND j.reused_from IS NULL
    AND NOT EXISTS (SELECT 1 FROM chunks c
     WHERE c.batch_id = NEW.batch_id AND c.id <> NEW.id AND c.state <> 'DONE'
      AND j.seq BETWEEN c.lo AND c.hi);
  IF NEW.ok + NEW.failed + NEW.cancelled <> own THEN
    RAISE EXCEPTION 'witness: chunk % counts %, its own are %', NEW.id, NEW.ok + NEW.failed + NEW.cancelled,
      own;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER witness_chunk AFTER INSERT OR UPDATE ON chunks FOR EACH ROW
  WHEN (NEW.state = 'DONE') EXECUTE FUNCTION witness_chunk();
"""

# The final move of a batch: nothing of it is granted, nothing listed is open.
BATCH_ENDS = """
CREATE FUNCTION witness_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM chunks WHERE batch_id = NEW.id)
    OR EXISTS (SELECT 1 FROM jobs WHERE batch_id = NEW.id AND status = 'PENDING') THEN
    RAISE EXCEPTION 'witness: batch % ended with work left', NEW.id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER witness_batch AFTER UPDATE ON batches FOR EACH ROW
  WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL) EXECUTE FUNCTION witness_batch();
"""

# The start of a chunk: its batch is not paused, by whatever is committed at that moment.
CHUNK_STARTS = """
CREATE FUNCTION witness_start() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM batches WHERE id = NEW.batch_id AND paused_at IS NOT NULL) THEN
    RAISE EXCEPTION 'witness: chunk % starts in a paused batch', NEW.id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER witness_start AFTER UPDATE ON chunks FOR EACH ROW
  WHEN (OLD.state <> 'TAKEN' AND NEW.state = 'TAKEN') EXECUTE FUNCTION witness_start();
"""

REMOVE = (
    "DROP FUNCTION IF EXISTS witness_job, witness_ended, witness_chunk, witness_batch, witness_start CASCADE",
)


def _statements() -> list[str]:
    found: list[str] = []
    for script in (JOB_ENDS, CHUNK_CLOSES, BATCH_ENDS, CHUNK_STARTS):
        found += ["CREATE " + part.rstrip().rstrip(";") for part in script.strip().split("CREATE ")[1:]]
    return found


async def install(engine: AsyncEngine) -> None:
    """The witnesses watch from now on."""
    async with engine.begin() as connection:
        for statement in (*REMOVE, *_statements()):
            await connection.execute(text(statement))


async def remove(engine: AsyncEngine) -> None:
    """They watch no more."""
    async with engine.begin() as connection:
        for statement in REMOVE:
            await connection.execute(text(statement))
