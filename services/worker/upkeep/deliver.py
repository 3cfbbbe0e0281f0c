"""Sends webhooks side by side, in the loop of upkeep.

A server that is dead or slow holds few places, and after a failure a single one, so that others are not kept
waiting by it; a project holds a part of all places at most.
"""

import asyncio
import ssl
import time
from collections import Counter
from typing import Final
from uuid import UUID

from services.worker.upkeep.trying import Sender
from shared.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from shared.outbound.dialing import Dialer, Resolver
from shared.pausing import Point, reach
from shared.telemetry import logger
from shared.webhooks import delivering
from shared.webhooks.delivering import End, Room, Taken
from shared.webhooks.service import Gate

log = logger(__name__)

AT_ONCE: Final = 256
AT_ONCE_OF_PROJECT: Final = 64
AT_ONCE_OF_DESTINATION: Final = 8
AT_ONCE_OF_FAILING: Final = 1
REMEMBERED: Final = 10_000
LEAVE_WITHIN_S: Final = 5.0


class Deliverer:
    """Takes what is due, sends it, and says how it ended. `ended` is set while there are ends to be settled.
    `resolve` and `tls` are for tests."""

    def __init__(
        self,
        gate: Gate,
        *,
        keep_days: int,
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._dialer = Dialer(gate.policy, connections=AT_ONCE, resolve=resolve, tls=tls)
        self._sender = Sender(self._dialer, gate.vault)
        self._keep_days = keep_days
        self._running: dict[asyncio.Task[None], Taken] = {}
        self._ends: list[End] = []
        self.ended = asyncio.Event()
        self._failing: dict[UUID, None] = {}

    async def start_due(self, uow: UnitOfWork) -> int:
        """Take what is due, as far as there are places, and begin to send it; answers how many."""
        room = self._room()
        if room.all <= 0:
            return 0
        taken = await delivering.take(uow, room)
        for one in taken:
            task = asyncio.create_task(self._send(one))
            self._running[task] = one
            task.add_done_callback(self._over)
        return len(taken)

    async def settle(self, uow: UnitOfWork) -> int:
        """Write the ends there are. When that fails they stay, for the next time."""
        ends = list(self._ends)
        if not ends:
            return 0
        accepted = await delivering.settle(uow, ends)
        del self._ends[: len(ends)]
        if not self._ends:
            self.ended.clear()
        for end in ends:
            if end.status == "DEAD" and end.id in accepted:
                log.warning("a webhook is given up", delivery=str(end.id), reason=end.error)
        return len(ends)

    async def forget_old(self, uow: UnitOfWork) -> int:
        """Remove what ended long ago."""
        return await delivering.forget_old(uow, days=self._keep_days)

    async def leave(self, unit_of_work: UnitOfWorkFactory) -> None:
        """Let what runs come to its end for some seconds; the rest is due again at once."""
        if self._running:
            await asyncio.wait(self._running, timeout=LEAVE_WITHIN_S)
        left = dict(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        async with unit_of_work() as uow:
            await self.settle(uow)
            if left:
                await delivering.give_back(uow, [one.token for one in left.values()])

    async def close(self) -> None:
        """Close all connections."""
        await self._dialer.close()

    def _room(self) -> Room:
        in_hand = self._running.values()
        destinations = Counter(one.destination for one in in_hand)
        free = {
            where: max(0, self._most(where) - destinations[where])
            for where in destinations.keys() | self._failing.keys()
        }
        return Room(
            all=AT_ONCE - len(self._running),
            each=AT_ONCE_OF_DESTINATION,
            per_project=AT_ONCE_OF_PROJECT,
            destinations=free,
            projects=Counter(one.project_id for one in in_hand),
        )

    def _most(self, destination: UUID) -> int:
        return AT_ONCE_OF_FAILING if destination in self._failing else AT_ONCE_OF_DESTINATION

    async def _send(self, one: Taken) -> None:
        started = time.monotonic()
        end = await self._sender.send(one)
        await reach(Point.WEBHOOK_SENT)
        self._ends.append(end)
        self.ended.set()
        if end.status == "SENT":
            self._failing.pop(one.destination, None)
            return
        if len(self._failing) < REMEMBERED:
            self._failing[one.destination] = None
        log.info(
            "a webhook was not delivered",
            delivery=str(one.id),
            attempt=one.attempts,
            code=end.code,
            reason=end.error,
            seconds=round(time.monotonic() - started, 3),
        )

    def _over(self, task: asyncio.Task[None]) -> None:
        one = self._running.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Nothing is lost: it is due again when its lease ends.
            log.error("a webhook's sender broke", delivery=str(one.id), exc_info=error)
