"""The process dies once at each point: sweeps and due times alone bring the batch to its end."""

from collections.abc import Coroutine
from typing import Any

import pytest

from shared.batches import redriving
from shared.batches.redrive import RedriveKind, redrive_batch
from shared.pausing import Point
from tests.shared.conftest import done
from tests.shared.schedules.stage import Stage

ELSEWHERE = {
    Point.RESULT_MADE,
    Point.BLOB_STORED,
    Point.DRAIN_DROPPED,
    Point.COMMITTED,
    # Of retention, whose deaths are in tests/shared/retention.
    Point.SLICE_REMOVED,
    Point.BLOBS_TAKEN,
    Point.BLOBS_REMOVED,
    # Of a request and of the sender, which are killed as processes in tests/services.
    Point.ANSWER_KEPT,
    Point.WEBHOOKS_TAKEN,
    Point.WEBHOOK_SENT,
}
OF_A_LIFE = [point for point in Point if point not in ELSEWHERE]


class Mortal:
    """Makes moves of which the first that comes to the point dies there."""

    def __init__(self, stage: Stage, point: Point) -> None:
        self._stage = stage
        self._point = point
        self.died = False

    async def move(self, work: Coroutine[Any, Any, Any]) -> None:
        """One move, to its end or to its death."""
        if self.died:
            await work
        else:
            self.died = await self._stage.conductor.killed(work, self._point)


async def live(stage: Stage, mortal: Mortal, *, stopped: bool) -> None:
    """A life with everything in it: spread, grant, a pause, a loss, a split, flushes, closes,
    and maybe a stop."""
    batch_id = await stage.mill.open_batch(8)
    await mortal.move(stage.mill.advance(batch_id))
    await stage.mill.advance(batch_id)
    await stage.mill.sql("UPDATE batches SET seconds_per_file = 0.125 WHERE id = :b", b=batch_id)
    await mortal.move(stage.mill.dispatch())
    await stage.mill.dispatch()
    await mortal.move(stage.pause(batch_id))
    await mortal.move(stage.resume(batch_id))
    await stage.resume(batch_id)
    await stage.mill.dispatch()
    await mortal.move(stage.mill.take())
    await stage.mill.take()
    await stage.expire()
    await mortal.move(stage.sweep())
    await stage.expire()
    await stage.sweep()
    for flush_first in (True, False):
        held = await stage.mill.taken()
        ends = [done(held.chunk, file) for file in held.files]
        if flush_first:
            await mortal.move(stage.mill.flush(held.chunk, ends))
        await mortal.move(stage.mill.close(held.chunk, ends))
    if stopped:
        await stage.cancel(batch_id)
    await mortal.move(stage.mill.advance(batch_id))
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id, "CANCELLED" if stopped else "COMPLETED")


@pytest.mark.parametrize("point", OF_A_LIFE)
async def test_a_death_costs_time_and_nothing_else(stage: Stage, point: Point) -> None:
    mortal = Mortal(stage, point)
    await live(stage, mortal, stopped=False)
    assert mortal.died


async def test_a_death_inside_the_drain(stage: Stage) -> None:
    mortal = Mortal(stage, Point.DRAIN_DROPPED)
    await live(stage, mortal, stopped=True)
    assert mortal.died


@pytest.mark.parametrize("at", range(8))
async def test_a_death_between_a_commit_and_its_bells(stage: Stage, at: int) -> None:
    mortal = Mortal(stage, Point.COMMITTED)
    moves = 0
    move = mortal.move

    async def sometimes(work: Coroutine[Any, Any, Any]) -> None:
        nonlocal moves
        if moves == at:
            await move(work)
        else:
            await work
        moves += 1

    mortal.move = sometimes  # type: ignore[method-assign]
    await live(stage, mortal, stopped=False)
    assert mortal.died


@pytest.mark.parametrize("point", [Point.SPREAD_LOCKED, Point.SPREAD_PAGE])
@pytest.mark.parametrize("stopped", [False, True])
async def test_a_death_while_a_redrive_reads(
    stage: Stage, point: Point, monkeypatch: pytest.MonkeyPatch, *, stopped: bool
) -> None:
    monkeypatch.setattr(redriving, "SCAN", 2)
    old = await stage.mill.open_batch(5)
    await stage.mill.advance(old)
    await stage.mill.dispatch()
    while (held := await stage.mill.take()) is not None:
        ends = [done(held.chunk, file, "CORRUPT_FILE") for file in held.files]
        await stage.mill.close(held.chunk, ends)
        await stage.mill.dispatch()
    await stage.bring_to_end(old)
    async with stage.resources.unit_of_work() as uow:
        batch = await redrive_batch(uow, stage.mill.project_id, old, RedriveKind.FAILED)
        await uow.commit()
    assert await stage.conductor.killed(stage.mill.advance(batch.id), point)
    if stopped:
        await stage.cancel(batch.id)
    await stage.bring_to_end(batch.id)
    await stage.mill.assert_exact(batch.id, "CANCELLED" if stopped else "COMPLETED")
    assert (await stage.mill.batch(batch.id)).total == 5
