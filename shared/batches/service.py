"""What a request may do with batches."""

from collections.abc import Sequence
from uuid import UUID

from shared.batches import draining, repository
from shared.batches.lifecycle import BATCH_MOVES, BatchStatus
from shared.batches.model import Batch
from shared.batches.repository import BatchFilters, BatchResult, BatchView, Progress
from shared.batches.threshold import CODE, Threshold
from shared.configurations import service as configuration_service
from shared.db.reader import Reader
from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.directories import service as directory_service
from shared.errors import Conflict, InvalidInput, NotFound
from shared.jobs import reclaim
from shared.lanes import service as lane_service
from shared.queue.messages import Advance

__all__ = [
    "BatchFilters",
    "BatchResult",
    "BatchView",
    "Progress",
    "cancel_batch",
    "get_batch",
    "list_batches",
    "open_batch",
    "progress_of",
    "read_batch",
    "read_page",
    "reread_batch",
    "results_of",
    "results_page",
    "view_batch",
]


async def open_batch(
    uow: UnitOfWork,
    *,
    project_id: UUID,
    source_directory_id: UUID,
    job_type: str,
    configuration_id: str,
    threshold: Threshold | None = None,
) -> Batch:
    """One insert: the batch with its configuration resolved and its file list frozen. With a `threshold` it
    stops when so many files failed.

    Refuses an unknown directory or configuration (`NotFound`), a configuration of another product, and a
    directory with more files than the lane allows (`InvalidInput`). An empty directory is fine.
    """
    await directory_service.get_directory(uow, project_id, source_directory_id)
    parameters = await configuration_service.resolve(uow, project_id, configuration_id, job_type)
    lane = await lane_service.open_lane(uow, project_id, job_type)
    if await repository.too_many_files(uow.session, source_directory_id, lane.max_files):
        raise InvalidInput(
            f"The directory holds more than {lane.max_files:,} files, the limit of a batch in this project."
        )
    if threshold is not None:
        threshold = threshold.checked()
    batch = await repository.add(
        uow.session,
        project_id=project_id,
        directory_id=source_directory_id,
        job_type=job_type,
        configuration_id=configuration_id,
        parameters=parameters,
        threshold=threshold,
    )
    uow.ring(Advance(batch.id))
    return batch


async def get_batch(uow: UnitOfWork, project_id: UUID, batch_id: UUID) -> Batch:
    """One batch of this project, or `NotFound`."""
    batch = await repository.get(uow.session, project_id, batch_id)
    if batch is None:
        raise NotFound(f"No batch has the id bat-{batch_id}.")
    return batch


async def view_batch(uow: UnitOfWork, project_id: UUID, batch_id: UUID) -> BatchView:
    """The same, for who only reads it."""
    batch = await repository.view(uow.session, project_id, batch_id)
    if batch is None:
        raise NotFound(f"No batch has the id bat-{batch_id}.")
    return batch


async def read_batch(reader: Reader, project_id: UUID, batch_id: UUID) -> BatchView | None:
    """The same by the driver; None where there is none. Raises `NotNow`."""
    return await repository.read(reader, project_id, batch_id)


async def read_page(reader: Reader, project_id: UUID, *, size: int, after: UUID | None) -> Page[BatchView]:
    """A page of all batches of the project by the driver, newest first. Raises `NotNow`."""
    return await repository.read_page(reader, project_id, size=size, after=after)


async def reread_batch(uow: UnitOfWork, batch: Batch) -> Batch:
    """The same batch as it is now, with what this transaction did to it."""
    return await repository.reread(uow.session, batch)


async def cancel_batch(uow: UnitOfWork, project_id: UUID, batch_id: UUID) -> Batch:
    """Ask the batch to end CANCELLED; it does so when nothing of it runs any more, and keeps what finished.

    Asked twice is asked once. `Conflict` when it is final already.
    """
    batch = await get_batch(uow, project_id, batch_id)
    if await draining.stop(uow.session, batch_id, end="CANCELLED", code=None, message=None):
        # In the same commit: no chunk is taken after the answer (protocol rule 16).
        await reclaim.flag_stop(uow.session, batch_id)
        uow.ring(Advance(batch_id))
    batch = await repository.reread(uow.session, batch)
    if batch.stop_at is None or BATCH_MOVES.is_final(BatchStatus(batch.status)):
        raise Conflict(f"The batch is {batch.status} already; a final batch cannot be cancelled.")
    return batch


async def list_batches(
    uow: UnitOfWork,
    project_id: UUID,
    *,
    filters: BatchFilters,
    size: int,
    after: UUID | None = None,
    count: bool = False,
) -> Page[BatchView]:
    """A page of the project's batches, newest first."""
    return await repository.page(uow.session, project_id, filters, size=size, after=after, count=count)


async def results_of(uow: UnitOfWork, batch: Batch | BatchView) -> list[BatchResult] | None:
    """The mapping of every source file; None until the batch is final, and after FAILED, which has no
    trustworthy set (it has one when failed files were what stopped it). Read page by page, so no snapshot is
    held for long."""
    status = BatchStatus(batch.status)
    if not BATCH_MOVES.is_final(status):
        return None
    if status is BatchStatus.FAILED and batch.failure_code != CODE:
        return None
    found: list[BatchResult] = []
    while page := await results_page(uow, batch, after_seq=len(found), size=5_000):
        found.extend(page)
    return found


async def results_page(
    uow: UnitOfWork, batch: Batch | BatchView, *, after_seq: int, size: int
) -> Sequence[BatchResult]:
    """Some files of the batch in the directory's order, whatever its state; seq starts at 1."""
    return await repository.results(uow.session, batch.id, after_seq=after_seq, size=size)


async def progress_of(uow: UnitOfWork, batch: Batch | BatchView) -> Progress:
    """How far the batch is, from its sums: the cost does not grow with its size."""
    return await repository.progress(uow.session, batch.id)
