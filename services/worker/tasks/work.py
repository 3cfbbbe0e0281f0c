"""The bell of a work queue: take chunks and run them until the time slice ends."""

import asyncio
import math
import time
from typing import Final

from services.worker.chunk import run_chunk
from services.worker.courtesies import tell_of_end
from services.worker.runtime import Runtime
from shared.db.outage import is_outage, will_pass
from shared.jobs import running
from shared.jobs.running import Assignment
from shared.queue.messages import Work
from shared.telemetry import bind, logger

log = logger(__name__)

LOOK_EVERY_S: Final = 0.1
SHORTEST_WAIT_S: Final = 0.02
LOOK_BESIDE_S: Final = 0.25
SOON_S: Final = 2.0


async def work(runtime: Runtime, queue: str, *, slice_s: float) -> None:
    """Run chunks of `queue`, the best first, for about `slice_s` seconds; ring for the next slice.

    When the bell for the next slice does not reach the broker, go on: the broker may be away, and the
    work is in rows. A chunk that may start in a moment, because its lane has a rate, is waited for. Work
    that waits for a model elsewhere is run side by side.
    """
    shift = _Shift(runtime, queue, slice_s)
    hands = [shift.serve() for _ in range(runtime.side_by_side(queue))]
    # All of them end before one that failed is told of: what a hand holds, it gives back itself.
    ends = await asyncio.gather(*hands, return_exceptions=True)
    await shift.told()
    for ended in ends:
        if isinstance(ended, BaseException):
            raise ended


class _Shift:
    """What follows from one bell, and what the hands that share it know of each other."""

    def __init__(self, runtime: Runtime, queue: str, slice_s: float) -> None:
        self._runtime = runtime
        self._queue = queue
        # A process that hears no other queue has nothing to make room for: a hand that is free need not wait
        # for the one with the longest document.
        alone = runtime.queues == [queue] and runtime.side_by_side(queue) > 1
        self._ends_at = math.inf if alone else time.monotonic() + slice_s
        self._sent: int | None = None
        self._busy = 0
        self._telling: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Take and run chunks, one at a time, until nothing is left or the slice is over."""
        try:
            while (assignment := await self._next()) is not None:
                self._busy += 1
                try:
                    await self._run(assignment)
                finally:
                    self._busy -= 1
                    self._runtime.held.discard(assignment.chunk.token)
                if not self._is_over() and time.monotonic() > self._ends_at:
                    self._sent = self._runtime.resources.queue.sent
                    self._runtime.resources.queue.publish(Work(self._queue))
        except Exception as error:
            if not will_pass(error):
                raise
            # Whether the last take or give-back came to pass is not known. A wait for a row is no doubt: it
            # changed nothing, and a chunk that always ends so must be counted as lost some day.
            self._runtime.in_doubt |= is_outage(error)
            log.warning("database away, work goes back", error=repr(error)[:200])

    async def told(self) -> None:
        """Return when the ends of all chunks of this shift were told."""
        await asyncio.gather(*self._telling)

    async def _next(self) -> Assignment | None:
        runtime = self._runtime
        # One look at a time: hands that wait do not ask the database the same thing.
        async with runtime.looking:
            while not (runtime.stopping.is_set() or runtime.drained or self._is_over()):
                if not await runtime.is_fit():
                    return None
                await runtime.clear_doubt()
                async with runtime.unit_of_work() as uow:
                    assignment = await running.take(uow, self._queue, runtime.worker_id)
                if assignment is not None:
                    runtime.held.add(assignment.chunk.token)
                    return assignment
                if not await self._wait_for_due():
                    return None
        return None

    async def _run(self, assignment: Assignment) -> None:
        chunk = assignment.chunk
        with bind(chunk=chunk.id, batch=str(chunk.batch_id)):
            await run_chunk(self._runtime, assignment)
            # Beside the look for the next chunk.
            telling = asyncio.create_task(tell_of_end(self._runtime, chunk))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def _wait_for_due(self) -> bool:
        """Is something due soon? Then wait until it is, or until it is time to look whether better work came.
        While another hand works nobody hears a bell, so this one looks now and then."""
        async with self._runtime.unit_of_work() as uow:
            due_in = await running.next_due(uow, self._queue)
        if due_in is not None and due_in <= SOON_S:
            # Never at once: a chunk that somebody else is just taking seems to be due too.
            await asyncio.sleep(min(max(due_in, SHORTEST_WAIT_S), LOOK_EVERY_S))
            return True
        if self._busy:
            await asyncio.sleep(LOOK_BESIDE_S)
            return True
        return False

    def _is_over(self) -> bool:
        return self._sent is not None and self._runtime.resources.queue.sent > self._sent
