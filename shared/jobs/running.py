"""What a worker may do: take a chunk, keep it alive, hand in what it did, give the rest back.

Every function is one short transaction that it commits itself. Losing the fence is an answer, not an
error: the loser stops and deletes nothing, because after 'committed, answer lost' the loser is the winner.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import UUID

from shared.db.unit_of_work import UnitOfWork
from shared.jobs import census, ledger, reclaim, reporting, repository, reuse
from shared.jobs.codes import FailureCode
from shared.jobs.reclaim import LOSSES_ALONE
from shared.jobs.taken import FileToRun, JobEnd, TakenChunk
from shared.lanes import service as lane_service
from shared.pausing import Point, reach
from shared.queue.messages import Advance, Work
from shared.webhooks import announcing
from shared.workers import service as worker_service

__all__ = [
    "Assignment",
    "FileToRun",
    "Hand",
    "JobEnd",
    "TakenChunk",
    "beat",
    "close",
    "flush",
    "give_back_forgotten",
    "next_due",
    "release",
    "ring_when_low",
    "suspect",
    "take",
    "tell_of_end",
]


class Hand(Enum):
    """What the database said to a holder."""

    GO_ON = "go on"
    STOP = "stop"
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class Assignment:
    """A taken chunk, the files of it that have no end yet, and the parameters to run them with."""

    chunk: TakenChunk
    files: list[FileToRun]
    parameters: dict[str, Any]


async def take(uow: UnitOfWork, queue: str, worker_id: UUID) -> Assignment | None:
    """Claim the best chunk that is due, or None."""
    chunk = await ledger.take(uow.session, queue, worker_id)
    if chunk is None:
        return None
    files = await ledger.open_files(uow.session, chunk)
    if chunk.batch_id is not None:
        parameters = await repository.config_of_batch(uow.session, chunk.batch_id)
    else:
        assert chunk.job_id is not None
        parameters = await repository.config_of_job(uow.session, chunk.job_id)
    if chunk.hooked:
        await announcing.jobs_run(uow, [file.job_id for file in files])
    await uow.commit()
    await reach(Point.TAKEN)
    return Assignment(chunk, files, parameters)


async def beat(uow: UnitOfWork, chunk: TakenChunk) -> Hand:
    """Renew the lease and hear whether to stop."""
    stop = await ledger.beat(uow.session, chunk)
    await uow.commit()
    return _hand(stop)


async def flush(uow: UnitOfWork, chunk: TakenChunk, ends: Sequence[JobEnd]) -> Hand:
    """Write the ends of some files, if the chunk is still ours."""
    await reach(Point.BEFORE_FLUSH)
    hand = _hand(await ledger.hold(uow.session, chunk))
    await reach(Point.CHUNK_HELD)
    if hand is not Hand.FENCED and ends:
        await _write(uow, chunk, ends)
        await uow.commit()
    return hand


async def close(
    uow: UnitOfWork,
    chunk: TakenChunk,
    ends: Sequence[JobEnd],
    *,
    seconds: float,
    again_in: float = 1.0,
    again_for: str | None = None,
) -> Hand:
    """Hand in the last ends and close the chunk; `seconds` is the time its files took. When a stop was
    asked, the rest is CANCELLED first; else, when a job of it is still open, the chunk goes back, due in
    `again_in` seconds, with the reason `again_for`."""
    if again_for is not None:
        await lane_service.look_in(uow, chunk.project_id, chunk.job_type, seconds=again_in)
    hand = _hand(await ledger.hold(uow.session, chunk))
    if hand is Hand.FENCED:
        return hand
    if ends:
        await _write(uow, chunk, ends)
    await reach(Point.FLUSHED)
    if hand is Hand.STOP:
        await reporting.cancel_open(uow, chunk)
    if not await ledger.close(uow.session, chunk, seconds=seconds):
        await ledger.release(uow.session, chunk, after=again_in, reason=again_for)
    await uow.commit()
    return hand


async def suspect(
    uow: UnitOfWork, chunk: TakenChunk, ends: Sequence[JobEnd], *, after: float, reason: str
) -> Hand:
    """Our means failed under a file, and work under another: the file is the suspect. Its neighbours go on
    without it; suffered alone, it is charged like a loss, and the third time it fails."""
    hand = _hand(await ledger.hold(uow.session, chunk))
    if hand is Hand.FENCED:
        return hand
    if ends:
        await _write(uow, chunk, ends)
    if hand is Hand.STOP:
        await _end_stopped(uow, chunk)
    elif chunk.size > 1:
        await reclaim.split(uow.session, chunk, after=after)
    elif chunk.losses + 1 < LOSSES_ALONE:
        await reclaim.count_loss(uow.session, chunk, after=after, reason=reason)
    else:
        message = f"It could not be processed in {LOSSES_ALONE} tries: {reason}"
        await reporting.fail_open(uow, chunk, code=FailureCode.ENGINE_ERROR, message=message)
        await ledger.close(uow.session, chunk, seconds=0)
    await uow.commit()
    return hand


async def release(
    uow: UnitOfWork, chunk: TakenChunk, ends: Sequence[JobEnd], *, after: float, reason: str | None
) -> Hand:
    """Hand in what is done and give the rest back, due in `after` seconds, without counting a loss."""
    if after > 0:
        await lane_service.look_in(uow, chunk.project_id, chunk.job_type, seconds=after)
    hand = _hand(await ledger.hold(uow.session, chunk))
    if hand is Hand.FENCED:
        return hand
    await reach(Point.CHUNK_HELD)
    if ends:
        await _write(uow, chunk, ends)
    await _hand_back(uow, chunk, hand, after=after, reason=reason)
    await uow.commit()
    return hand


async def give_back_forgotten(uow: UnitOfWork, worker_id: UUID, held: Collection[UUID]) -> int:
    """Give back what this worker took and does not know of, because the answer died with the database, or
    could not give back then; no loss is counted. Answers how many chunks. `held` are the tokens of what it
    works on. The caller sees to it that no take of this worker is on its way: that would be given back too.
    """
    forgotten = await reclaim.lock_forgotten(uow.session, worker_id, held)
    for chunk in forgotten:
        await _hand_back(uow, chunk, _hand(chunk.stop), after=0, reason=None)
    await uow.commit()
    return len(forgotten)


async def ring_when_low(uow: UnitOfWork, chunk: TakenChunk) -> None:
    """Ring the lane when fewer chunks of it stand ready than there are slots, or none of this batch, which
    has more; commits."""
    usage = await census.usage_of_lane(uow.session, chunk.project_id, chunk.job_type)
    low = usage.due + usage.ahead < await worker_service.slots_of(uow, chunk.queue)
    if low or (chunk.batch_id is not None and await census.wants_more(uow.session, chunk.batch_id)):
        await lane_service.ring(uow, chunk.project_id, chunk.job_type)
    await uow.commit()


async def tell_of_end(uow: UnitOfWork, chunk: TakenChunk) -> None:
    """Ring whoever waits for the end of a chunk: its batch when nothing of that is left, its lane when that
    refused something; commits.

    Comes after the close committed, so that of two chunks closed at once at least one sees the other gone
    (protocol rule 4). Lost with its process, it costs a wait: batch and lane have due times.
    """
    if chunk.batch_id is not None and await census.live_of_batch(uow.session, chunk.batch_id) == 0:
        uow.ring(Advance(chunk.batch_id))
    await lane_service.ring(uow, chunk.project_id, chunk.job_type, only_waiting=True)
    await uow.commit()


async def next_due(uow: UnitOfWork, queue: str) -> float | None:
    """In how many seconds the next chunk of the queue may start; None when there is none."""
    return await census.next_due(uow.session, queue)


async def _hand_back(
    uow: UnitOfWork, chunk: TakenChunk, hand: Hand, *, after: float, reason: str | None
) -> None:
    if hand is Hand.STOP:
        await _end_stopped(uow, chunk)
    elif not await ledger.close(uow.session, chunk, seconds=0):
        await ledger.release(uow.session, chunk, after=after, reason=reason)
        if after <= 0:
            uow.ring(Work(chunk.queue))


async def _write(uow: UnitOfWork, chunk: TakenChunk, ends: Sequence[JobEnd]) -> None:
    await ledger.write_ends(uow.session, chunk, ends)
    await reuse.keep(uow.session, chunk, ends)
    if chunk.hooked:
        await announcing.jobs_moved(uow, [end.job_id for end in ends])


async def _end_stopped(uow: UnitOfWork, chunk: TakenChunk) -> None:
    # Given back it would lie there: nobody takes what is to stop.
    await reporting.cancel_open(uow, chunk)
    await ledger.close(uow.session, chunk, seconds=0)


def _hand(stop: bool | None) -> Hand:  # noqa: FBT001 - the flag as the row has it
    if stop is None:
        return Hand.FENCED
    return Hand.STOP if stop else Hand.GO_ON
