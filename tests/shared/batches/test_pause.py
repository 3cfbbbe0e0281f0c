"""A paused batch: nothing more of it starts, it says so, costs its lane nothing, and goes on at once."""

from typing import Any
from uuid import UUID

import pytest

from shared.batches import service as batch_service
from shared.batches import steering
from shared.batches.advance import Step
from shared.errors import Conflict
from shared.jobs import running, survey
from shared.jobs.running import Hand
from shared.queue.messages import Advance, Dispatch
from tests.shared.batches.by_hand import explained, finish, limit, opened, status_of
from tests.shared.conftest import Mill


async def pause(mill: Mill, batch_id: UUID, by: str = "the key bmk_1 (mine)") -> Any:
    async with mill.resources.unit_of_work() as uow:
        batch = await steering.pause_batch(uow, mill.project_id, batch_id, by=by)
        await uow.commit()
    return batch


async def resume(mill: Mill, batch_id: UUID) -> Any:
    async with mill.resources.unit_of_work() as uow:
        batch = await steering.resume_batch(uow, mill.project_id, batch_id)
        await uow.commit()
    return batch


async def granted(mill: Mill, files: int) -> UUID:
    batch_id: UUID = await opened(mill, files)
    await mill.dispatch()
    return batch_id


async def test_what_was_granted_is_taken_back_and_what_runs_ends(mill: Mill, an_end: Any, bells: Any) -> None:
    batch_id = await granted(mill, 20)
    held = await mill.taken()
    batch = await pause(mill, batch_id)
    assert batch.paused_at is not None
    assert batch.status == "RUNNING", "something of it runs"
    assert await mill.take() is None
    assert await mill.dispatch() == 0
    bells.rung.clear()
    await finish(mill, held, an_end)
    assert len(bells.heard(Advance)) == 1, "nothing of it runs any more"
    await mill.advance(batch_id)
    row = await mill.batch(batch_id)
    assert (row.status, row.wait["code"], row.ok) == ("THROTTLED", "PAUSED", len(held.files))
    assert "the key bmk_1 (mine)" in row.wait["message"]
    assert await mill.take() is None


async def test_it_goes_on_at_once_and_ends_exactly(mill: Mill, bells: Any) -> None:
    batch_id = await granted(mill, 20)
    await pause(mill, batch_id)
    assert await status_of(mill, batch_id) == "THROTTLED"
    bells.rung.clear()
    batch = await resume(mill, batch_id)
    assert (batch.status, batch.paused_at, batch.wait) == ("RUNNING", None, None)
    assert len(bells.heard(Advance)) == len(bells.heard(Dispatch)) == 1
    assert await mill.dispatch() > 0
    assert await mill.take() is not None


async def test_bells_that_are_lost_at_the_resume_cost_a_second(mill: Mill) -> None:
    """All of it was granted: only the lane's due time lets its waiting chunks be found again."""
    batch_id = await granted(mill, 1)
    await pause(mill, batch_id)
    await mill.dispatch()
    assert await mill.one("SELECT wake_at FROM lanes") is None, "a paused batch costs its lane no look"
    await resume(mill, batch_id)
    assert await mill.one("SELECT wake_at <= now() FROM lanes")
    assert await mill.one("SELECT wake_at <= now() FROM batches")
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)


async def test_a_word_given_twice_is_given_once(mill: Mill) -> None:
    batch_id = await granted(mill, 2)
    first = await pause(mill, batch_id, by="one")
    second = await pause(mill, batch_id, by="other")
    assert (second.paused_at, second.paused_by) == (first.paused_at, "one")
    await resume(mill, batch_id)
    again = await resume(mill, batch_id)
    assert again.paused_at is None
    events = await mill.sql("SELECT kind FROM batch_events WHERE kind <> 'batch.progress' ORDER BY n")
    assert [kind for (kind,) in events] == [
        "batch.running",
        "batch.paused",
        "batch.throttled",
        "batch.resumed",
    ]


async def test_explain_says_who_and_since_when(mill: Mill) -> None:
    await mill.add_worker()
    batch_id = await granted(mill, 2)
    batch = await pause(mill, batch_id)
    found = await explained(mill, batch_id)
    assert found.waiting is not None
    assert found.waiting["code"] == "PAUSED"
    assert f"{batch.paused_at:%Y-%m-%dT%H:%M}" in found.waiting["message"]
    assert "the key bmk_1 (mine)" in found.waiting["message"]
    assert [check.name for check in found.checks if not check.ok] == ["pause"]
    async with mill.resources.unit_of_work() as uow:
        page = await batch_service.list_batches(
            uow, mill.project_id, filters=batch_service.BatchFilters(status="THROTTLED"), size=5
        )
    assert [one.id for one in page.items] == [batch_id]


async def test_it_is_always_looked_at_again_within_half_a_minute(mill: Mill) -> None:
    batch_id = await granted(mill, 20)
    await pause(mill, batch_id)
    for _ in range(3):
        assert await mill.advance(batch_id) is Step.WAITING
        assert await mill.one("SELECT wake_at - now() <= interval '30 s' FROM batches")
    assert await status_of(mill, batch_id) == "THROTTLED"


async def test_a_pause_before_the_directory_was_read(mill: Mill) -> None:
    batch_id = await mill.open_batch(5)
    batch = await pause(mill, batch_id)
    assert batch.status == "PENDING"
    await mill.advance(batch_id)
    await mill.dispatch()
    await mill.advance(batch_id)
    assert (await mill.batch(batch_id)).total == 5
    assert await status_of(mill, batch_id) == "THROTTLED"
    assert await mill.take() is None
    await resume(mill, batch_id)
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)


async def test_a_batch_with_nothing_left_ends_although_it_is_paused(mill: Mill, an_end: Any) -> None:
    batch_id = await granted(mill, 1)
    held = await mill.taken()
    await pause(mill, batch_id)
    await finish(mill, held, an_end)
    assert await mill.advance(batch_id) is Step.ENDED
    await mill.assert_exact(batch_id)


async def test_a_cancel_ends_a_paused_batch(mill: Mill) -> None:
    batch_id = await granted(mill, 20)
    await pause(mill, batch_id)
    async with mill.resources.unit_of_work() as uow:
        await batch_service.cancel_batch(uow, mill.project_id, batch_id)
        await uow.commit()
    for change in (pause, resume):
        with pytest.raises(Conflict, match="is being stopped"):
            await change(mill, batch_id)
    while await mill.advance(batch_id) is not Step.ENDED:
        pass
    await mill.assert_exact(batch_id, "CANCELLED")
    for change in (pause, resume):
        with pytest.raises(Conflict, match="CANCELLED already"):
            await change(mill, batch_id)


async def test_limits_neither_start_nor_release_what_is_paused(mill: Mill) -> None:
    batch_id = await granted(mill, 20)
    await pause(mill, batch_id)
    await limit(mill, max_jobs=2)
    await limit(mill, max_jobs=None)
    for _ in range(2):
        assert await mill.dispatch() == 0
        await mill.advance(batch_id)
    row = await mill.batch(batch_id)
    assert (row.status, row.wait["code"]) == ("THROTTLED", "PAUSED")
    assert await mill.take() is None
    assert await mill.one("SELECT wake_at FROM lanes") is None


async def test_a_batch_that_waits_for_a_limit_says_that_it_is_paused_from_then_on(mill: Mill) -> None:
    await limit(mill, max_jobs=1)
    first = await granted(mill, 2)
    other = await granted(mill, 2)
    assert (await mill.batch(other)).wait["code"] == "PROJECT_CONCURRENCY"
    await pause(mill, other)
    assert (await mill.batch(other)).wait["code"] == "PAUSED"
    await mill.dispatch()
    assert (await mill.batch(other)).wait["code"] == "PAUSED"
    await resume(mill, other)
    await mill.run_all(first)
    await mill.run_all(other)
    await mill.assert_exact(other)


async def test_a_paused_batch_gives_its_place_to_another(mill: Mill) -> None:
    await limit(mill, max_batches=1)
    first = await granted(mill, 20)
    other = await granted(mill, 2)
    assert await status_of(mill, other) == "THROTTLED"
    await pause(mill, first)
    assert await mill.dispatch() > 0
    assert await status_of(mill, other) == "RUNNING"


@pytest.mark.parametrize("back", ["release", "later", "suspect", "operator"])
async def test_what_comes_back_waits_for_the_resume(mill: Mill, back: str) -> None:
    batch_id = await granted(mill, 20)
    held = await mill.taken()
    await pause(mill, batch_id)
    async with mill.resources.unit_of_work() as uow:
        if back == "release":
            assert await running.release(uow, held.chunk, [], after=0, reason=None) is Hand.GO_ON
        elif back == "later":
            assert await running.release(uow, held.chunk, [], after=0.01, reason="r") is Hand.GO_ON
        elif back == "suspect":
            assert await running.suspect(uow, held.chunk, [], after=0, reason="r") is Hand.GO_ON
        else:
            assert await survey.free_chunk(uow.session, held.chunk.id, reason="r")
            await uow.commit()
    await mill.dispatch()
    assert await mill.take() is None
    await mill.advance(batch_id)
    assert await status_of(mill, batch_id) == "THROTTLED"
    await resume(mill, batch_id)
    await mill.sql("UPDATE chunks SET due_at = now() WHERE state <> 'DONE'")
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)
