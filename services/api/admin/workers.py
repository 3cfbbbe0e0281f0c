"""Workers: who takes chunks, and what is in their hands."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from services.api.dependencies import Uow
from services.api.operators import ADMIN, OperatorPage, TheOperator
from services.api.paging import PageOf
from shared import ids
from shared.workers import operating as worker_operating
from shared.workers.operating import HeldChunk, WorkerView

router = APIRouter()


class DrainIn(BaseModel):
    """Take no more chunks, or take them again."""

    drain: bool = True


class HeldOut(BaseModel):
    """A chunk in a worker's hands."""

    id: int
    batch_id: str | None
    lease_ends_at: datetime


class WorkerOut(BaseModel):
    """One worker process. `alive`: seen within 15 seconds. A dead one is listed for an hour. `engine`: the
    version of what it reads documents with."""

    id: str
    alive: bool
    drain: bool
    host: str
    pid: int
    version: str
    engine: str | None
    queues: list[str]
    slots: int
    side_by_side: int
    started_at: datetime
    seen_at: datetime
    chunks: list[HeldOut]


def show(view: WorkerView) -> WorkerOut:
    """The row for an operator."""
    row = view.row
    return WorkerOut(
        id=ids.show(ids.Kind.WORKER, row.id),
        alive=view.alive,
        drain=row.drain,
        host=row.host,
        pid=row.pid,
        version=row.version,
        engine=row.engine,
        queues=row.queues,
        slots=row.slots,
        side_by_side=row.side_by_side,
        started_at=row.started_at,
        seen_at=row.seen_at,
        chunks=[_held(one) for one in view.chunks],
    )


@router.get(ADMIN + "/workers")
async def list_pages(
    uow: Uow, page: OperatorPage, queue: Annotated[str | None, Query(description="Only this queue's.")] = None
) -> PageOf[WorkerOut]:
    """A page, in a fixed order."""
    found = await worker_operating.list_workers(
        uow, queue=queue, size=page.size, after=page.after, count=page.count
    )
    return page.answer(found, show)


@router.post(ADMIN + "/workers/{worker_id}/drain")
async def drain(uow: Uow, who: TheOperator, worker_id: str, asked: DrainIn | None = None) -> WorkerOut:
    """Let a worker finish what it holds and take nothing more, or (`drain` false) take chunks again. It hears
    it within five seconds."""
    how = asked or DrainIn()
    view = await worker_operating.set_drain(uow, ids.parse(ids.Kind.WORKER, worker_id), drain=how.drain)
    answer = show(view)
    await who.note("worker.drain", answer.id, detail=how.model_dump())
    return answer


def _held(chunk: HeldChunk) -> HeldOut:
    batch = None if chunk.batch_id is None else ids.show(ids.Kind.BATCH, chunk.batch_id)
    return HeldOut(id=chunk.chunk_id, batch_id=batch, lease_ends_at=chunk.lease_ends_at)
