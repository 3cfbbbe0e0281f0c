"""Steps that wait for a call rest until it comes; what is due is sent at the next look, and then settled."""

import asyncio
import time

import pytest

from services.worker.upkeep import process, sweep
from services.worker.upkeep.deliver import Deliverer
from services.worker.upkeep.process import Step, keep_up
from services.worker.upkeep.sweep import Glance
from shared.db.reader import NotNow, Reader
from shared.db.unit_of_work import UnitOfWork
from shared.webhooks.delivering import is_anything_due
from shared.webhooks.service import Gate
from shared.wiring import Resources
from tests.services.worker.upkeep.conftest import Receiver, Tell, over, sending, until
from tests.services.worker.upkeep.test_glance import quiet_mill
from tests.shared.conftest import Mill

MARKED_LONG_AGO = "UPDATE sweeps SET last_ok_at = now() - interval '4 s' WHERE name = 'chunks'"
SINCE_MARK = "SELECT CAST(extract(epoch FROM now() - last_ok_at) AS float8) FROM sweeps WHERE name = 'chunks'"


async def test_a_step_with_a_call_is_done_when_it_is_called_and_ends_with_the_rest(
    resources: Resources,
) -> None:
    call, stopping, done = asyncio.Event(), asyncio.Event(), []

    async def do(_: UnitOfWork) -> int:
        done.append(time.monotonic())
        if len(done) % 2 == 0:
            call.clear()
        return 1

    running = asyncio.create_task(keep_up(resources, stopping, more=[Step("called", 0.1, do, call=call)]))
    await asyncio.sleep(0.5)
    assert not done
    for times in (2, 4):
        call.set()
        while len(done) < times:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        assert len(done) == times, "the call is over"
        assert done[times - 1] - done[times - 2] > 0.05
    stopping.set()
    async with asyncio.timeout(5):
        await running


@pytest.mark.parametrize(
    ("now", "beat"), [(120.0, 120.6), (120.01, 120.6), (120.54, 120.6), (120.56, 121.2), (121.1, 121.2)]
)
def test_steps_of_one_beat_wake_the_process_together(
    monkeypatch: pytest.MonkeyPatch, now: float, beat: float
) -> None:
    """Whenever each was done: one that took longer than its beat comes back to it."""
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert now + process._until_beat(0.6) == pytest.approx(beat)


async def test_what_becomes_due_while_nothing_is_sent_goes_out_at_the_next_look_and_its_end_is_written(
    mill: Mill, tell: Tell, gate: Gate, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[bool, bool]] = []
    committed = False

    async def looking(reader: Reader) -> bool:
        after, found = committed, await is_anything_due(reader)
        looks.append((after, found))
        return found

    monkeypatch.setattr(process, "is_anything_due", looking)
    async with sending(mill.resources, Deliverer(gate, keep_days=1)):
        while len(looks) < 2:
            await asyncio.sleep(0.02)
        assert not any(found for _, found in looks)
        await tell(receiver.url)
        committed = True
        await until(over(mill))
    assert len(receiver.heard) == 1
    first = next(number for number, (_, found) in enumerate(looks) if found)
    assert not any(after for after, _ in looks[:first]), "a look after the commit did not find it"


async def test_while_nothing_is_due_every_other_beat_marks_and_a_lost_chunk_waits_for_none(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "GLANCE_HOLDS_S", 0.0)
    mill = await quiet_mill(resources)
    glance = Glance(resources.reader)

    async def beat() -> int:
        async with resources.unit_of_work() as uow:
            return await glance.lost_chunks(uow)

    await beat()
    await mill.sql(MARKED_LONG_AGO)
    assert await beat() == 0
    assert await mill.one(SINCE_MARK) > 3, "it marked twice within a moment"
    await asyncio.sleep(sweep.MARK_AFTER_S)
    await beat()
    assert await mill.one(SINCE_MARK) < 1
    await mill.add_worker()
    batch = await mill.open_batch(3)
    await mill.advance(batch)
    await mill.dispatch()
    await mill.taken()
    await mill.sql("UPDATE chunks SET due_at = now() - interval '1 s' WHERE state = 'TAKEN'")
    assert await beat() == 1


async def test_nothing_is_taken_while_no_delivery_is_due(mill: Mill, tell: Tell, receiver: Receiver) -> None:
    await tell(receiver.url)
    assert await is_anything_due(mill.resources.reader)
    await mill.sql("UPDATE webhook_deliveries SET due_at = now() + interval '1 h'")
    assert not await is_anything_due(mill.resources.reader)
    asked: list[UnitOfWork] = []

    async def take(uow: UnitOfWork) -> int:
        asked.append(uow)
        return 1

    step = sweep.if_due(mill.resources.reader, is_anything_due, take)
    async with mill.resources.unit_of_work() as uow:
        assert (await step(uow), asked) == (0, [])
        await mill.sql("UPDATE webhook_deliveries SET due_at = now()")
        assert (await step(uow), asked) == (1, [uow])


async def test_a_read_that_fails_leaves_nothing_out(mill: Mill) -> None:
    async def fails(_: Reader) -> bool:
        raise NotNow

    async def take(_: UnitOfWork) -> int:
        return 1

    async with mill.resources.unit_of_work() as uow:
        assert await sweep.if_due(mill.resources.reader, fails, take)(uow) == 1
