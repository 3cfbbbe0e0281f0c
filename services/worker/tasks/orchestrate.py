"""The bells of the orchestrate queue. Each looks at rows; what the bell says is only where to look."""

from uuid import UUID

from services.worker.runtime import Runtime
from shared.batches import advance as batch_advance
from shared.batches import dispatch as lane_dispatch
from shared.db.outage import will_pass
from shared.telemetry import bind, logger

log = logger(__name__)


async def advance(runtime: Runtime, batch_id: UUID) -> None:
    """Look after a batch. A look that throws is counted against the batch, an outage is not."""
    with bind(batch=str(batch_id)):
        try:
            await batch_advance.advance(runtime.unit_of_work, batch_id, engine=runtime.engine)
        except Exception as error:
            if _will_pass(error, "advance"):
                return
            log.exception("advance failed")
            await batch_advance.note_failure(runtime.unit_of_work, batch_id)


async def dispatch(runtime: Runtime, project_id: UUID, job_type: str) -> None:
    """Decide for a lane. A lane with waiting work is looked at again by itself, so failing is safe."""
    with bind(project=str(project_id), job_type=job_type):
        try:
            await lane_dispatch.dispatch(runtime.unit_of_work, project_id, job_type)
        except Exception as error:
            if not _will_pass(error, "dispatch"):
                log.exception("dispatch failed")


def _will_pass(error: Exception, what: str) -> bool:
    if will_pass(error):
        log.warning("will look again", what=what, error=repr(error)[:200])
        return True
    return False
