"""Stories of what leaves its holder while a stop comes."""

from collections.abc import Callable, Coroutine
from typing import Any

from shared.jobs import running
from shared.jobs.running import Hand
from shared.pausing import Point
from tests.shared.schedules.stage import Stage


async def a_stop_beside_a_move(
    stage: Stage, *, files: int, move: Callable[[Any], Coroutine[Any, Any, Any]], at: Point
) -> None:
    """Rule 16: a chunk is on its way back to READY, not committed, when the stop is asked. Once that is
    answered nothing of the batch starts, and nothing of it stays READY."""
    batch_id = await stage.granted(files)
    held = await stage.mill.taken()
    going = await stage.conductor.stopped(move(held), at)
    stop = await stage.conductor.beside(stage.cancel(batch_id))
    await going.end()
    await stop.end()
    assert await stage.mill.take() is None, "started after the stop"
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id, "CANCELLED")


async def lost(stage: Stage) -> int:
    """Every lease ends and the sweeper takes back what it finds."""
    await stage.expire()
    return await stage.sweep()


async def released(stage: Stage, held: Any, after: float = 0.0) -> Hand:
    """The holder gives its chunk back."""
    async with stage.resources.unit_of_work() as uow:
        return await running.release(uow, held.chunk, [], after=after, reason=None)


async def suspected(stage: Stage, held: Any) -> Hand:
    """The holder's means failed under a file."""
    async with stage.resources.unit_of_work() as uow:
        return await running.suspect(uow, held.chunk, [], after=0, reason="MEMORY: a test")
