"""Refusals under pressure: races of limits, what was refused is woken, and reasons that stay true."""

import asyncio
from typing import Any

import pytest

from shared.batches import service as batch_service
from shared.jobs import limiting, running
from shared.jobs import service as job_service
from shared.lanes import service as lane_service
from shared.lanes.limits import Hold
from shared.queue.messages import Dispatch
from tests.shared.batches.by_hand import (
    KIND,
    alone,
    explained,
    files_granted,
    finish,
    limit,
    opened,
    status_of,
)


async def test_a_throttled_batch_does_not_ring_a_lane_that_looks_by_itself(mill: Any, bells: Any) -> None:
    await limit(mill, hold=Hold("wait"))
    batch_id = await opened(mill, 3)
    await mill.dispatch()
    bells.rung.clear()
    await mill.advance(batch_id)
    assert bells.rung == []
    assert await mill.one("SELECT wake_at IS NOT NULL FROM lanes")


async def test_a_hold_is_asked_at_the_take_too(mill: Any) -> None:
    """Whatever is READY in a held lane, such as a chunk that was given back, does not start."""
    await mill.add_worker()
    await opened(mill, 4)
    await mill.dispatch()
    await mill.sql("UPDATE lanes SET hold_until = now() + interval '1 hour', hold_reason = 'x'")
    assert await mill.take() is None
    async with mill.resources.unit_of_work() as uow:
        assert await running.next_due(uow, "parse") is None


async def test_a_single_cancel_beside_the_drain_is_counted(mill: Any) -> None:
    batch_id = await opened(mill, 5)
    job_id = await mill.one("SELECT id FROM jobs WHERE batch_id = :b AND seq = 3", b=batch_id)
    async with mill.resources.unit_of_work() as uow:
        await batch_service.cancel_batch(uow, mill.project_id, batch_id)
        await uow.commit()
    async with mill.resources.unit_of_work() as one:
        await job_service.cancel_job(one, mill.project_id, KIND, job_id)
        drain = asyncio.create_task(mill.advance(batch_id))
        await asyncio.sleep(0.5)
        await one.commit()
        await drain
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id, "CANCELLED")


async def test_an_end_while_a_dispatch_decides_rings_the_lane(mill: Any, bells: Any, an_end: Any) -> None:
    """The dispatch may have read before the end committed: its refusal would be nobody's to wake."""
    await mill.add_worker()
    await limit(mill, max_jobs=1)
    await opened(mill, 5)
    await mill.dispatch()
    held = await mill.taken()
    await mill.sql("UPDATE lanes SET wait = NULL")
    bells.rung.clear()
    async with mill.resources.unit_of_work() as deciding:
        await lane_service.lock(deciding, mill.project_id, KIND, "parse")
        await finish(mill, held, an_end)
    assert Dispatch(mill.project_id, KIND) in bells.rung


async def test_one_bell_to_a_lane_is_out_at_a_time(mill: Any, bells: Any) -> None:
    await limit(mill, max_jobs=1)
    await opened(mill, 5)
    await mill.dispatch()
    bells.rung.clear()
    for _ in range(5):
        async with mill.resources.unit_of_work() as uow:
            await lane_service.ring(uow, mill.project_id, KIND)
            await uow.commit()
    assert len(bells.rung) == 1
    await mill.dispatch()
    bells.rung.clear()
    async with mill.resources.unit_of_work() as uow:
        await lane_service.ring(uow, mill.project_id, KIND)
        await uow.commit()
    assert bells.heard(Dispatch)


async def test_a_high_rate_does_not_blow_the_window(mill: Any) -> None:
    await mill.add_worker()
    await limit(mill, jobs_per_minute=600_000)
    await opened(mill, 500)
    await mill.dispatch()
    assert await mill.one("SELECT count(*) FROM chunks WHERE state = 'READY'") <= 64


async def test_batches_share_a_rate_with_jobs_that_come_alone(mill: Any) -> None:
    await mill.add_worker()
    await limit(mill, jobs_per_minute=6_000)
    batch_id = await opened(mill, 300)
    for _ in range(120):
        await alone(mill)
    await mill.dispatch()
    granted = await mill.sql(
        "SELECT batch_id IS NULL, sum(size) FROM chunks WHERE state = 'READY' GROUP BY 1"
    )
    assert len(granted) == 2, "both kinds have a part"
    assert (await mill.batch(batch_id)).fed_seq > 0


async def test_what_was_recalled_keeps_its_size_until_it_does_not_fit(mill: Any) -> None:
    for _ in range(2):
        await mill.add_worker()
    batch_id = await opened(mill, 400)
    await mill.sql("UPDATE batches SET seconds_per_file = 0.01")
    await mill.dispatch()
    before = await mill.one("SELECT max(size) FROM chunks")
    assert before > 10
    await limit(mill, max_jobs=10_000)
    assert await mill.one("SELECT max(size) FROM chunks WHERE state = 'WAITING'") == before
    await limit(mill, max_jobs=12)
    for _ in range(3):
        await mill.dispatch()
    assert await files_granted(mill) == 12
    await limit(mill)
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)


async def test_what_is_given_back_for_later_fills_no_place(mill: Any) -> None:
    await mill.add_worker()
    await limit(mill, max_jobs=1)
    for _ in range(2):
        await alone(mill)
    await mill.dispatch()
    held = await mill.taken()
    async with mill.resources.unit_of_work() as uow:
        await running.release(uow, held.chunk, [], after=600, reason="UPSTREAM_RATE: later")
    assert await mill.dispatch() == 1
    assert (await mill.taken()).chunk.job_id != held.chunk.job_id


@pytest.mark.parametrize("by", ["release", "close"])
async def test_a_lane_looks_again_for_what_was_given_back_for_later(mill: Any, by: str) -> None:
    """It waits for a grant then, and nothing else of the lane may ever end, begin or be refused."""
    await mill.add_worker()
    await limit(mill, max_jobs=5)
    await alone(mill)
    await mill.dispatch()
    held = await mill.taken()
    await mill.dispatch()
    assert await mill.one("SELECT wake_at IS NULL FROM lanes"), "nothing waits"
    async with mill.resources.unit_of_work() as uow:
        if by == "release":
            await running.release(uow, held.chunk, [], after=1, reason="UPSTREAM_DOWN: away")
        else:
            await running.close(uow, held.chunk, [], seconds=1, again_in=1, again_for="NO_ANSWER: in time")
    async with mill.resources.unit_of_work() as uow:
        await running.tell_of_end(uow, held.chunk)
    assert await mill.one("SELECT state FROM chunks") == "WAITING"
    assert await mill.one("SELECT wake_at < now() + interval '2 s' FROM lanes")


async def test_fewer_batches_at_once_take_back_what_the_others_were_granted(mill: Any) -> None:
    await mill.add_worker()
    batches = [await opened(mill, 30) for _ in range(3)]
    await mill.dispatch()
    await limit(mill, max_batches=1)
    for _ in range(2):
        await mill.dispatch()
    granted = {b for (b,) in await mill.sql("SELECT DISTINCT batch_id FROM chunks WHERE state = 'READY'")}
    assert granted == {batches[0]}
    await limit(mill)
    for batch_id in batches:
        await mill.run_all(batch_id)
        await mill.assert_exact(batch_id)


async def test_a_batch_whose_upstream_is_away_is_throttled_and_goes_on_after(mill: Any) -> None:
    await mill.add_worker()
    batch_id = await opened(mill, 12)
    await mill.dispatch()
    held = await mill.taken()
    reason = "UPSTREAM_DOWN: connection refused"
    async with mill.resources.unit_of_work() as uow:
        assert await limiting.hold_for(uow, mill.project_id, KIND, reason=reason, seconds=30)
        await uow.commit()
    async with mill.resources.unit_of_work() as uow:
        await running.release(uow, held.chunk, [], after=30, reason=reason)
    await mill.dispatch()
    row = await mill.batch(batch_id)
    assert (row.status, row.wait["code"], row.wait["scope"]) == ("THROTTLED", "UPSTREAM_DOWN", "upstream")
    await mill.sql("UPDATE lanes SET hold_until = now()")
    await mill.sql("UPDATE chunks SET due_at = now()")
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)
    assert (await mill.batch(batch_id)).ok == 12


async def test_files_that_were_cancelled_need_no_grant_and_leave_no_hole(mill: Any) -> None:
    await mill.add_worker()
    await limit(mill, hold=Hold("wait"))
    gone, holed = await opened(mill, 2), await opened(mill, 12)
    for batch_id, seqs in ((gone, (1, 2)), (holed, (2, 4))):
        for seq in seqs:
            job_id = await mill.one("SELECT id FROM jobs WHERE batch_id = :b AND seq = :s", b=batch_id, s=seq)
            async with mill.resources.unit_of_work() as uow:
                await job_service.cancel_job(uow, mill.project_id, KIND, job_id)
                await uow.commit()
    await mill.dispatch()
    await mill.advance(gone)
    await mill.assert_exact(gone)
    await mill.sql("UPDATE batches SET seconds_per_file = 0.001")
    await limit(mill, max_jobs=5)
    await mill.dispatch()
    assert await files_granted(mill) == 5
    await limit(mill)
    await mill.run_all(holed)
    await mill.assert_exact(holed)


async def test_when_a_reason_is_over_nobody_says_it_any_more(mill: Any) -> None:
    await mill.add_worker()
    await limit(mill, hold=Hold("storage moves"))
    batches = [await opened(mill, 30) for _ in range(12)]
    await mill.dispatch()
    assert {await status_of(mill, b) for b in batches} == {"THROTTLED"}
    await limit(mill)
    await mill.dispatch()
    assert {await status_of(mill, b) for b in batches} == {"RUNNING"}
    for batch_id in batches:
        waiting = (await explained(mill, batch_id)).waiting
        assert waiting is None or waiting["code"] == "WINDOW_FULL"


async def test_another_reason_replaces_the_one_before(mill: Any) -> None:
    await mill.add_worker()
    await limit(mill, max_batches=1)
    first, second = await opened(mill, 5), await opened(mill, 5)
    await mill.dispatch()
    assert (await mill.batch(second)).wait["code"] == "BATCH_CONCURRENCY"
    await limit(mill, hold=Hold("now this"))
    await mill.dispatch()
    for batch_id in (first, second):
        waiting = (await explained(mill, batch_id)).waiting
        assert waiting is not None
        assert waiting["code"] == "MAINTENANCE"


async def test_a_throttled_batch_that_runs_is_mended_by_its_next_look(mill: Any) -> None:
    await mill.add_worker()
    batch_id = await opened(mill, 2)
    await mill.dispatch()
    await mill.taken()
    await mill.sql("UPDATE batches SET status = 'THROTTLED', wait = '{}' WHERE id = :b", b=batch_id)
    await mill.advance(batch_id)
    row = await mill.batch(batch_id)
    assert (row.status, row.wait) == ("RUNNING", None)


async def test_a_cancelled_job_leaves_its_place_to_the_next(mill: Any, bells: Any) -> None:
    await mill.add_worker()
    await limit(mill, max_jobs=1)
    first = await alone(mill)
    await alone(mill)
    await mill.dispatch()
    bells.rung.clear()
    async with mill.resources.unit_of_work() as uow:
        await job_service.cancel_job(uow, mill.project_id, KIND, first.id)
        await uow.commit()
    assert Dispatch(mill.project_id, KIND) in bells.rung
    assert await mill.dispatch() == 1


async def test_explain_says_what_is_missing_when_nothing_is_refused(mill: Any) -> None:
    batch_id = await opened(mill, 3)
    await mill.dispatch()
    nobody = await explained(mill, batch_id)
    assert nobody.waiting is not None
    assert nobody.waiting["code"] == "NO_WORKER"
    assert {check.name for check in nobody.checks if not check.ok} == {"workers"}
    assert nobody.next_look_at is not None
    await mill.add_worker()
    busy = (await explained(mill, batch_id)).waiting
    assert busy is not None
    assert busy["code"] == "WINDOW_FULL"
    await mill.taken()
    assert (await explained(mill, batch_id)).waiting is None
    await mill.sql("UPDATE chunks SET state = 'READY', token = NULL, reason = 'STORAGE_DOWN: no route'")
    down = (await explained(mill, batch_id)).waiting
    assert down is not None
    assert down["code"] == "STORAGE_DOWN"


@pytest.mark.parametrize(
    ("reason", "due_in", "code", "scope"),
    [
        ("NO_ANSWER: no answer in time", 60, "UPSTREAM_DOWN", "upstream"),
        ("UPSTREAM_RATE: slowly", 60, "UPSTREAM_RATE", "upstream"),
        ("STORAGE_DOWN: no route", 0, "STORAGE_DOWN", "server"),
        ("SCRATCH: no space left on device", 5, "WORKER_UNFIT", "server"),
        ("WORKER_LOST", 0, "WINDOW_FULL", "server"),
        ("RELEASED_BY_OPERATOR", 0, "WINDOW_FULL", "server"),
    ],
)
async def test_what_came_back_waits_for_what_it_says(
    mill: Any, reason: str, due_in: int, code: str, scope: str
) -> None:
    await mill.add_worker()
    batch_id = await opened(mill, 1)
    await mill.dispatch()
    await mill.sql(
        "UPDATE chunks SET reason = :r, due_at = now() + make_interval(secs => :s)", r=reason, s=due_in
    )
    waiting = (await explained(mill, batch_id)).waiting
    assert waiting is not None
    assert (waiting["code"], waiting["scope"]) == (code, scope)
    assert (waiting["until"] is not None) is (due_in > 0)
