"""Jobs of all projects."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.api.dependencies import Uow
from services.api.operators import ADMIN, OperatorPage, ProjectFilter, TheOperator, one_id
from services.api.paging import PageOf
from shared import ids
from shared.jobs import operating as job_operating
from shared.jobs.lifecycle import ChunkState, JobType
from shared.jobs.model import Chunk
from shared.jobs.operating import AnyJobFilters, AnyJobView

router = APIRouter()


class AnyJobStatus(StrEnum):
    """The states a job shows."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class JobQuery(BaseModel):
    """What a list is narrowed by."""

    job_type: JobType | None = None
    batch_id: str | None = None
    status: AnyJobStatus | None = None


class ChunkOfJob(BaseModel):
    """What lets the job run: not before `due_at` when READY, its lease's end when TAKEN."""

    id: int
    state: ChunkState
    due_at: datetime
    worker_id: str | None
    losses: int
    reason: str | None


class AnyJobOut(BaseModel):
    """A job; `chunk` is filled only where one job is asked for."""

    id: str
    project_id: str
    type: JobType
    batch_id: str | None
    file_id: str
    name: str
    size_bytes: int
    status: AnyJobStatus
    error_code: str | None
    error_message: str | None
    retryable: bool | None
    pages: int | None
    seconds: float | None
    engine: str | None
    created_at: datetime
    finished_at: datetime | None
    chunk: ChunkOfJob | None = None


async def filters_of(asked: Annotated[JobQuery, Query()], project: ProjectFilter) -> AnyJobFilters:
    """The same for the room."""
    return AnyJobFilters(
        project_id=project,
        job_type=asked.job_type,
        batch_id=one_id(ids.Kind.BATCH, asked.batch_id),
        status=asked.status,
    )


def show(view: AnyJobView) -> AnyJobOut:
    """The row for an operator."""
    row = view.row
    kind = JobType(row.job_type)
    return AnyJobOut(
        id=ids.show(kind.id_kind, row.id),
        project_id=ids.show(ids.Kind.PROJECT, row.project_id),
        type=kind,
        batch_id=None if row.batch_id is None else ids.show(ids.Kind.BATCH, row.batch_id),
        file_id=ids.show(ids.Kind.FILE, row.file_id),
        name=row.name,
        size_bytes=row.size_bytes,
        status=AnyJobStatus(view.status),
        error_code=row.error_code,
        error_message=row.error_message,
        retryable=row.retryable,
        pages=row.pages,
        seconds=row.seconds,
        engine=row.engine,
        created_at=row.created_at,
        finished_at=row.finished_at,
        chunk=None if view.chunk is None else _chunk(view.chunk),
    )


@router.get(ADMIN + "/jobs")
async def list_pages(
    uow: Uow, page: OperatorPage, filters: Annotated[AnyJobFilters, Depends(filters_of)]
) -> PageOf[AnyJobOut]:
    """A page, newest first. A filter by status alone may read far back: name a project or a batch with it."""
    found = await job_operating.list_jobs(uow, filters, size=page.size, after=page.after, count=page.count)
    return page.answer(found, show)


@router.get(ADMIN + "/jobs/{job_id}")
async def get(uow: Uow, job_id: str) -> AnyJobOut:
    """One job, with what lets it run."""
    return show(await job_operating.get_job(uow, _id(job_id)))


@router.post(ADMIN + "/jobs/{job_id}/retry")
async def retry(uow: Uow, who: TheOperator, job_id: str) -> AnyJobOut:
    """Run a FAILED or CANCELLED job's file once more, and answer the job to look at: the same one when it
    came alone, a new one when it belongs to a batch, which stays as it is."""
    asked = _id(job_id)
    view = await job_operating.retry_job(uow, asked)
    answer = show(view)
    target = ids.show(JobType(view.row.job_type).id_kind, asked)
    await who.note("job.retry", target, project_id=view.row.project_id, detail={"runs_as": answer.id})
    return answer


def _id(text: str) -> UUID:
    extract = text.startswith(f"{ids.Kind.EXTRACT_JOB}-")
    return ids.parse(ids.Kind.EXTRACT_JOB if extract else ids.Kind.PARSE_JOB, text)


def _chunk(row: Chunk) -> ChunkOfJob:
    taken = row.state == ChunkState.TAKEN and row.worker_id is not None
    return ChunkOfJob(
        id=row.id,
        state=ChunkState(row.state),
        due_at=row.due_at,
        worker_id=ids.show(ids.Kind.WORKER, row.worker_id) if taken and row.worker_id else None,
        losses=row.losses,
        reason=row.reason,
    )
