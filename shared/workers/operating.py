"""What an operator may see of workers, and tell them."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import NotFound
from shared.ids import Kind, show
from shared.workers import repository, survey
from shared.workers.model import Worker
from shared.workers.service import FRESH_S
from shared.workers.survey import Ended, HeldChunk

__all__ = [
    "SWEEP_LATE_S",
    "Ended",
    "HeldChunk",
    "WorkerView",
    "count_alive",
    "count_engines",
    "ended",
    "get_worker",
    "list_workers",
    "set_drain",
    "slots_by_queue",
    "sweep_gaps",
]

SWEEP_LATE_S: Final = 5.0
"""A sweep runs every second; one that did not go well for so long is a fault."""


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker's row, the seconds since it was seen, and what it holds."""

    row: Worker
    silent_s: float
    chunks: list[HeldChunk]

    @property
    def alive(self) -> bool:
        """Was it seen lately enough to count?"""
        return self.silent_s <= FRESH_S


async def list_workers(
    uow: UnitOfWork, *, queue: str | None, size: int, after: UUID | None = None, count: bool = False
) -> Page[WorkerView]:
    """A page of workers in a fixed order; a dead one stays an hour, then it is forgotten."""
    page = await survey.page(uow.session, queue=queue, size=size, after=after, count=count)
    return Page(await _views(uow, page.items), page.next_after, page.total)


async def get_worker(uow: UnitOfWork, worker_id: UUID) -> WorkerView:
    """One worker, or `NotFound`."""
    row = await survey.get(uow.session, worker_id)
    if row is None:
        raise NotFound(f"No worker has the id {show(Kind.WORKER, worker_id)}.")
    return (await _views(uow, [row]))[0]


async def set_drain(uow: UnitOfWork, worker_id: UUID, *, drain: bool) -> WorkerView:
    """Tell a worker to take no more chunks, or to take them again. It hears it with its next heartbeat,
    within five seconds; the chunk in its hands is finished. An unknown worker is `NotFound`."""
    await survey.set_drain(uow.session, worker_id, drain=drain)
    return await get_worker(uow, worker_id)


async def slots_by_queue(uow: UnitOfWork) -> dict[str, int]:
    """Slots of living workers that take chunks, for each queue."""
    return await survey.slots_by_queue(uow.session, fresh_s=FRESH_S)


async def count_alive(uow: UnitOfWork) -> tuple[int, int]:
    """Living worker processes: (all, those that drain)."""
    return await survey.count_alive(uow.session, fresh_s=FRESH_S)


async def count_engines(uow: UnitOfWork, queue: str) -> int:
    """How many versions of engines living workers of the queue read documents with. With more than one,
    nothing is reused."""
    return len(await repository.engines(uow.session, queue, fresh_s=FRESH_S))


async def sweep_gaps(uow: UnitOfWork) -> dict[str, float]:
    """Seconds since each sweep last went well."""
    return await survey.sweep_gaps(uow.session)


async def ended(uow: UnitOfWork) -> list[Ended]:
    """What workers brought to an end since the database was made."""
    return await survey.ended(uow.session)


async def _views(uow: UnitOfWork, rows: list[Worker]) -> list[WorkerView]:
    ids = [row.id for row in rows]
    silence = await survey.silence_of(uow.session, ids)
    held = await survey.held_by(uow.session, ids)
    return [
        WorkerView(row, silence.get(row.id, 0.0), [one for one in held if one.worker_id == row.id])
        for row in rows
    ]
