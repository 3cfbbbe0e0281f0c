"""What an operator may do with jobs and chunks of all projects."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, NotFound
from shared.ids import Kind, show
from shared.jobs import repository, service, survey
from shared.jobs.lifecycle import ChunkState, JobStatus, JobType
from shared.jobs.model import Chunk, Job
from shared.jobs.survey import AnyJobFilters, ChunkFilters, QueueDepth
from shared.queue.messages import Work
from shared.webhooks import announcing

__all__ = [
    "STUCK_S",
    "AnyJobFilters",
    "AnyJobView",
    "ChunkFilters",
    "QueueDepth",
    "get_job",
    "list_chunks",
    "list_jobs",
    "queue_depths",
    "release_chunk",
    "retry_job",
]

RELEASED: Final = "RELEASED_BY_OPERATOR"
STUCK_S: Final = 10.0
"""Work that is due for so long beside an empty slot is stuck: a bell and several sweeps were missed."""
ENDED_BADLY: Final = frozenset({JobStatus.FAILED, JobStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class AnyJobView:
    """A job's row, its state as a reader sees it (RUNNING is in no row), and the chunk that lets it run."""

    row: Job
    status: str
    chunk: Chunk | None = None


async def list_jobs(
    uow: UnitOfWork, filters: AnyJobFilters, *, size: int, after: UUID | None = None, count: bool = False
) -> Page[AnyJobView]:
    """A page of jobs of all projects, newest first, without their chunks."""
    page = await survey.jobs(uow.session, filters, size=size, after=after, count=count)
    running = await repository.running(uow.session, page.items)
    views = [AnyJobView(job, "RUNNING" if job.id in running else job.status) for job in page.items]
    return Page(views, page.next_after, page.total)


async def get_job(uow: UnitOfWork, job_id: UUID) -> AnyJobView:
    """One job of any project, or `NotFound`."""
    job = await _job(uow, job_id)
    chunk = await survey.chunk_of_job(uow.session, job)
    running = chunk is not None and chunk.state == ChunkState.TAKEN and job.status == JobStatus.PENDING
    return AnyJobView(job, "RUNNING" if running else job.status, chunk)


async def retry_job(uow: UnitOfWork, job_id: UUID) -> AnyJobView:
    """Run the file of a job that ended badly once more; answers the job to look at.

    A job that came alone is opened again under its own id. One of a batch stays as it is, since a final batch
    never changes: a new job alone is opened over the same file, with the batch's configuration. A job that
    is not FAILED or CANCELLED is a `Conflict`.
    """
    job = await _job(uow, job_id)
    if job.status not in ENDED_BADLY:
        raise Conflict(f"The job is {job.status}; only a FAILED or CANCELLED one can be tried again.")
    place = await service.charge_alone(uow, job.project_id, JobType(job.job_type))
    if job.batch_id is None:
        opened = job.id if await survey.reopen_job(uow.session, job.id) else None
    else:
        opened = await survey.copy_alone(uow.session, job.id, file_input=show(Kind.FILE, job.file_id))
    if opened is None:
        raise Conflict("The job changed at the same time, or is being tried again already. Look at it again.")
    await service.grant_alone(uow, place, opened)
    if job.batch_id is not None and await announcing.inherit(
        uow, job.batch_id, opened, about=[announcing.JOBS]
    ):
        await announcing.jobs_moved(uow, [opened])
    return await get_job(uow, opened)


async def list_chunks(
    uow: UnitOfWork, filters: ChunkFilters, *, size: int, after: UUID | None = None, count: bool = False
) -> Page[Chunk]:
    """A page of chunks of all projects, newest first."""
    return await survey.chunks(uow.session, filters, size=size, after=after, count=count)


async def release_chunk(uow: UnitOfWork, chunk_id: int) -> Chunk:
    """Take a chunk out of its worker's hands, or make one that is due later due now. No loss is counted. The
    old holder is fenced: it stops with its next heartbeat or flush, and nothing it still does counts.

    A chunk that is due already, waits for its lane, is being stopped, or is DONE is a `Conflict`. Making one
    due that a rate spread over the minute lets it start before its time: the operator's word counts more.
    """
    freed = await survey.free_chunk(uow.session, chunk_id, reason=RELEASED)
    chunk = await survey.get_chunk(uow.session, chunk_id)
    if chunk is None:
        raise NotFound(f"No chunk has the id {chunk_id}.")
    if not freed:
        raise Conflict(f"The chunk is {chunk.state}{_why(chunk)}: there is nothing to release.")
    uow.ring(Work(chunk.queue))
    return chunk


async def queue_depths(uow: UnitOfWork) -> list[QueueDepth]:
    """What stands before the workers of each queue that has chunks."""
    return await survey.queue_depths(uow.session)


async def _job(uow: UnitOfWork, job_id: UUID) -> Job:
    job = await survey.get_job(uow.session, job_id)
    if job is None:
        raise NotFound(f"No job has the id {job_id}.")
    return job


def _why(chunk: Chunk) -> str:
    if chunk.stop:
        return " and being stopped"
    return {
        ChunkState.READY: " and due",
        ChunkState.WAITING: " until its lane lets it in",
        ChunkState.DONE: "",
    }.get(ChunkState(chunk.state), "")
