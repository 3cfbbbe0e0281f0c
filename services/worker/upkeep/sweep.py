"""The steps of a sweep, each a short transaction that it commits itself."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final

from shared.batches import sweeping as batch_sweeping
from shared.db.reader import NotNow, Reader
from shared.db.unit_of_work import UnitOfWork
from shared.jobs import sweeping as job_sweeping
from shared.lanes import service as lane_service
from shared.workers import service as worker_service


async def unheard_bells(uow: UnitOfWork) -> int:
    """Ring workers for due chunks while slots stand empty."""
    rung = await job_sweeping.ring_waiting(uow)
    await uow.commit()
    return rung


async def due_batches(uow: UnitOfWork) -> int:
    """Ring batches that are due."""
    rung = await batch_sweeping.ring_due(uow)
    await uow.commit()
    return rung


async def due_lanes(uow: UnitOfWork) -> int:
    """Ring lanes that are due."""
    rung = await lane_service.ring_due(uow)
    await uow.commit()
    return rung


async def silent_workers(uow: UnitOfWork) -> int:
    """Forget workers that died long ago."""
    gone = await worker_service.forget_silent(uow)
    await uow.commit()
    return gone


Do = Callable[[UnitOfWork], Awaitable[int]]
Ask = Callable[[Reader], Awaitable[bool]]


def if_due(reader: Reader, ask: Ask, step: Do) -> Do:
    """The step, left out while a read says that nothing is due for it."""

    async def look(uow: UnitOfWork) -> int:
        return await step(uow) if await _says(ask, reader) else 0

    return look


async def _says(ask: Ask, reader: Reader) -> bool:
    try:
        return await ask(reader)
    except NotNow:
        return True  # the steps find out what is wrong, and tell it


GLANCE_HOLDS_S: Final = 0.5
MARK_AFTER_S: Final = 1.5
"""Every second beat marks while nothing is due: after five seconds without a mark leases are lengthened."""


class Glance:
    """Whether anything is due at all, asked once for all the steps that run on the same beat: a system that
    idles is asked one question a second and not four."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._turn = asyncio.Lock()
        self._at = self._marked_at = -math.inf
        self._answer = True

    def before(self, step: Do) -> Do:
        """The step, left out while nothing is due."""

        async def look(uow: UnitOfWork) -> int:
            return await step(uow) if await self._shows() else 0

        return look

    async def lost_chunks(self, uow: UnitOfWork) -> int:
        """Take back chunks whose lease ran out. That somebody looks is marked also when there are none
        (protocol rule 9)."""
        shows, now = await self._shows(), time.monotonic()
        if not shows and now - self._marked_at < MARK_AFTER_S:
            return 0
        lost = await job_sweeping.sweep_lost(uow, look=shows)
        self._marked_at = now
        return lost

    async def _shows(self) -> bool:
        async with self._turn:
            if time.monotonic() - self._at >= GLANCE_HOLDS_S:
                self._answer = await _says(batch_sweeping.is_anything_due, self._reader)
                self._at = time.monotonic()
            return self._answer
