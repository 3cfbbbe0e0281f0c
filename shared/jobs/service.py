"""What a request may do with jobs."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from shared import ids
from shared.db.reader import Reader
from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, NotFound
from shared.jobs import ledger, reclaim, repository, reuse
from shared.jobs.ledger import NewChunk
from shared.jobs.lifecycle import ChunkState, JobStatus, JobType
from shared.jobs.model import Job
from shared.jobs.repository import JobFilters
from shared.jobs.result import ResultDocument, decode
from shared.lanes import service as lane_service
from shared.queue.messages import Advance, Dispatch, Work
from shared.storage.port import BlobMissing, BlobStorage
from shared.telemetry import logger
from shared.webhooks import announcing

__all__ = [
    "JobFilters",
    "JobView",
    "any_parse_of",
    "cancel_job",
    "charge_alone",
    "delete_job",
    "forget_results_of",
    "get_job",
    "grant_alone",
    "list_jobs",
    "read_parse_job",
    "read_result",
    "unknown",
    "view_of",
    "with_configs",
]

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as a reader sees it: `status` includes RUNNING, which no row stores."""

    id: UUID
    project_id: UUID
    job_type: str
    batch_id: UUID | None
    status: str
    name: str
    file_id: UUID
    error_code: str | None
    error_message: str | None
    result_key: str | None
    pages: int | None
    seconds: float | None
    engine: str | None
    reused: bool
    config: dict[str, Any] | None
    configuration_id: str | None
    file_input: str | None
    parse_job_id: UUID | None
    created_at: datetime
    updated_at: datetime
    purged_at: datetime | None = None

    @property
    def why_no_result(self) -> str | None:
        """The sentence about a result that was there and is gone; None while it is not."""
        if self.purged_at is None:
            return None
        return (
            f"Result not found: it was removed at {self.purged_at.isoformat(timespec='seconds')}, because the"
            " project keeps results for a limited time. Run the job again to have it anew."
        )


async def charge_alone(uow: UnitOfWork, project_id: UUID, kind: JobType) -> NewChunk:
    """Lock and charge the lane for a job without a batch, before the job is touched; answers the chunk for
    `grant_alone`. A lane with limits grants it itself, under its lock (protocol rule 11)."""
    await lane_service.open_lane(uow, project_id, kind)
    rank, limited = await lane_service.charge_one(uow, project_id, kind, kind.queue)
    return NewChunk(
        project_id=project_id,
        job_type=kind.value,
        queue=kind.queue,
        size=1,
        rank=rank,
        state=ChunkState.WAITING if limited else ChunkState.READY,
    )


async def grant_alone(uow: UnitOfWork, place: NewChunk, job_id: UUID) -> None:
    """Give the job its chunk, and ring whoever is next: the lane where it waits, else a worker."""
    await ledger.grant(uow.session, [replace(place, job_id=job_id)])
    waits = place.state == ChunkState.WAITING
    uow.ring(Dispatch(place.project_id, place.job_type) if waits else Work(place.queue))


async def get_job(uow: UnitOfWork, project_id: UUID, job_type: str, job_id: UUID) -> JobView:
    """One job with its parameters. `NotFound` when it is unknown, deleted or another project's."""
    job = await repository.get(uow.session, project_id, job_type, job_id)
    if job is None:
        raise unknown(job_type, job_id)
    return await view_of(uow, job)


async def read_parse_job(reader: Reader, project_id: UUID, job_id: UUID) -> JobView | None:
    """The same of a parse job by the driver; None where there is none. Raises `NotNow`."""
    row = await repository.read(reader, project_id, JobType.PARSE, job_id)
    return None if row is None else JobView(*row)


async def cancel_job(uow: UnitOfWork, project_id: UUID, job_type: str, job_id: UUID) -> JobView:
    """End a job as CANCELLED, whether it came alone or with a batch. Asked twice is asked once.

    One that nobody started has its end at once. One that runs alone in its chunk is told to stop, may still
    be RUNNING in the answer, and is over within seconds; if it finishes first, its result counts. One that
    runs among others of a short chunk has its end at once, and what it gives is thrown away. `Conflict`
    when it is final already.
    """
    job = await repository.get(uow.session, project_id, job_type, job_id)
    if job is None:
        raise unknown(job_type, job_id)
    found = await reclaim.lock_around(uow.session, job_id=job.id, batch_id=job.batch_id, seq=job.seq)
    chunk, state = found or (None, None)
    alone = chunk is not None and chunk.size == 1
    if chunk is not None and alone and state == ChunkState.TAKEN:
        await reclaim.stop_one(uow.session, chunk)
        return await get_job(uow, project_id, job_type, job_id)
    if not await reclaim.cancel_job(uow.session, job_id):
        await uow.session.refresh(job)
        raise Conflict(f"The job is {job.status} already; a final job cannot be cancelled.")
    await announcing.jobs_moved(uow, [job_id])
    if chunk is not None and alone:
        await ledger.close(uow.session, chunk, seconds=0)
        if chunk.batch_id is not None:
            uow.ring(Advance(chunk.batch_id))
        # A place came free.
        uow.ring(Dispatch(project_id, job_type))
    await uow.session.refresh(job)
    return await get_job(uow, project_id, job_type, job_id)


async def list_jobs(
    uow: UnitOfWork,
    project_id: UUID,
    job_type: str,
    *,
    filters: JobFilters,
    size: int,
    after: UUID | None = None,
    count: bool = False,
) -> Page[JobView]:
    """A page of jobs, newest first. `config` is filled only for jobs that came alone."""
    page = await repository.page(
        uow.session, project_id, job_type, filters, size=size, after=after, count=count
    )
    return Page(await _views_of(uow, page.items), page.next_after, page.total)


async def with_configs(uow: UnitOfWork, views: Sequence[JobView]) -> list[JobView]:
    """The same with `config` filled for the jobs of batches too."""
    batches = {view.batch_id for view in views if view.batch_id is not None}
    configs = {batch: await repository.config_of_batch(uow.session, batch) for batch in batches}
    return [view if view.batch_id is None else replace(view, config=configs[view.batch_id]) for view in views]


async def delete_job(
    uow: UnitOfWork, project_id: UUID, job_type: str, job_id: UUID, *, force: bool = False
) -> None:
    """Hide a job that is final; with `force` one that is not is cancelled first. What it made stays stored:
    a batch may speak of it, another job may share it, and a worker may be about to write it; but no job
    reuses it any more. `Conflict` without `force`."""
    view = await get_job(uow, project_id, job_type, job_id)
    if view.status not in JobStatus.__members__ or view.status == JobStatus.PENDING:
        if not force:
            raise Conflict(f"The job is {view.status}. Cancel it first, or delete it with force=true.")
        # It may have ended since it was looked at: then there is nothing to cancel.
        with suppress(Conflict):
            await cancel_job(uow, project_id, job_type, job_id)
    await repository.hide(uow.session, job_id)
    await reuse.forget_result(uow.session, job_id)


async def any_parse_of(uow: UnitOfWork, project_id: UUID, sha256: bytes) -> UUID | None:
    """A parse job of the project that has a result of these bytes, whatever its options were."""
    return await reuse.find_any(uow.session, project_id, sha256)


async def forget_results_of(uow: UnitOfWork, project_id: UUID, sha256: bytes) -> None:
    """No job of the project reuses what was made of these bytes so far; jobs that have it keep it."""
    await reuse.forget_document(uow.session, project_id, sha256)


async def read_result(storage: BlobStorage, view: JobView) -> ResultDocument | None:
    """The accepted result of a COMPLETED job; None for any other. Follows the row, never a path guess. One
    that retention took away, or whose bytes the storage has lost, is `NotFound`, with a sentence (contract
    2.5)."""
    if view.why_no_result is not None:
        raise NotFound(view.why_no_result)
    if view.status != JobStatus.COMPLETED or view.result_key is None:
        return None
    try:
        blob = await storage.read(view.result_key)
    except BlobMissing:
        log.warning("the storage has lost a result", key=view.result_key)
        raise NotFound("Result not found: its bytes are gone from the storage.") from None
    # Hundreds of megabytes may come out of a blob: not on the event loop.
    return await asyncio.to_thread(decode, blob)


def unknown(job_type: str, job_id: UUID) -> NotFound:
    """What is raised for a job that is not there, or is another project's."""
    shown = ids.show(JobType(job_type).id_kind, job_id)
    return NotFound(f"No {job_type.removesuffix('_v2')} job has the id {shown}.")


async def view_of(uow: UnitOfWork, job: Job) -> JobView:
    """A row as a reader sees it."""
    view = (await _views_of(uow, [job]))[0]
    if view.config is None and job.batch_id is not None:
        return replace(view, config=await repository.config_of_batch(uow.session, job.batch_id))
    return view


async def _views_of(uow: UnitOfWork, jobs: Sequence[Job]) -> list[JobView]:
    running = await repository.running(uow.session, jobs)
    extracting = [job for job in jobs if job.job_type == JobType.EXTRACT]
    throttled = await repository.throttled(uow.session, extracting)
    batches = {job.batch_id for job in extracting if job.batch_id is not None}
    named = await repository.configurations_of(uow.session, list(batches))

    def status(job: Job) -> str:
        if job.id in running:
            return "RUNNING"
        return "THROTTLED" if job.id in throttled else job.status

    return [_view(job, status(job), named) for job in jobs]


def _view(job: Job, status: str, named: Mapping[UUID, str]) -> JobView:
    file_input = job.file_input
    if file_input is None and job.directory_file_id is not None:
        file_input = ids.show(ids.Kind.DIRECTORY_FILE, job.directory_file_id)
    return JobView(
        id=job.id,
        project_id=job.project_id,
        job_type=job.job_type,
        batch_id=job.batch_id,
        status=status,
        name=job.name,
        file_id=job.file_id,
        error_code=job.error_code,
        error_message=job.error_message,
        result_key=job.result_key,
        pages=job.pages,
        seconds=job.seconds,
        engine=job.engine,
        reused=job.reused_from is not None,
        config=job.config,
        configuration_id=job.configuration_id or (named.get(job.batch_id) if job.batch_id else None),
        file_input=file_input,
        parse_job_id=job.parse_job_id,
        created_at=job.created_at,
        updated_at=job.finished_at or job.created_at,
        purged_at=job.purged_at,
    )
