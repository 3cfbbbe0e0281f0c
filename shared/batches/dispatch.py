"""Decide for one lane what may run now, and grant it as READY chunks. Safe at any time, twice at once."""

import heapq
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Final
from uuid import UUID

from shared.batches import orchestration
from shared.batches.orchestration import OpenBatch
from shared.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from shared.jobs import ledger
from shared.jobs.lifecycle import JobType
from shared.lanes import service as lane_service
from shared.lanes.service import LaneRow
from shared.queue.messages import Advance, Work
from shared.workers import service as worker_service

CHUNK_SECONDS: Final = 1.0
MOST_FILES: Final = 512
FIRST_GUESS: Final = 2
UNKNOWN_PACE: Final = 0.1
CHUNKS_PER_SLOT: Final = 2
WINDOW_SECONDS: Final = 0.5
MOST_CHUNKS: Final = 64
BATCHES_AT_ONCE: Final = 8


@dataclass(order=True, slots=True)
class _Portion:
    """A batch in the order of its virtual time, with the ranges it may still be granted."""

    vtime: float
    id: UUID
    batch: OpenBatch = field(compare=False)
    ranges: list[tuple[int, int, int]] = field(compare=False)
    fed_seq: int = field(compare=False)


async def dispatch(unit_of_work: UnitOfWorkFactory, project_id: UUID, job_type: str) -> int:
    """Fill the lane's window; answers the number of chunks granted. One transaction."""
    queue = JobType(job_type).queue
    async with unit_of_work() as uow:
        lane = await lane_service.lock(uow, project_id, job_type, queue)
        if lane is None:
            return 0
        slots = max(await worker_service.slots_of(uow, queue), 1)
        ready, _files = await ledger.ready_of_lane(uow.session, project_id, job_type)
        waiting = await orchestration.hungry(uow.session, project_id, job_type, limit=BATCHES_AT_ONCE)
        portions = [p for b in waiting if (p := await _portion(uow, b, slots, ready)) is not None]
        chunks, vtime = await _grant(uow, lane, queue, portions)
        await lane_service.charge(
            uow, lane, vtime=vtime, wake_in=lane_service.LOOK_AGAIN_S if waiting else None
        )
        # A busy slot takes its next chunk by itself; only an idle one needs a bell.
        idle = slots - await ledger.taken_of_queue(uow.session, queue)
        for _ in range(min(chunks, idle)):
            uow.ring_again(Work(queue))
        await uow.commit()
    return chunks


def chunk_size(batch: OpenBatch, slots: int) -> int:
    """About one second of work by the running average; a small batch is shared among the slots."""
    left = batch.total - batch.fed_seq
    pace = batch.seconds_per_file
    by_time = FIRST_GUESS if pace is None else int(CHUNK_SECONDS / max(pace, 1e-6))
    return max(1, min(by_time, MOST_FILES, ceil(left / slots)))


def window(pace: float | None, size: int, slots: int) -> int:
    """How many chunks may stand READY: two a slot, or half a second of work when they are very short."""
    by_time = 0 if pace is None else ceil(WINDOW_SECONDS * slots / max(pace * size, 1e-4))
    return max(CHUNKS_PER_SLOT * slots, min(by_time, MOST_CHUNKS))


async def _portion(uow: UnitOfWork, batch_id: UUID, slots: int, ready: int) -> _Portion | None:
    # One that is held is looked at again in two seconds; the lane and its other batches do not wait for it.
    batch = await orchestration.lock_if_free(uow.session, batch_id)
    if batch is None or batch.stop_as is not None:
        return None
    pace = await orchestration.fold(uow.session, batch_id) or batch.seconds_per_file
    batch = replace(batch, seconds_per_file=pace)
    size = chunk_size(batch, slots)
    room = window(pace, size, slots) - ready
    if room <= 0:
        return None
    ranges = list(await orchestration.cut(uow.session, batch, size=size, most=room))
    return _Portion(batch.vtime, batch.id, batch, ranges, batch.fed_seq)


async def _grant(uow: UnitOfWork, lane: LaneRow, queue: str, portions: list[_Portion]) -> tuple[int, float]:
    """Turn ranges into chunks, the least served batch first, until the widest window is full."""
    room = max((len(p.ranges) for p in portions), default=0)
    heap = [p for p in portions if p.ranges]
    heapq.heapify(heap)
    rows: list[dict[str, object]] = []
    vtime = lane.vtime
    while heap and len(rows) < room:
        portion = heapq.heappop(heap)
        lo, hi, size = portion.ranges.pop(0)
        portion.fed_seq = hi
        if size == 0:
            await orchestration.count_ended(uow.session, portion.batch, lo, hi)
            uow.ring(Advance(portion.id))
        else:
            cost = size * (portion.batch.seconds_per_file or UNKNOWN_PACE)
            rows.append(_row(lane, queue, portion.id, (lo, hi, size), vtime))
            portion.vtime += cost / portion.batch.weight
            vtime += cost / lane.weight
        if portion.ranges:
            heapq.heappush(heap, portion)
    if rows:
        await ledger.grant(uow.session, rows)
    for portion in portions:
        if portion.fed_seq > portion.batch.fed_seq:
            await orchestration.feed(uow.session, portion.batch, fed_seq=portion.fed_seq, vtime=portion.vtime)
    return len(rows), vtime


def _row(
    lane: LaneRow, queue: str, batch_id: UUID, cut: tuple[int, int, int], rank: float
) -> dict[str, object]:
    lo, hi, size = cut
    return {
        "project_id": lane.project_id,
        "job_type": lane.job_type,
        "queue": queue,
        "batch_id": batch_id,
        "lo": lo,
        "hi": hi,
        "job_id": None,
        "size": size,
        "rank": rank,
    }
