"""The reading of jobs, and the making of those asked for alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, exists, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.repository import Page, newest_first
from shared.jobs.lifecycle import ChunkState, JobStatus
from shared.jobs.model import Chunk, Job


@dataclass(frozen=True, slots=True)
class JobFilters:
    """What a list of jobs is narrowed by; times are inclusive, None leaves a filter out."""

    status: str | None = None
    job_ids: Sequence[UUID] | None = None
    created_at_on_or_after: datetime | None = None
    created_at_on_or_before: datetime | None = None


async def add_alone(
    session: AsyncSession,
    *,
    project_id: UUID,
    job_type: str,
    file_id: UUID,
    name: str,
    size_bytes: int,
    sha256: bytes,
    config: dict[str, Any],
) -> Job:
    """A job without a batch."""
    job = Job(
        project_id=project_id,
        job_type=job_type,
        file_id=file_id,
        name=name,
        size_bytes=size_bytes,
        sha256=sha256,
        config=config,
    )
    session.add(job)
    await session.flush()
    return job


async def get(session: AsyncSession, project_id: UUID, job_type: str, job_id: UUID) -> Job | None:
    """A job of this project and type, unless it was deleted or never got an id to show."""
    found = await session.scalars(_visible(project_id, job_type).where(Job.id == job_id))
    return found.one_or_none()


async def page(
    session: AsyncSession,
    project_id: UUID,
    job_type: str,
    filters: JobFilters,
    *,
    size: int,
    after: UUID | None,
    count: bool,
) -> Page[Job]:
    """One page of jobs, newest first."""
    rows = _visible(project_id, job_type)
    if filters.job_ids is not None:
        rows = rows.where(Job.id.in_(filters.job_ids))
    if filters.created_at_on_or_after is not None:
        rows = rows.where(Job.created_at >= filters.created_at_on_or_after)
    if filters.created_at_on_or_before is not None:
        rows = rows.where(Job.created_at <= filters.created_at_on_or_before)
    if filters.status == "RUNNING":
        rows = rows.where(Job.status == JobStatus.PENDING, _is_taken())
    elif filters.status == JobStatus.PENDING:
        rows = rows.where(Job.status == JobStatus.PENDING, ~_is_taken())
    elif filters.status is not None:
        rows = rows.where(Job.status == filters.status)
    return await newest_first(session, rows, Job.id, size=size, after=after, count=count)


async def running(session: AsyncSession, jobs: Sequence[Job]) -> set[UUID]:
    """Which of these jobs lie in a chunk that a worker holds now."""
    pending = [job.id for job in jobs if job.status == JobStatus.PENDING]
    if not pending:
        return set()
    found = await session.scalars(select(Job.id).where(Job.id.in_(pending), _is_taken()))
    return set(found.all())


async def config_of_batch(session: AsyncSession, batch_id: UUID) -> dict[str, Any]:
    """The resolved parameters that the batch was opened with."""
    found = await session.execute(text("SELECT config FROM batches WHERE id = :b"), {"b": batch_id})
    return dict(found.scalar_one()["parameters"])


async def config_of_job(session: AsyncSession, job_id: UUID) -> dict[str, Any]:
    """The parameters of a job that came alone."""
    found = await session.scalars(select(Job.config).where(Job.id == job_id))
    return dict(found.one() or {})


def _visible(project_id: UUID, job_type: str) -> Select[Job]:
    return select(Job).where(
        Job.project_id == project_id,
        Job.job_type == job_type,
        Job.status != JobStatus.UNMAPPED,
        Job.deleted_at.is_(None),
    )


def _is_taken() -> Any:
    return exists().where(
        Chunk.state == ChunkState.TAKEN,
        or_(
            Chunk.job_id == Job.id,
            and_(Chunk.batch_id == Job.batch_id, Job.seq.between(Chunk.lo, Chunk.hi)),
        ),
    )
