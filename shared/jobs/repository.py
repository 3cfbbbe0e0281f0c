"""The reading of jobs, and the making of those asked for alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, exists, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import ids
from shared.db.reader import Reader
from shared.db.repository import Page, ids_born, newest_first
from shared.errors import NotFound
from shared.jobs.lifecycle import ChunkState, JobStatus, JobType
from shared.jobs.model import Chunk, Job
from shared.jobs.recipe import Reusable


@dataclass(frozen=True, slots=True)
class JobFilters:
    """What a list of jobs is narrowed by; times are inclusive, None leaves a filter out.

    `configuration_id` and `file_input` are public ids, with their prefix or without. `of_parse_jobs` asks for
    jobs whose input is a parse job (True), or a file (False).
    """

    status: str | None = None
    job_ids: Sequence[UUID] | None = None
    configuration_id: str | None = None
    file_input: str | None = None
    of_parse_jobs: bool | None = None
    created_at_on_or_after: datetime | None = None
    created_at_on_or_before: datetime | None = None


async def add_alone(session: AsyncSession, job: Job) -> Job:
    """A job without a batch."""
    session.add(job)
    await session.flush()
    return job


async def add_reused(session: AsyncSession, job: Job, known: Reusable) -> Job:
    """A job without a batch that has its end: it shares the result of another."""
    job.status, job.reused_from, job.result_key = JobStatus.COMPLETED, known.job_id, known.result_key
    job.pages, job.engine, job.finished_at = known.pages, known.engine, func.now()
    await add_alone(session, job)
    await session.refresh(job)
    return job


async def hide(session: AsyncSession, job_id: UUID) -> None:
    """Soft delete; its result and its place in a batch stay."""
    await session.execute(
        text("UPDATE jobs SET deleted_at = coalesce(deleted_at, now()) WHERE id = :j"), {"j": job_id}
    )


async def get(session: AsyncSession, project_id: UUID, job_type: str, job_id: UUID) -> Job | None:
    """A job of this project and type, unless it was deleted or never got an id to show."""
    found = await session.scalars(_visible(project_id, job_type).where(Job.id == job_id))
    return found.one_or_none()


_READ: Final = (
    "SELECT j.id, j.project_id, j.job_type, j.batch_id,"
    " CASE WHEN j.status = 'PENDING' AND EXISTS (SELECT 1 FROM chunks c WHERE c.state = 'TAKEN' AND"
    "  (c.job_id = j.id OR (c.batch_id = j.batch_id AND j.seq BETWEEN c.lo AND c.hi))) THEN 'RUNNING'"
    "  ELSE j.status END,"
    " j.name, j.file_id, j.error_code, j.error_message, j.result_key, j.pages, j.seconds, j.engine,"
    " j.reused_from IS NOT NULL, coalesce(j.config, b.config -> 'parameters'), j.configuration_id,"
    " coalesce(j.file_input, 'dfl-' || j.directory_file_id), j.parse_job_id, j.created_at,"
    " coalesce(j.finished_at, j.created_at), j.purged_at"
    " FROM jobs j LEFT JOIN batches b ON b.id = j.batch_id"
    " WHERE j.project_id = $1 AND j.job_type = $2 AND j.id = $3 AND j.status <> 'UNMAPPED'"
    " AND j.deleted_at IS NULL"
)


async def read(reader: Reader, project_id: UUID, job_type: str, job_id: UUID) -> Sequence[Any] | None:
    """The same by the driver, as a reader sees it: in the order of the fields of `JobView`."""
    found = await reader.fetch(_READ, project_id, job_type, job_id)
    return found[0] if found else None


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
    first, last = ids_born(filters.created_at_on_or_after, filters.created_at_on_or_before)
    if first is not None:
        rows = rows.where(Job.created_at >= filters.created_at_on_or_after, Job.id >= first)
    if last is not None:
        rows = rows.where(Job.created_at <= filters.created_at_on_or_before, Job.id <= last)
    rows = _of_input(_of_status(rows, job_type, filters.status), project_id, filters)
    return await newest_first(session, rows, Job.id, size=size, after=after, count=count)


def _of_status(rows: Select[Job], job_type: str, status: str | None) -> Select[Job]:
    if status is None:
        return rows
    if status == "RUNNING":
        return rows.where(Job.status == JobStatus.PENDING, _is_taken())
    if status == "THROTTLED":
        return rows.where(Job.status == JobStatus.PENDING, ~_is_taken(), _is_held())
    if status == JobStatus.FAILED:
        # Each of them has a code, and those with a code have an index.
        return rows.where(Job.status == status, Job.error_code.is_not(None))
    if status != JobStatus.PENDING:
        return rows.where(Job.status == status)
    rows = rows.where(Job.status == JobStatus.PENDING, ~_is_taken())
    # A parse job has no such state (contract 2.5): what is held of it is PENDING.
    return rows.where(~_is_held()) if job_type == JobType.EXTRACT else rows


def _of_input(rows: Select[Job], project_id: UUID, filters: JobFilters) -> Select[Job]:
    if filters.configuration_id is not None:
        spelled = _spellings(filters.configuration_id, ids.Kind.CONFIGURATION)
        of_batch = text(
            # Of the project by its value: by the job's column it would be asked anew for each job.
            "jobs.batch_id IN (SELECT b.id FROM batches b"
            " WHERE b.project_id = :owner AND b.configuration_id IN :spelled)"
        ).bindparams(bindparam("spelled", spelled, expanding=True), bindparam("owner", project_id))
        rows = rows.where(or_(Job.configuration_id.in_(spelled), of_batch))
    if filters.file_input is not None:
        kinds = (ids.Kind.FILE, ids.Kind.DIRECTORY_FILE, ids.Kind.PARSE_JOB)
        spelled = _spellings(filters.file_input, *kinds)
        entries = _uuids(spelled)
        rows = rows.where(
            or_(
                Job.file_input.in_(spelled),
                and_(Job.batch_id.is_not(None), Job.directory_file_id.in_(entries)),
            )
        )
    if filters.of_parse_jobs is not None:
        rows = rows.where(Job.parse_job_id.is_not(None) == filters.of_parse_jobs)
    return rows


def _spellings(text_: str, *kinds: ids.Kind) -> list[str]:
    """An id as it may be stored: as it was named, which is with its prefix or without."""
    named = next((kind for kind in kinds if text_.startswith(f"{kind}-")), None)
    if named is not None:
        return [text_, text_.removeprefix(f"{named}-")]
    return [text_, *(f"{kind}-{text_}" for kind in kinds)]


def _uuids(spelled: Sequence[str]) -> list[UUID]:
    found = []
    for one in spelled:
        try:
            found.append(ids.parse(ids.Kind.DIRECTORY_FILE, one))
        except NotFound:
            continue
    return found


async def running(session: AsyncSession, jobs: Sequence[Job]) -> set[UUID]:
    """Which of these jobs lie in a chunk that a worker holds now."""
    pending = [job.id for job in jobs if job.status == JobStatus.PENDING]
    if not pending:
        return set()
    found = await session.scalars(select(Job.id).where(Job.id.in_(pending), _is_taken()))
    return set(found.all())


async def throttled(session: AsyncSession, jobs: Sequence[Job]) -> set[UUID]:
    """Which of these jobs, held by no worker, wait because their lane has a limit or is on hold."""
    pending = [job.id for job in jobs if job.status == JobStatus.PENDING]
    if not pending:
        return set()
    found = await session.scalars(select(Job.id).where(Job.id.in_(pending), ~_is_taken(), _is_held()))
    return set(found.all())


async def configurations_of(session: AsyncSession, batch_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The configurations that these batches were opened with, as their callers named them."""
    if not batch_ids:
        return {}
    found = await session.execute(
        text("SELECT id, configuration_id FROM batches WHERE id = ANY(CAST(:b AS uuid[]))"),
        {"b": list(batch_ids)},
    )
    return {batch_id: str(named) for batch_id, named in found}


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
    return exists().where(Chunk.state == ChunkState.TAKEN, _is_around())


def _is_held() -> Any:
    """Not granted by the limits of its lane, or granted while nothing of the lane may start."""
    on_hold = text(
        "EXISTS (SELECT 1 FROM lanes l WHERE l.project_id = chunks.project_id"
        " AND l.job_type = chunks.job_type AND l.hold_until > now())"
    )
    waits = or_(Chunk.state == ChunkState.WAITING, and_(Chunk.state == ChunkState.READY, on_hold))
    # By the batch's key: no index names the status of a batch.
    batch_waits = text(
        "EXISTS (SELECT 1 FROM batches b WHERE b.id = jobs.batch_id AND b.status = 'THROTTLED')"
    )
    return or_(exists().where(waits, _is_around()), batch_waits)


def _is_around() -> Any:
    return or_(
        Chunk.job_id == Job.id,
        and_(Chunk.batch_id == Job.batch_id, Job.seq.between(Chunk.lo, Chunk.hi)),
    )
