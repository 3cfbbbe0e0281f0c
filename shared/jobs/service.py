"""What a request may do with jobs."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, NotFound
from shared.jobs import ledger, reclaim, repository
from shared.jobs.ledger import NewChunk
from shared.jobs.lifecycle import ChunkState, JobStatus, JobType
from shared.jobs.model import Job
from shared.jobs.repository import JobFilters
from shared.jobs.result import ResultDocument, decode
from shared.lanes import service as lane_service
from shared.queue.messages import Advance, Dispatch, Work
from shared.storage.port import BlobStorage

__all__ = ["JobFilters", "JobView", "cancel_job", "get_job", "list_jobs", "open_parse_job", "read_result"]


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
    config: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


async def open_parse_job(
    uow: UnitOfWork,
    *,
    project_id: UUID,
    file_id: UUID,
    name: str,
    size_bytes: int,
    sha256: bytes,
    parameters: dict[str, Any],
) -> JobView:
    """A job for one file, without a batch: a chunk of one in the project's lane, due at once."""
    kind = JobType.PARSE
    await lane_service.open_lane(uow, project_id, kind)
    rank, limited = await lane_service.charge_one(uow, project_id, kind, kind.queue)
    job = await repository.add_alone(
        uow.session,
        project_id=project_id,
        job_type=kind,
        file_id=file_id,
        name=name,
        size_bytes=size_bytes,
        sha256=sha256,
        config=parameters,
    )
    await _grant_alone(uow, job, kind, rank=rank, limited=limited)
    return _view(job, running=False, config=parameters)


async def _grant_alone(uow: UnitOfWork, job: Job, kind: JobType, *, rank: float, limited: bool) -> None:
    """The chunk of one of a job that came alone. A lane with limits grants it itself, under its lock
    (protocol rule 11)."""
    chunk = NewChunk(
        project_id=job.project_id,
        job_type=kind.value,
        queue=kind.queue,
        job_id=job.id,
        size=1,
        rank=rank,
        state=ChunkState.WAITING if limited else ChunkState.READY,
    )
    await ledger.grant(uow.session, [chunk])
    uow.ring(Dispatch(job.project_id, kind.value) if limited else Work(kind.queue))


async def get_job(uow: UnitOfWork, project_id: UUID, job_type: str, job_id: UUID) -> JobView:
    """One job with its parameters. `NotFound` when it is unknown, deleted or another project's."""
    job = await repository.get(uow.session, project_id, job_type, job_id)
    if job is None:
        raise _unknown(job_type, job_id)
    running = await repository.running(uow.session, [job])
    config = job.config
    if config is None and job.batch_id is not None:
        config = await repository.config_of_batch(uow.session, job.batch_id)
    return _view(job, running=job.id in running, config=config)


async def cancel_job(uow: UnitOfWork, project_id: UUID, job_type: str, job_id: UUID) -> JobView:
    """End a job as CANCELLED, whether it came alone or with a batch. Asked twice is asked once.

    One that nobody started has its end at once. One that runs alone in its chunk is told to stop, may still
    be RUNNING in the answer, and is over within seconds; if it finishes first, its result counts. One that
    runs among others of a short chunk has its end at once, and what it gives is thrown away. `Conflict`
    when it is final already.
    """
    job = await repository.get(uow.session, project_id, job_type, job_id)
    if job is None:
        raise _unknown(job_type, job_id)
    found = await reclaim.lock_around(uow.session, job_id=job.id, batch_id=job.batch_id, seq=job.seq)
    chunk, state = found or (None, None)
    alone = chunk is not None and chunk.size == 1
    if chunk is not None and alone and state == ChunkState.TAKEN:
        await reclaim.stop_one(uow.session, chunk)
        return await get_job(uow, project_id, job_type, job_id)
    if not await reclaim.cancel_job(uow.session, job_id):
        await uow.session.refresh(job)
        raise Conflict(f"The job is {job.status} already; a final job cannot be cancelled.")
    if chunk is not None and alone:
        await ledger.close(uow.session, chunk, seconds=0)
        if chunk.batch_id is not None:
            uow.ring(Advance(chunk.batch_id))
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
    running = await repository.running(uow.session, page.items)
    views = [_view(job, running=job.id in running, config=job.config) for job in page.items]
    return Page(views, page.next_after, page.total)


async def read_result(storage: BlobStorage, view: JobView) -> ResultDocument | None:
    """The accepted result of a COMPLETED job; None for any other. Follows the row, never a path guess."""
    if view.status != JobStatus.COMPLETED or view.result_key is None:
        return None
    # Hundreds of megabytes may come out of a blob: not on the event loop.
    return await asyncio.to_thread(decode, await storage.read(view.result_key))


def _unknown(job_type: str, job_id: UUID) -> NotFound:
    return NotFound(f"No {job_type.removesuffix('_v2')} job has the id {job_id}.")


def _view(job: Job, *, running: bool, config: dict[str, Any] | None) -> JobView:
    return JobView(
        id=job.id,
        project_id=job.project_id,
        job_type=job.job_type,
        batch_id=job.batch_id,
        status="RUNNING" if running else job.status,
        name=job.name,
        file_id=job.file_id,
        error_code=job.error_code,
        error_message=job.error_message,
        result_key=job.result_key,
        pages=job.pages,
        seconds=job.seconds,
        engine=job.engine,
        config=config,
        created_at=job.created_at,
        updated_at=job.finished_at or job.created_at,
    )
