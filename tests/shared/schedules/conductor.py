"""Drives two or three coroutines through one interleaving: stop one at a point, run another, let go."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.pausing import Point, listening

T = TypeVar("T")
LIMIT_S = 20.0


class KilledError(BaseException):
    """The process died here. No `except Exception` of the product may catch it, as none catches a kill -9."""


class Actor(Generic[T]):
    """A coroutine that runs until it stands at its point."""

    def __init__(self, stop_at: Point | None, *, dies: bool) -> None:
        self.stop_at = stop_at
        self.dies = dies
        self.arrived = asyncio.Event()
        self.go_on = asyncio.Event()
        self.task: asyncio.Task[T]

    async def reach(self, point: Point) -> None:
        """Stand, or die, at the point the first time it is reached."""
        if point is not self.stop_at or self.arrived.is_set():
            return
        self.arrived.set()
        if self.dies:
            raise KilledError(point)
        await asyncio.wait_for(self.go_on.wait(), LIMIT_S)

    async def end(self) -> T:
        """Let go, and answer what the coroutine answers."""
        self.go_on.set()
        return await asyncio.wait_for(self.task, LIMIT_S)


class Conductor:
    """Starts actors; each hears of points in its own tasks only."""

    def __init__(self, blocked: Callable[[], Awaitable[bool]]) -> None:
        self._blocked = blocked
        self._actor: ContextVar[Actor[Any] | None] = ContextVar("actor", default=None)
        self._actors: list[Actor[Any]] = []

    def _start(self, work: Coroutine[Any, Any, T], actor: Actor[T]) -> Actor[T]:
        token = self._actor.set(actor)
        actor.task = asyncio.create_task(work)
        self._actor.reset(token)
        self._actors.append(actor)
        return actor

    async def hear(self, point: Point) -> None:
        """What the product calls at each point."""
        actor = self._actor.get()
        if actor is not None:
            await actor.reach(point)

    async def stopped(self, work: Coroutine[Any, Any, T], at: Point) -> Actor[T]:
        """Run `work` until it stands at the point. It must get there."""
        actor = self._start(work, Actor[T](at, dies=False))
        arrived = asyncio.create_task(actor.arrived.wait())
        await asyncio.wait({arrived, actor.task}, timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()
        if not actor.arrived.is_set():
            if actor.task.done():
                actor.task.result()
            raise RuntimeError(f"never came to: {at}")
        return actor

    async def beside(self, work: Coroutine[Any, Any, T]) -> Actor[T]:
        """Run `work` to its end, or until it waits for a lock that another holds."""
        actor = self._start(work, Actor[T](None, dies=False))
        async with asyncio.timeout(LIMIT_S):
            while not actor.task.done() and not await self._blocked():
                await asyncio.sleep(0.01)
        return actor

    async def killed(self, work: Coroutine[Any, Any, Any], at: Point) -> bool:
        """Run `work` and let it die at the point; False when it ended without coming there."""
        actor = self._start(work, Actor[Any](at, dies=True))
        try:
            await asyncio.wait_for(actor.task, LIMIT_S)
        except KilledError:
            return True
        return False

    async def close(self) -> None:
        """Whoever still stands is let go."""
        for actor in self._actors:
            actor.go_on.set()
            actor.task.cancel()
        await asyncio.gather(*(actor.task for actor in self._actors), return_exceptions=True)


@contextmanager
def conducting(blocked: Callable[[], Awaitable[bool]]) -> Iterator[Conductor]:
    """A conductor that hears of every point of this process."""
    conductor = Conductor(blocked)
    with listening(conductor.hear):
        yield conductor


def reworded(
    engine: AsyncEngine, fragment: str, instead: str
) -> tuple[Callable[[], int], Callable[[], None]]:
    """Say `instead` of the fragment in every statement. Answers how often that was, and how to end it."""
    met = 0

    def rewrite(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _m: Any) -> tuple[str, Any]:
        nonlocal met
        met += statement.count(fragment)
        return statement.replace(fragment, instead), parameters

    event.listen(engine.sync_engine, "before_cursor_execute", rewrite, retval=True)
    return lambda: met, lambda: event.remove(engine.sync_engine, "before_cursor_execute", rewrite)


@contextmanager
def without(engine: AsyncEngine, fragment: str, instead: str = "") -> Iterator[None]:
    """Take a protecting piece out of every statement that has it. It must be met, else a control would go
    on in peace when the statement has changed its words."""
    met, end = reworded(engine, fragment, instead)
    try:
        yield
    finally:
        end()
        if not met():
            raise LookupError(f"no statement says any more: {fragment}")
