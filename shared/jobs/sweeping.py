"""What upkeep does to chunks: take back what was lost, ring what nobody heard."""

from typing import Final

from shared.db.unit_of_work import UnitOfWork
from shared.jobs import census, ledger, reclaim, reporting
from shared.jobs.codes import FailureCode
from shared.jobs.ledger import LEASE_S
from shared.jobs.reclaim import LOSSES_ALONE
from shared.jobs.taken import TakenChunk
from shared.lanes import service as lane_service
from shared.pausing import Point, reach
from shared.queue.messages import Advance, Work
from shared.workers import service as worker_service

SWEEP: Final = "chunks"
BELLS_A_TICK: Final = 16


async def sweep_lost(uow: UnitOfWork, *, look: bool = True) -> int:
    """Take back chunks whose lease ran out; commits. Answers how many. Without `look` the caller knows that
    there are none, and only the mark is set.

    When this sweep itself was away for longer than a third of a lease, nobody could renew either: every
    holder gets one more lease and nothing is taken in this tick (protocol rule 9).
    """
    gap = await worker_service.open_sweep(uow, SWEEP)
    if gap is None:
        return 0
    await reach(Point.SWEEP_ASKED)
    lost: list[TakenChunk] = []
    if gap > LEASE_S / 3:
        await reclaim.lengthen_all(uow.session, lease_s=LEASE_S)
    else:
        lost = await reclaim.lock_expired(uow.session, limit=200) if look else []
        await reach(Point.LOST_HELD)
        for chunk in lost:
            await _take_back(uow, chunk)
    if lost:
        # It may have taken a while; of an empty sweep the mark that opened it is as good.
        await worker_service.mark_sweep(uow, SWEEP)
    await uow.commit()
    # Lanes are locked before chunks everywhere, so they are rung in a transaction of their own.
    for project_id, job_type in {(chunk.project_id, chunk.job_type) for chunk in lost}:
        await lane_service.ring(uow, project_id, job_type)
    await uow.commit()
    return len(lost)


async def _take_back(uow: UnitOfWork, chunk: TakenChunk) -> None:
    if chunk.stop:
        # Nobody will take it again: what it holds has its end.
        await reporting.cancel_open(uow, chunk)
        await ledger.close(uow.session, chunk, seconds=0)
        if chunk.batch_id is not None:
            uow.ring(Advance(chunk.batch_id))
        return
    if chunk.size > 1:
        # The company of other files is no guilt: only a file lost alone is charged (protocol rule 6).
        await reclaim.split(uow.session, chunk)
    elif chunk.losses + 1 < LOSSES_ALONE:
        await reclaim.count_loss(uow.session, chunk, after=0, reason="WORKER_LOST")
    else:
        await _give_up(uow, chunk)
    uow.ring(Work(chunk.queue))


async def _give_up(uow: UnitOfWork, chunk: TakenChunk) -> None:
    message = f"The worker died {LOSSES_ALONE} times while this file alone was being processed."
    await reporting.fail_open(uow, chunk, code=FailureCode.WORKER_LOST, message=message)
    await ledger.close(uow.session, chunk, seconds=0)
    if chunk.batch_id is not None:
        uow.ring(Advance(chunk.batch_id))


async def ring_waiting(uow: UnitOfWork) -> int:
    """Ring workers for chunks that are due while slots stand empty; answers the number of bells.

    A bell may have been lost with the broker's memory. One too many is one empty query.
    """
    rung = 0
    for queue, due, taken in await census.bells_wanted(uow.session):
        free = await worker_service.slots_of(uow, queue) - taken
        for _ in range(min(due, max(free, 0), BELLS_A_TICK)):
            uow.ring_again(Work(queue))
            rung += 1
    return rung
