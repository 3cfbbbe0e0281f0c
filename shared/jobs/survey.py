"""The statements on jobs and chunks of all projects, for operators and metrics."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, exists, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.repository import Page, count_of, newest_first
from shared.jobs.lifecycle import ChunkState, JobStatus
from shared.jobs.model import Chunk, Job


@dataclass(frozen=True, slots=True)
class ChunkFilters:
    """What a list of chunks is narrowed by; None leaves a filter out."""

    project_id: UUID | None = None
    job_type: str | None = None
    batch_id: UUID | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class AnyJobFilters:
    """What a list of jobs of all projects is narrowed by; None leaves a filter out."""

    project_id: UUID | None = None
    job_type: str | None = None
    batch_id: UUID | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What stands before the workers of a queue. Ages and delays are in seconds."""

    queue: str
    ready_due: int
    ready_later: int
    waiting: int
    taken: int
    expired: int
    files: int
    oldest_due_s: float


async def chunks(
    session: AsyncSession, filters: ChunkFilters, *, size: int, after: UUID | None, count: bool
) -> Page[Chunk]:
    """Chunks, newest first. Their ids are numbers; `after` carries one in the form of a UUID."""
    rows = select(Chunk)
    wanted: tuple[tuple[Any, Any], ...] = (
        (Chunk.project_id, filters.project_id),
        (Chunk.job_type, filters.job_type),
        (Chunk.batch_id, filters.batch_id),
        (Chunk.state, filters.state),
    )
    for column, value in wanted:
        if value is not None:
            rows = rows.where(column == value)
    total = await count_of(session, rows) if count else None
    if after is not None:
        rows = rows.where(Chunk.id < after.int)
    found = list((await session.scalars(rows.order_by(Chunk.id.desc()).limit(size + 1))).all())
    items = found[:size]
    return Page(items, UUID(int=items[-1].id) if len(found) > size else None, total)


async def get_chunk(session: AsyncSession, chunk_id: int) -> Chunk | None:
    """One chunk, as it is now."""
    return await session.get(Chunk, chunk_id, populate_existing=True)


async def free_chunk(session: AsyncSession, chunk_id: int, *, reason: str) -> bool:
    """Make a TAKEN chunk, or one that is READY later, due now without its fence. False: it is neither, or is
    being stopped: that needs its holder, or the sweep after it."""
    done = await session.execute(
        text(
            "UPDATE chunks SET state = CASE WHEN paused THEN 'WAITING' ELSE 'READY' END, token = NULL,"
            " reason = :r, due_at = now()"
            " WHERE id = :c AND NOT stop"
            " AND (state = 'TAKEN' OR (state = 'READY' AND due_at > now())) RETURNING true"
        ),
        {"c": chunk_id, "r": reason},
    )
    return done.scalar_one_or_none() is True


async def jobs(
    session: AsyncSession, filters: AnyJobFilters, *, size: int, after: UUID | None, count: bool
) -> Page[Job]:
    """Jobs of all projects, newest first. No index names a status: a filter by a rare one reads far back."""
    rows = _visible()
    wanted: tuple[tuple[Any, Any], ...] = (
        (Job.project_id, filters.project_id),
        (Job.job_type, filters.job_type),
        (Job.batch_id, filters.batch_id),
    )
    for column, value in wanted:
        if value is not None:
            rows = rows.where(column == value)
    if filters.status == "RUNNING":
        rows = rows.where(Job.status == JobStatus.PENDING, _is_taken())
    elif filters.status == JobStatus.PENDING:
        rows = rows.where(Job.status == JobStatus.PENDING, ~_is_taken())
    elif filters.status == JobStatus.FAILED:
        rows = rows.where(Job.status == filters.status, Job.error_code.is_not(None))
    elif filters.status is not None:
        rows = rows.where(Job.status == filters.status)
    return await newest_first(session, rows, Job.id, size=size, after=after, count=count)


async def get_job(session: AsyncSession, job_id: UUID) -> Job | None:
    """One job of any project, as it is now, unless it was deleted or never got an id to show."""
    rows = _visible().where(Job.id == job_id).execution_options(populate_existing=True)
    return (await session.scalars(rows)).one_or_none()


async def chunk_of_job(session: AsyncSession, job: Job) -> Chunk | None:
    """The chunk that lets the job run, if there is one that has not ended."""
    rows = select(Chunk).where(Chunk.state != ChunkState.DONE)
    if job.batch_id is None:
        rows = rows.where(Chunk.job_id == job.id)
    else:
        rows = rows.where(Chunk.batch_id == job.batch_id, Chunk.lo <= job.seq, Chunk.hi >= job.seq)
    return (await session.scalars(rows.limit(1))).one_or_none()


async def reopen_job(session: AsyncSession, job_id: UUID) -> bool:
    """Make a job that came alone and ended badly PENDING again. False: it is another one, or a chunk of it
    is still in somebody's hands."""
    done = await session.execute(
        text(
            "UPDATE jobs j SET status = 'PENDING', finished_at = NULL, error_code = NULL,"
            " error_message = NULL, retryable = NULL, token = NULL, pages = NULL, seconds = NULL,"
            " engine = NULL"
            " WHERE j.id = :j AND j.batch_id IS NULL AND j.deleted_at IS NULL"
            " AND j.status IN ('FAILED','CANCELLED')"
            " AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.job_id = j.id) RETURNING true"
        ),
        {"j": job_id},
    )
    return done.scalar_one_or_none() is True


async def copy_alone(session: AsyncSession, job_id: UUID, *, file_input: str) -> UUID | None:
    """A new job without a batch over the same file, with the configuration of the batch of `job_id`. None
    when that one did not end badly, or such a job over the same file has no end yet: asked twice is asked
    once. The caller holds the lane, so of two at once one sees the other."""
    made = await session.execute(
        text(
            "INSERT INTO jobs (project_id, job_type, directory_file_id, file_id, name, size_bytes, sha256,"
            "  config, configuration_id, file_input, parse_job_id)"
            " SELECT j.project_id, j.job_type, j.directory_file_id, j.file_id, j.name, j.size_bytes,"
            "  j.sha256, b.config -> 'parameters', b.configuration_id, :input, j.parse_job_id"
            " FROM jobs j JOIN batches b ON b.id = j.batch_id"
            " WHERE j.id = :j AND j.status IN ('FAILED','CANCELLED') AND j.deleted_at IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM chunks c JOIN jobs k ON k.id = c.job_id"
            "  WHERE c.project_id = j.project_id AND c.job_type = j.job_type AND c.state <> 'DONE'"
            "  AND k.batch_id IS NULL AND k.directory_file_id = j.directory_file_id) RETURNING id"
        ),
        {"j": job_id, "input": file_input},
    )
    return made.scalar_one_or_none()


async def queue_depths(session: AsyncSession) -> list[QueueDepth]:
    """For each queue with chunks: how many in which state, and for how long the oldest has been due."""
    rows = await session.execute(
        text(
            "SELECT queue, count(*) FILTER (WHERE state = 'READY' AND due_at <= now()),"
            " count(*) FILTER (WHERE state = 'READY' AND due_at > now()),"
            " count(*) FILTER (WHERE state = 'WAITING'), count(*) FILTER (WHERE state = 'TAKEN'),"
            " count(*) FILTER (WHERE state = 'TAKEN' AND due_at < now()), sum(size),"
            " coalesce(extract(epoch FROM now() - min(due_at) FILTER (WHERE state = 'READY'"
            "  AND due_at <= now())), 0)"
            " FROM chunks WHERE state <> 'DONE' GROUP BY queue ORDER BY queue"
        )
    )
    return [
        QueueDepth(
            queue=queue,
            ready_due=int(due),
            ready_later=int(later),
            waiting=int(waiting),
            taken=int(taken),
            expired=int(expired),
            files=int(files),
            oldest_due_s=float(oldest),
        )
        for queue, due, later, waiting, taken, expired, files, oldest in rows
    ]


def _visible() -> Select[Job]:
    return select(Job).where(Job.status != JobStatus.UNMAPPED, Job.deleted_at.is_(None))


def _is_taken() -> Any:
    return exists().where(
        Chunk.state == ChunkState.TAKEN,
        or_(
            Chunk.job_id == Job.id,
            and_(Chunk.batch_id == Job.batch_id, Job.seq.between(Chunk.lo, Chunk.hi)),
        ),
    )
