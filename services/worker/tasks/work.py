"""The bell of a work queue: take chunks and run them until the time slice ends."""

import asyncio
import time
from typing import Final

from services.worker.chunk import run_chunk
from services.worker.runtime import Runtime
from shared.db.outage import will_pass
from shared.jobs import running
from shared.queue.messages import Work
from shared.telemetry import bind, logger

log = logger(__name__)

LOOK_EVERY_S: Final = 0.1
SOON_S: Final = 2.0


async def work(runtime: Runtime, queue: str, *, slice_s: float) -> None:
    """Run chunks of `queue`, the best first, for about `slice_s` seconds; ring for the next slice.

    When the bell for the next slice does not reach the broker, go on: the broker may be away, and the
    work is in rows. A chunk that may start in a moment, because its lane has a rate, is waited for.
    """
    bells = runtime.resources.queue
    ends_at = time.monotonic() + slice_s
    sent: int | None = None
    try:
        while not runtime.stopping.is_set() and not runtime.drained and await runtime.is_fit():
            if not await _run_one(runtime, queue) and not await _wait_for_due(runtime, queue):
                return
            if sent is not None and bells.sent > sent:
                return
            if time.monotonic() > ends_at:
                sent = bells.sent
                bells.publish(Work(queue))
    except Exception as error:
        if not will_pass(error):
            raise
        log.warning("database away, work goes back", error=repr(error)[:200])


async def _run_one(runtime: Runtime, queue: str) -> bool:
    async with runtime.unit_of_work() as uow:
        assignment = await running.take(uow, queue, runtime.worker_id)
    if assignment is None:
        return False
    chunk = assignment.chunk
    with bind(chunk=chunk.id, batch=str(chunk.batch_id)):
        await run_chunk(runtime, assignment)
        async with runtime.unit_of_work() as uow:
            await running.tell_of_end(uow, chunk)
    return True


async def _wait_for_due(runtime: Runtime, queue: str) -> bool:
    """Is something due soon? Then wait until it is, or until it is time to look whether better work came."""
    async with runtime.unit_of_work() as uow:
        due_in = await running.next_due(uow, queue)
    if due_in is None or due_in > SOON_S:
        return False
    await asyncio.sleep(min(due_in, LOOK_EVERY_S))
    return True
