"""Keeps a chunk's lease alive beside the work, on a connection of its own."""

import asyncio
import time
from types import TracebackType
from typing import Final, Self

from shared.db.outage import will_pass
from shared.db.unit_of_work import UnitOfWorkFactory
from shared.jobs import running
from shared.jobs.running import Hand, TakenChunk
from shared.telemetry import logger

log = logger(__name__)

BEAT_EVERY_S: Final = 5.0
LEASE_S: Final = 15.0


class Heart:
    """Beats every five seconds. `hand` is what the database last said; `interrupted` is set when the
    holder must break off: fenced, or the batch is to stop."""

    def __init__(self, unit_of_work: UnitOfWorkFactory, chunk: TakenChunk) -> None:
        self._unit_of_work = unit_of_work
        self._chunk = chunk
        self._renewed_at = time.monotonic()
        self._renewed = asyncio.Event()
        self.hand = Hand.GO_ON
        self.interrupted = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def heard(self, hand: Hand) -> None:
        """Take in what a flush or a beat answered."""
        if hand is not Hand.GO_ON:
            self.hand = hand
            self.interrupted.set()

    async def until_renewed(self) -> None:
        """Start no other file while the lease could not be renewed for its whole length, by this
        process's own clock (protocol rule 19): somebody else may own the work by now."""
        while time.monotonic() - self._renewed_at > LEASE_S and not self.interrupted.is_set():
            self._renewed.clear()
            try:
                async with asyncio.timeout(1.0):
                    await self._renewed.wait()
            except TimeoutError:
                continue

    async def _beat_on(self) -> None:
        pause = BEAT_EVERY_S
        while True:
            await asyncio.sleep(pause)
            try:
                async with self._unit_of_work() as uow:
                    self.heard(await running.beat(uow, self._chunk))
                self._renewed_at = time.monotonic()
                self._renewed.set()
                pause = BEAT_EVERY_S
            except Exception as error:
                if not will_pass(error):
                    log.exception("heartbeat failed")
                # Try sooner: after an outage the lease is renewed as soon as the database is back.
                pause = 1.0
