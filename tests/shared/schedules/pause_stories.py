"""The schedules of a pause: nothing of a batch starts after it was answered."""

from shared.pausing import Point
from tests.shared.schedules.stage import Stage


async def a_take_after_the_pause(stage: Stage) -> None:
    """Rule 16, of a pause: it is answered, nobody has looked at the batch, and a worker looks for work."""
    batch_id = await stage.granted(12)
    await stage.pause(batch_id)
    assert await stage.mill.take() is None
    await stage.mill.advance(batch_id)
    await stage.mill.dispatch()
    assert await stage.mill.take() is None
    await stage.resume(batch_id)
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)


async def a_pause_beside_a_dispatch(stage: Stage) -> None:
    """Rule 16, of a pause: it comes while a dispatch has granted and not committed; none of it starts."""
    batch_id = await stage.mill.open_batch(12)
    await stage.mill.advance(batch_id)
    grant = await stage.conductor.stopped(stage.mill.dispatch(), Point.GRANTED)
    pause = await stage.conductor.beside(stage.pause(batch_id))
    await grant.end()
    await pause.end()
    assert await stage.mill.one("SELECT count(*) FROM chunks") > 0
    assert await stage.mill.take() is None
    await stage.resume(batch_id)
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)


async def a_pause_beside_a_grant_of_what_waited(stage: Stage) -> None:
    """Rule 16, of a pause: a chunk that waited is being granted; the dispatch holds it, and not its batch."""
    batch_id = await stage.granted(1)
    await stage.mill.sql("UPDATE chunks SET state = 'WAITING'")
    grant = await stage.conductor.stopped(stage.mill.dispatch(), Point.GRANTED)
    pause = await stage.conductor.beside(stage.pause(batch_id))
    await grant.end()
    await pause.end()
    assert await stage.mill.take() is None
    await stage.resume(batch_id)
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)


async def a_dispatch_beside_a_pause(stage: Stage) -> None:
    """Rule 16, of a pause: a dispatch chose its batches before the pause, and comes to this one after it."""
    batch_id = await stage.mill.open_batch(12)
    await stage.mill.advance(batch_id)
    dispatch = await stage.conductor.stopped(stage.mill.dispatch(), Point.LANE_COUNTED)
    await stage.pause(batch_id)
    await dispatch.end()
    assert await stage.mill.take() is None
    await stage.resume(batch_id)
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)


async def a_loss_in_a_paused_batch(stage: Stage) -> None:
    """Rules 6 and 16: a worker dies with a chunk of a paused batch; its files wait, alone or not."""
    batch_id = await stage.granted(8, pace=0.01)
    held = await stage.mill.taken()
    assert len(held.files) > 1
    await stage.pause(batch_id)
    await stage.expire()
    assert await stage.sweep() == 1
    await stage.mill.dispatch()
    assert await stage.mill.take() is None
    await stage.resume(batch_id)
    await stage.mill.dispatch()
    alone = await stage.mill.taken()
    assert len(alone.files) == 1
    await stage.pause(batch_id)
    await stage.expire()
    await stage.sweep()
    assert await stage.mill.take() is None
    await stage.resume(batch_id)
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)
