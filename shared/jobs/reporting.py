"""Ends that nobody worked for, of the jobs of a chunk, and the news of them for webhooks in the same
transaction. The caller holds the chunk."""

from shared.db.unit_of_work import UnitOfWork
from shared.jobs import ledger
from shared.jobs.taken import TakenChunk
from shared.webhooks import announcing


async def cancel_open(uow: UnitOfWork, chunk: TakenChunk) -> None:
    """End what has no end in the chunk as CANCELLED."""
    await ledger.cancel_open(uow.session, chunk)
    await _tell(uow, chunk)


async def fail_open(uow: UnitOfWork, chunk: TakenChunk, *, code: str, message: str) -> None:
    """End what has no end in the chunk as FAILED."""
    await ledger.fail_open(uow.session, chunk, code=code, message=message)
    await _tell(uow, chunk)


async def _tell(uow: UnitOfWork, chunk: TakenChunk) -> None:
    if not chunk.hooked:
        return
    if chunk.job_id is not None:
        await announcing.jobs_moved(uow, [chunk.job_id])
    elif chunk.batch_id is not None and chunk.lo is not None and chunk.hi is not None:
        # Those of them that ended before were told of then; the same news twice is one.
        await announcing.range_moved(uow, chunk.batch_id, chunk.lo, chunk.hi)
