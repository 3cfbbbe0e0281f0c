"""What a request may do with batches."""

from collections.abc import Sequence
from uuid import UUID

from shared.batches import draining, exporting, repository, soundings
from shared.batches.exporting import ExportedFile, MappedFile, Overview
from shared.batches.lifecycle import BATCH_MOVES, BatchStatus
from shared.batches.model import Batch
from shared.batches.repository import BatchFilters, BatchResult, BatchView
from shared.batches.soundings import Progress
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
from shared.webhooks import announcing
from shared.webhooks import service as webhook_service
from shared.webhooks.service import Endpoint

__all__ = [
    "BatchFilters",
    "BatchResult",
    "BatchView",
    "ExportedFile",
    "MappedFile",
    "Overview",
    "Progress",
    "cancel_batch",
    "exported_files",
    "get_batch",
    "has_results",
    "is_final",
    "list_batches",
    "mapped_page",
    "move_file",
    "open_batch",
    "overview_of",
    "progress_of",
    "read_batch",
    "read_page",
    "reread_batch",
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
    webhooks: Sequence[Endpoint] = (),
) -> Batch:
    """One insert: the batch with its configuration resolved and its file list frozen. With a `threshold` it
    stops when so many files failed. `webhooks` are told of the batch, those of its configuration of its jobs.

    Refuses an unknown directory or configuration (`NotFound`), a configuration of another product, and a
    directory with more files than the lane allows (`InvalidInput`). An empty directory is fine.
    """
    await directory_service.get_directory(uow, project_id, source_directory_id)
    resolved = await configuration_service.resolve(uow, project_id, configuration_id, job_type)
    parameters, of_jobs = await webhook_service.take_out(uow, project_id, resolved)
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
    await _tell(uow, batch, webhooks, of_jobs)
    uow.ring(Advance(batch.id))
    return batch


async def _tell(
    uow: UnitOfWork, batch: Batch, webhooks: Sequence[Endpoint], of_jobs: Sequence[Endpoint]
) -> None:
    place = (uow, batch.project_id, batch.id)
    await announcing.attach(*place, about=announcing.JOBS, endpoints=of_jobs)
    await announcing.attach(*place, about=announcing.BATCH, endpoints=webhooks)
    if webhooks:
        await announcing.batch_moved(uow, batch.id)


async def move_file(
    uow: UnitOfWork,
    project_id: UUID,
    source_id: UUID,
    entry_id: UUID,
    target_id: UUID,
    *,
    unique_id: str | None = None,
) -> None:
    """Put a file of one directory into another one. `Conflict` while a batch reads the first: it lists the
    directory's files by their place, and keeps their bytes by it (protocol rule 7)."""
    await directory_service.lock_for_move(uow, project_id, source_id, target_id)
    if (reader := await repository.reads(uow.session, source_id)) is not None:
        raise Conflict(
            f"The batch bat-{reader} reads this directory and is not final. Move the file when it is, or add "
            "it to the other directory by its file_id."
        )
    await directory_service.move_entry(uow, project_id, source_id, entry_id, target_id, unique_id=unique_id)


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


def is_final(batch: Batch | BatchView) -> bool:
    """Whether nothing of the batch will change but what is taken away from it."""
    return BATCH_MOVES.is_final(BatchStatus(batch.status))


def has_results(batch: Batch | BatchView) -> bool:
    """Whether the mapping of every source file can be told: not until the batch is final, and not after
    FAILED, which has no trustworthy set (it has one when failed files were what stopped it)."""
    if BatchStatus(batch.status) is BatchStatus.FAILED:
        return batch.failure_code == CODE
    return is_final(batch)


async def mapped_page(
    uow: UnitOfWork, batch: Batch | BatchView, *, after_seq: int, size: int
) -> Sequence[MappedFile]:
    """Some files of the batch and their jobs, in the directory's order; seq starts at 1 and has no gaps."""
    return await exporting.mapped(uow.session, batch.id, after=after_seq, size=size)


async def exported_files(uow: UnitOfWork, batch_id: UUID, *, first: int, last: int) -> Sequence[ExportedFile]:
    """The files of the batch from one place to another, with what an export says of them."""
    return await exporting.files(uow.session, batch_id, first=first, last=last)


async def overview_of(uow: UnitOfWork, batch_id: UUID) -> Overview:
    """How many files the batch has, and a number that is another one when anything about them is."""
    return await exporting.overview(uow.session, batch_id)


async def results_page(
    uow: UnitOfWork,
    batch: Batch | BatchView,
    *,
    after_seq: int,
    size: int,
    job_ids: Sequence[UUID] | None = None,
) -> Sequence[BatchResult]:
    """Some files of the batch in the directory's order, whatever its state; seq starts at 1. `job_ids`
    narrows them to those of these jobs."""
    return await repository.results(uow.session, batch.id, after_seq=after_seq, size=size, job_ids=job_ids)


async def progress_of(uow: UnitOfWork, batch: Batch | BatchView) -> Progress:
    """How far the batch is, from its sums: the cost does not grow with its size."""
    return await soundings.progress(uow.session, batch.id)
