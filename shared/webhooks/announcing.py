"""What those who move batches and jobs tell the webhooks of these, in the transaction of the move.

Who calls knows whether there is anybody to be told (the `hooked` of a chunk, the `told` and `hooked` of a
batch): without webhooks none of this is asked of the database.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from shared.db.unit_of_work import UnitOfWork
from shared.webhooks import outbox
from shared.webhooks.service import Endpoint

BATCH: Final = "BATCH"
JOBS: Final = "JOBS"


async def attach(
    uow: UnitOfWork, project_id: UUID, owner_id: UUID, *, about: str, endpoints: Sequence[Endpoint]
) -> None:
    """From now on these are told of the batch or job, or of the jobs of the batch."""
    if endpoints:
        rows = [one.row(project_id=project_id, owner_id=owner_id, about=about) for one in endpoints]
        await outbox.attach(uow.session, rows)


async def inherit(uow: UnitOfWork, old: UUID, new: UUID, *, about: Sequence[str] = (BATCH, JOBS)) -> bool:
    """Who is told of the old one is told of the new one too; answers whether there is anybody."""
    return await outbox.copy(uow.session, old, new, about=about)


async def batch_moved(uow: UnitOfWork, batch_id: UUID) -> None:
    """The batch is in another state."""
    await outbox.tell_of_batch(uow.session, batch_id)


async def jobs_moved(uow: UnitOfWork, job_ids: Sequence[UUID]) -> None:
    """These jobs are in another state, or were made."""
    if job_ids:
        await outbox.tell_of_jobs(uow.session, job_ids)


async def range_moved(uow: UnitOfWork, batch_id: UUID, lo: int, hi: int) -> None:
    """Files `lo` to `hi` of the batch are in another state, or were made."""
    if lo <= hi:
        await outbox.tell_of_range(uow.session, batch_id, lo, hi)


async def jobs_run(uow: UnitOfWork, job_ids: Sequence[UUID]) -> None:
    """These jobs are in the hands of a worker."""
    if job_ids:
        await outbox.tell_that_run(uow.session, job_ids)
