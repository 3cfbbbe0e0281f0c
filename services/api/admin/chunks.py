"""Chunks: the ledger of what may run now."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.api.dependencies import Uow
from services.api.operators import ADMIN, OperatorPage, ProjectFilter, TheOperator, one_id
from services.api.paging import PageOf
from shared import ids
from shared.errors import NotFound
from shared.jobs import operating as job_operating
from shared.jobs.lifecycle import ChunkState, JobType
from shared.jobs.model import Chunk
from shared.jobs.operating import ChunkFilters

router = APIRouter()

DIGITS: Final = 18


class ChunkQuery(BaseModel):
    """What a list is narrowed by."""

    job_type: JobType | None = None
    batch_id: str | None = None
    state: ChunkState | None = None


class ChunkOut(BaseModel):
    """A chunk: files `first` to `last` of a batch, or one job alone. `lease_ends_at` is of a TAKEN one,
    `due_at` of one that is not."""

    id: int
    project_id: str
    job_type: JobType
    queue: str
    batch_id: str | None
    first: int | None
    last: int | None
    job_id: str | None
    size: int
    state: ChunkState
    due_at: datetime | None
    lease_ends_at: datetime | None
    worker_id: str | None
    losses: int
    stop: bool
    reason: str | None


async def filters_of(asked: Annotated[ChunkQuery, Query()], project: ProjectFilter) -> ChunkFilters:
    """The same for the room."""
    return ChunkFilters(
        project_id=project,
        job_type=asked.job_type,
        batch_id=one_id(ids.Kind.BATCH, asked.batch_id),
        state=asked.state,
    )


def show(row: Chunk) -> ChunkOut:
    """The row for an operator; the fence stays inside."""
    kind = JobType(row.job_type)
    taken = row.state == ChunkState.TAKEN
    return ChunkOut(
        id=row.id,
        project_id=ids.show(ids.Kind.PROJECT, row.project_id),
        job_type=kind,
        queue=row.queue,
        batch_id=None if row.batch_id is None else ids.show(ids.Kind.BATCH, row.batch_id),
        first=row.lo,
        last=row.hi,
        job_id=None if row.job_id is None else ids.show(kind.id_kind, row.job_id),
        size=row.size,
        state=ChunkState(row.state),
        due_at=None if taken else row.due_at,
        lease_ends_at=row.due_at if taken else None,
        worker_id=None if row.worker_id is None else ids.show(ids.Kind.WORKER, row.worker_id),
        losses=row.losses,
        stop=row.stop,
        reason=row.reason,
    )


@router.get(ADMIN + "/chunks")
async def list_pages(
    uow: Uow, page: OperatorPage, filters: Annotated[ChunkFilters, Depends(filters_of)]
) -> PageOf[ChunkOut]:
    """A page, newest first. `worker_id` is whoever held it last."""
    found = await job_operating.list_chunks(uow, filters, size=page.size, after=page.after, count=page.count)
    return page.answer(found, show)


@router.post(ADMIN + "/chunks/{chunk_id}/release")
async def release(uow: Uow, who: TheOperator, chunk_id: str) -> ChunkOut:
    """Take a chunk out of its worker's hands, or make one that is due later due now; no loss is counted.
    Anything else: 409."""
    row = await job_operating.release_chunk(uow, _id(chunk_id))
    await who.note("chunk.release", f"chunk-{row.id}", project_id=row.project_id)
    return show(row)


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise NotFound(f"No chunk has the id {text[:80]!r}.")
    return int(text)
