"""What a request may do with a batch that is under way: pause, resume, another threshold."""

from uuid import UUID

from shared.batches import draining, orchestration, pauses, telling
from shared.batches.model import Batch
from shared.batches.service import get_batch, reread_batch
from shared.batches.threshold import Threshold
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict
from shared.jobs import reclaim
from shared.lanes import service as lane_service
from shared.pausing import Point, reach
from shared.queue.messages import Advance, Dispatch

__all__ = ["Threshold", "pause_batch", "resume_batch", "set_threshold"]


async def pause_batch(uow: UnitOfWork, project_id: UUID, batch_id: UUID, *, by: str) -> Batch:
    """Nothing of the batch is started after the answer; what is in the hands of a worker runs to its end.

    Asked twice is asked once, and the first word stands. `Conflict` when it is final or being stopped.
    """
    batch = await get_batch(uow, project_id, batch_id)
    if not await _hold(uow, batch, "be paused"):
        await pauses.begin(uow.session, batch_id, by=by)
        await reach(Point.PAUSE_HELD)
        # In the same commit: no chunk is taken after the answer (protocol rule 16).
        await reclaim.hold_back(uow.session, batch_id)
        await telling.tell(uow.session, batch_id, "batch.paused", {})
        await pauses.throttle_if_idle(uow.session, batch_id)
        # Its place among the batches that may be worked on at once is free.
        uow.ring(Dispatch(batch.project_id, batch.job_type))
    return await reread_batch(uow, batch)


async def resume_batch(uow: UnitOfWork, project_id: UUID, batch_id: UUID) -> Batch:
    """The batch goes on at once; one that is not paused stays as it is. `Conflict` when it is final or being
    stopped."""
    batch = await get_batch(uow, project_id, batch_id)
    # The lane comes before the batch; and were the bell lost, the lane would know of no waiting chunk.
    await lane_service.look_in(uow, batch.project_id, batch.job_type, seconds=0)
    if await _hold(uow, batch, "be resumed"):
        await pauses.end(uow.session, batch_id)
        await reclaim.let_go(uow.session, batch_id)
        await telling.tell(uow.session, batch_id, "batch.resumed", {})
        uow.ring(Dispatch(batch.project_id, batch.job_type))
        uow.ring(Advance(batch_id))
    return await reread_batch(uow, batch)


async def set_threshold(
    uow: UnitOfWork, project_id: UUID, batch_id: UUID, threshold: Threshold | None
) -> Batch:
    """Replace the batch's failure threshold, or take it away; what failed so far counts. `Conflict` when it
    is final or being stopped."""
    wanted = None if threshold is None else threshold.checked()
    batch = await get_batch(uow, project_id, batch_id)
    await _hold(uow, batch, "be given another threshold")
    await draining.set_threshold(uow.session, batch_id, wanted)
    uow.ring(Advance(batch_id))
    return await reread_batch(uow, batch)


async def _hold(uow: UnitOfWork, batch: Batch, wish: str) -> bool:
    """Hold the batch to the end of the transaction; answers whether it is paused."""
    held = await orchestration.lock(uow.session, batch.id)
    if held is None:
        now = await reread_batch(uow, batch)
        raise Conflict(f"The batch is {now.status} already; a final batch cannot {wish}.")
    if held.stop_as is not None:
        raise Conflict(f"The batch is being stopped, to end {held.stop_as}; it cannot {wish} any more.")
    return held.paused
