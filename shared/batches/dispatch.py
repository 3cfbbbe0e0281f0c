"""Decide for one lane what may run now, and grant it as READY chunks. Safe at any time, twice at once."""

import heapq
import random
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from shared.batches import draining, orchestration, queueing, telling, throttling
from shared.batches.cutting import CHUNKS_PER_SLOT, FIRST_PER_SLOT, MOST_CHUNKS, chunk_size, window
from shared.batches.orchestration import OpenBatch
from shared.batches.queueing import UNKNOWN_PACE, Line, Queued
from shared.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from shared.jobs import census, ledger, reclaim
from shared.jobs.census import LaneUsage
from shared.jobs.ledger import NewChunk, WaitingChunk
from shared.jobs.lifecycle import JobType
from shared.lanes import service as lane_service
from shared.lanes.budget import AHEAD_S, Budget
from shared.lanes.limits import Waiting, WaitingCode
from shared.lanes.service import LaneRow
from shared.pausing import Point, reach
from shared.queue.messages import Advance, Work
from shared.telemetry import logger
from shared.workers import service as worker_service

log = logger(__name__)

MOST_READY: Final = 128
MOST_WAITING: Final = 500
BATCHES_AT_ONCE: Final = 8
SHORTEST_THROTTLE_S: Final = 1.0
HELD_LOOK_S: Final = 30.0
SOONEST_LOOK_S: Final = 0.05


@dataclass(order=True, slots=True)
class _Portion:
    """A batch in the order of its virtual time, with the ranges it may still be granted."""

    vtime: float
    id: UUID
    batch: OpenBatch = field(compare=False)
    ranges: list[tuple[int, int, int]] = field(compare=False)
    fed_seq: int = field(compare=False)
    enters: bool = field(compare=False)
    granted: float = field(default=0.0, compare=False)


@dataclass(slots=True)
class _Round:
    """One dispatch: the locked lane, what it uses, what its limits leave, and who wants something. `entry` is
    the virtual time with which a batch comes in of which nothing is granted."""

    uow: UnitOfWork
    lane: LaneRow
    queue: str
    slots: int
    usage: LaneUsage
    budget: Budget
    line: Line
    entry: float
    active: list[UUID] | None
    hungry: list[UUID]
    recut: bool = False

    @property
    def key(self) -> tuple[UUID, str]:
        """Project and job type."""
        return self.lane.project_id, self.lane.job_type


async def dispatch(unit_of_work: UnitOfWorkFactory, project_id: UUID, job_type: str) -> int:
    """Fill the lane's window; answers the number of chunks granted. One transaction.

    What the limits refuse is written down with its reason: on the lane, and on the batches that have to wait
    for a second or more, which are THROTTLED from now until a grant.
    """
    queue = JobType(job_type).queue
    async with unit_of_work() as uow:
        turn = await _open_round(uow, project_id, job_type, queue)
        if turn is None:
            return 0
        await reach(Point.LANE_COUNTED)
        chunks, startable = await _grant_waiting(turn)
        portions = [p for b in turn.hungry if (p := await _portion(turn, b, startable)) is not None]
        granted, vtime = await _grant(turn, portions)
        chunks += granted
        await reach(Point.GRANTED)
        wait = await _refuse(turn, portions)
        await lane_service.charge(
            uow,
            turn.lane,
            vtime=vtime,
            entry=_entry_after(turn, portions),
            tat_in=turn.budget.tat_in,
            wait=wait,
            wake_in=_look_in(turn, wait),
        )
        # A busy slot takes its next chunk by itself; only an idle one needs a bell.
        idle = turn.slots - await census.taken_of_queue(uow.session, queue)
        for _ in range(min(chunks + turn.usage.due, idle)):
            uow.ring_again(Work(queue))
        if turn.recut:
            await lane_service.ring(uow, *turn.key)
        await uow.commit()
    return chunks


async def _open_round(uow: UnitOfWork, project_id: UUID, job_type: str, queue: str) -> _Round | None:
    lane = await lane_service.lock(uow, project_id, job_type, queue)
    if lane is None:
        return None
    usage = await census.usage_of_lane(uow.session, project_id, job_type)
    active = None
    if lane.max_batches is not None:
        active = await throttling.active(uow.session, project_id, job_type, most=lane.max_batches)
    # What has a rate is granted so that each starts at its own moment: nobody can be passed.
    alone = usage.live == 0 or lane.terms.jobs_per_minute is not None
    line = Line() if alone else await queueing.line_of(uow.session, project_id, job_type)
    return _Round(
        uow=uow,
        lane=lane,
        queue=queue,
        slots=max(await worker_service.slots_of(uow, queue), 1),
        usage=usage,
        budget=Budget(lane.terms, used=usage.files),
        line=line,
        entry=max(lane.entry, line.first or 0.0),
        active=active,
        hungry=await throttling.hungry(
            uow.session, project_id, job_type, limit=BATCHES_AT_ONCE, among=active
        ),
    )


async def _grant_waiting(turn: _Round) -> tuple[int, int]:
    """Let chunks run that wait for a grant: jobs that came alone, and what was recalled from batches. They
    share with the batches that want more. Answers how many were granted, and how many of them may start now.
    """
    room = turn.budget.room
    if not turn.usage.waiting or not room:
        return 0, 0
    ahead = min(turn.budget.chunks_ahead(1), MOST_CHUNKS) - turn.usage.ahead
    places = max(CHUNKS_PER_SLOT * turn.slots - turn.usage.due, ahead)
    if not turn.budget.limited:
        # Without a limit a job that comes alone is READY at once, so one that waited is too.
        places = MOST_WAITING
    elif turn.hungry:
        # A half each; a single place falls to either by chance, so that neither starves.
        share = min(places, room)
        places = share // 2 if share > 1 else min(share, random.getrandbits(1))
    if places <= 0:
        return 0, 0
    found = await ledger.waiting_of_lane(turn.uow.session, *turn.key, limit=places, among=turn.active)
    due = await _booked(turn, found)
    if due:
        await ledger.let_run(turn.uow.session, due, virtual_now=turn.lane.virtual_now)
    return len(due), sum(due_in == 0 for _, due_in in due)


async def _booked(turn: _Round, chunks: list[WaitingChunk]) -> list[tuple[int, float]]:
    due: list[tuple[int, float]] = []
    for chunk in chunks:
        portion = min(turn.budget.portion(turn.slots), turn.budget.room)
        if portion == 0:
            break
        if chunk.batch_id is not None and chunk.size > portion:
            # Too large for the limits of today: its pieces are granted from the next round on.
            if await reclaim.recut(turn.uow.session, chunk.id, size=portion):
                turn.recut = True
            else:
                due.append((chunk.id, 0.0))
            continue
        due.append((chunk.id, turn.budget.spend(chunk.size)))
    return due


async def _portion(turn: _Round, batch_id: UUID, startable: int) -> _Portion | None:
    # One that is held is looked at again in two seconds; the lane and its other batches do not wait for it.
    session = turn.uow.session
    batch = await orchestration.lock_if_free(session, batch_id)
    if batch is None or batch.stop_as is not None or batch.paused:
        return None
    batch = await orchestration.fold_apart(session, batch)
    if batch is None:
        # Its own looks meet that too, count it and end it; the lane and its neighbours do not suffer from it.
        log.error("batch left out of a grant: its sums cannot be right", batch=str(batch_id))
        return None
    if batch.has_threshold and await draining.stop_if_hopeless(session, batch.id, batch.failures):
        turn.uow.ring(Advance(batch.id))
        return None
    enters = batch.id not in turn.line.live
    vtime = _entering(turn, batch) if enters else batch.vtime
    if turn.budget.room:
        size = min(chunk_size(batch, turn.slots), turn.budget.portion(turn.slots), turn.budget.room)
        # What is granted ahead of its time fills no place of those that could start now.
        ahead = min(turn.budget.chunks_ahead(size), MOST_CHUNKS) - turn.usage.ahead
        room = window(batch.seconds_per_file, size, turn.slots) - turn.usage.due - startable
        if turn.line.may_pass(batch.id, vtime):
            room = max(room, min(FIRST_PER_SLOT * turn.slots, MOST_READY - turn.usage.due))
        ranges = await _cut(turn, batch, size=size, most=max(room, ahead)) if room > 0 else []
    else:
        # Files that ended by themselves, as cancelled ones do, need no grant.
        ranges = [part for part in await _cut(turn, batch, size=1, most=1) if part[2] == 0]
    return _Portion(vtime, batch.id, batch, ranges, batch.fed_seq, enters)


def _entering(turn: _Round, batch: OpenBatch) -> float:
    # Its own time is from when it was made, or from when it last ran: what it waited since is no credit, and
    # what stands granted by now is no debt.
    if batch.fed_seq == 0 and turn.line.first is not None:
        return turn.entry
    return max(batch.vtime, turn.entry)


def _entry_after(turn: _Round, portions: list[_Portion]) -> float:
    """What came in and passed others moves the entry by its share: a stream of small batches gets what is
    fair among all, and the large one that they pass goes on."""
    granted = sum(p.granted for p in portions if p.enters) if turn.line.ready else 0.0
    return turn.entry + granted / max(1, len(turn.line.live | {p.id for p in portions}))


async def _cut(turn: _Round, batch: OpenBatch, *, size: int, most: int) -> list[tuple[int, int, int]]:
    return list(await orchestration.cut(turn.uow.session, batch, size=size, most=most))


async def _grant(turn: _Round, portions: list[_Portion]) -> tuple[int, float]:
    """Turn ranges into chunks, the least served batch first, until window or budget is full."""
    places = max((len(p.ranges) for p in portions), default=0)
    heap = [p for p in portions if p.ranges]
    heapq.heapify(heap)
    rows: list[NewChunk] = []
    coming: list[Queued] = []
    vtime = turn.lane.vtime
    while heap and len(rows) < places:
        portion = heapq.heappop(heap)
        lo, hi, size = portion.ranges.pop(0)
        if size > turn.budget.room:
            if not turn.budget.room:
                continue
            # Only the part that fits; what is left of the range is cut again by a later dispatch.
            rest = replace(portion.batch, fed_seq=portion.fed_seq)
            portion.ranges = await _cut(turn, rest, size=turn.budget.room, most=1)
            if not portion.ranges:
                continue
            lo, hi, size = portion.ranges.pop(0)
        portion.fed_seq = hi
        if size == 0:
            await orchestration.count_ended(turn.uow.session, portion.batch, lo, hi)
            turn.uow.ring(Advance(portion.id))
        else:
            cost = size * (portion.batch.seconds_per_file or UNKNOWN_PACE)
            rows.append(_row(turn, portion.id, (lo, hi, size), vtime))
            span = cost / portion.batch.weight
            coming.append(Queued(portion.id, portion.vtime, span, cost, vtime))
            portion.granted += span
            portion.vtime += span
            vtime += cost / turn.lane.weight
        if portion.ranges:
            heapq.heappush(heap, portion)
    if rows:
        await ledger.grant(turn.uow.session, await _in_line(turn, rows, coming))
    await _feed(turn, portions)
    return len(rows), vtime


async def _in_line(turn: _Round, rows: list[NewChunk], coming: list[Queued]) -> list[NewChunk]:
    """The chunks to be, each with its rank; what is passed by them moves back."""
    there = turn.line.ready
    ranks = queueing.laid(there, coming, weight=turn.lane.weight)
    if ranks is None:
        return rows
    moved = zip(there, ranks, strict=False)
    await queueing.move(turn.uow.session, [(one.id, rank) for one, rank in moved if one.id is not None])
    return [replace(row, rank=rank) for row, rank in zip(rows, ranks[len(there) :], strict=True)]


async def _feed(turn: _Round, portions: list[_Portion]) -> None:
    """Write down how far each batch was granted; of one that got nothing only what was folded is told."""
    session = turn.uow.session
    for portion in portions:
        if portion.fed_seq > portion.batch.fed_seq:
            await orchestration.feed(session, portion.batch, fed_seq=portion.fed_seq, vtime=portion.vtime)
        elif portion.batch.folded:
            await telling.tell_progress(session, portion.id, portion.batch.failures)


async def _refuse(turn: _Round, portions: list[_Portion]) -> Waiting | None:
    """Write down what was refused; answers the lane's own reason."""
    session = turn.uow.session
    if turn.active is not None:
        limit = turn.lane.max_batches
        wait = Waiting(
            WaitingCode.BATCH_CONCURRENCY,
            "project",
            f"At most {limit} {'batch' if limit == 1 else 'batches'} of this project may be worked on at a"
            " time.",
            limit=limit,
            used=len(turn.active),
        )
        await throttling.throttle(session, *turn.key, wait, but=turn.active)
    refusal = None
    if turn.hungry or turn.usage.waiting:
        refusal = turn.budget.refusal(job_seconds=_job_seconds(turn, portions))
    if refusal is not None and (refusal.until_in is None or refusal.until_in >= SHORTEST_THROTTLE_S):
        await throttling.throttle(session, *turn.key, refusal, among=turn.active)
    await throttling.release(session, *turn.key, refused=refusal is not None, active=turn.active)
    return refusal


def _job_seconds(turn: _Round, portions: list[_Portion]) -> float | None:
    """How long a chunk of the lane takes that runs now, going by the files that wait."""
    paces = [p.batch.seconds_per_file for p in portions if p.batch.seconds_per_file is not None]
    if not paces or not turn.usage.live:
        return None
    return min(paces) * turn.usage.files / turn.usage.live


def _look_in(turn: _Round, wait: Waiting | None) -> float | None:
    """When to look at the lane again; None when nothing of it waits."""
    full = turn.active is not None and len(turn.active) == turn.lane.max_batches
    if not (turn.hungry or turn.usage.waiting or full):
        return None
    if wait is None or wait.code is WaitingCode.PROJECT_CONCURRENCY:
        return lane_service.LOOK_AGAIN_S
    if wait.code is WaitingCode.PROJECT_RATE:
        soon = (wait.until_in or 0.0) - AHEAD_S
        return min(max(soon, SOONEST_LOOK_S), lane_service.LOOK_AGAIN_S)
    return HELD_LOOK_S if wait.until_in is None else min(wait.until_in, HELD_LOOK_S)


def _row(turn: _Round, batch_id: UUID, cut: tuple[int, int, int], rank: float) -> NewChunk:
    lo, hi, size = cut
    return NewChunk(
        project_id=turn.lane.project_id,
        job_type=turn.lane.job_type,
        queue=turn.queue,
        batch_id=batch_id,
        lo=lo,
        hi=hi,
        size=size,
        rank=rank,
        due_in=turn.budget.spend(size),
    )
