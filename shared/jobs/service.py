"""What a request may do with jobs."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import NotFound
from shared.jobs import ledger, repository
from shared.jobs.lifecycle import JobStatus, JobType
from shared.jobs.model import Job
from shared.jobs.repository import JobFilters
from shared.jobs.result import ResultDocument, decode
from shared.lanes import service as lane_service
from shared.queue.messages import Work
from shared.storage.port import BlobStorage

__all__ = ["JobFilters", "JobView", "get_job", "list_jobs", "open_parse_job", "read_result"]


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
    rank = await lane_service.charge_one(uow, project_id, kind, kind.queue)
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
    chunk = {
        "project_id": project_id,
        "job_type": kind.value,
        "queue": kind.queue,
        "batch_id": None,
        "lo": None,
        "hi": None,
        "job_id": job.id,
        "size": 1,
        "rank": rank,
    }
    await ledger.grant(uow.session, [chunk])
    uow.ring(Work(kind.queue))
    return _view(job, running=False, config=parameters)


async def get_job(uow: UnitOfWork, project_id: UUID, job_type: str, job_id: UUID) -> JobView:
    """One job with its parameters. `NotFound` when it is unknown, deleted or another project's."""
    job = await repository.get(uow.session, project_id, job_type, job_id)
    if job is None:
        raise NotFound(f"No {job_type.removesuffix('_v2')} job has the id {job_id}.")
    running = await repository.running(uow.session, [job])
    config = job.config
    if config is None and job.batch_id is not None:
        config = await repository.config_of_batch(uow.session, job.batch_id)
    return _view(job, running=job.id in running, config=config)


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
