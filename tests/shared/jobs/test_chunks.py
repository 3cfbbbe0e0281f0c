"""Leases and fences: what is lost, late, doubled or given back. Assertions stand at the move itself."""

import asyncio
from typing import Any

import pytest

from shared.batches import sweeping as batch_sweeping
from shared.jobs import running, sweeping
from shared.jobs.running import Hand
from shared.queue.messages import Advance


async def granted(mill: Any, files: int) -> Any:
    """A batch of `files`, granted with nothing taken yet: one chunk a slot, up to a dozen files."""
    batch_id = await mill.open_batch(files)
    await mill.advance(batch_id)
    await mill.sql("UPDATE batches SET seconds_per_file = 0.01 WHERE id = :b", b=batch_id)
    await mill.dispatch()
    return batch_id


async def expire(mill: Any) -> None:
    """Let every lease end, with a sweeper that was never away."""
    await mill.sql("UPDATE chunks SET due_at = now() - interval '1 s' WHERE state = 'TAKEN'")
    await mill.sql("UPDATE sweeps SET last_ok_at = clock_timestamp()")


async def sweep(mill: Any) -> int:
    async with mill.resources.unit_of_work() as uow:
        return await sweeping.sweep_lost(uow)


@pytest.fixture(autouse=True)
async def a_running_sweeper(mill: Any) -> None:
    await sweep(mill)


async def test_each_chunk_is_taken_by_one(mill: Any) -> None:
    for _ in range(4):
        await mill.add_worker()
    await granted(mill, 64)
    taken = [a for a in await asyncio.gather(*(mill.take() for _ in range(12))) if a is not None]
    jobs = [file.job_id for a in taken for file in a.files]
    assert len(jobs) == len(set(jobs)) == 64
    assert len({a.chunk.token for a in taken}) == len(taken)


async def test_a_zombie_is_fenced_and_its_successor_is_accepted(mill: Any, an_end: Any) -> None:
    batch_id = await granted(mill, 1)
    zombie = await mill.taken()
    await expire(mill)
    assert await sweep(mill) == 1
    owner = await mill.taken()
    assert owner.files[0].job_id == zombie.files[0].job_id
    assert owner.chunk.token != zombie.chunk.token
    assert await mill.flush(zombie.chunk, [an_end(zombie.chunk, zombie.files[0])]) is Hand.FENCED
    assert await mill.close(zombie.chunk, []) is Hand.FENCED
    async with mill.resources.unit_of_work() as uow:
        assert await running.beat(uow, zombie.chunk) is Hand.FENCED
    assert await mill.one("SELECT count(*) FROM jobs WHERE status = 'COMPLETED'") == 0
    await mill.close(owner.chunk, [an_end(owner.chunk, owner.files[0])])
    row = (await mill.sql("SELECT token, result_key FROM jobs WHERE batch_id = :b", b=batch_id))[0]
    assert row.token == owner.chunk.token
    assert row.result_key.endswith(str(owner.chunk.token))


async def test_an_end_written_twice_is_written_once(mill: Any, an_end: Any) -> None:
    batch_id = await granted(mill, 2)
    held = await mill.taken()
    ends = [an_end(held.chunk, f) for f in held.files]
    assert await mill.flush(held.chunk, ends) is Hand.GO_ON
    first = await mill.sql("SELECT id, finished_at FROM jobs ORDER BY id")
    # The commit held but its answer was lost: the holder hands in the same again.
    assert await mill.flush(held.chunk, ends) is Hand.GO_ON
    assert await mill.sql("SELECT id, finished_at FROM jobs ORDER BY id") == first
    assert await mill.close(held.chunk, ends) is Hand.GO_ON
    assert await mill.close(held.chunk, ends) is Hand.FENCED
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)


async def test_a_lost_chunk_is_split_and_what_was_flushed_is_not_run_again(mill: Any, an_end: Any) -> None:
    batch_id = await granted(mill, 8)
    lost = await mill.taken()
    kept = [f.job_id for f in lost.files[:3]]
    await mill.flush(lost.chunk, [an_end(lost.chunk, f) for f in lost.files[:3]])
    await expire(mill)
    assert await sweep(mill) == 1
    ready = await mill.sql(
        "SELECT lo, hi, size, losses FROM chunks WHERE state = 'READY' AND losses = 0 AND lo = hi"
    )
    assert len(ready) == 5, "one chunk for each file without an end, none of them charged with the loss"
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)
    tokens = dict(await mill.sql("SELECT id, token FROM jobs WHERE batch_id = :b", b=batch_id))
    assert all(tokens[job] == lost.chunk.token for job in kept)


async def test_a_file_lost_alone_three_times_fails_and_its_neighbours_do_not(mill: Any, an_end: Any) -> None:
    batch_id = await granted(mill, 4)
    poison = (await mill.taken()).files[0].job_id
    await expire(mill)
    await sweep(mill)
    losses = 0
    for _ in range(20):
        held = await mill.take()
        if held is None:
            break
        if held.files[0].job_id == poison:
            losses += 1
            await expire(mill)
            await sweep(mill)
        else:
            await mill.close(held.chunk, [an_end(held.chunk, f) for f in held.files])
    assert losses == 3
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)
    failed = await mill.sql("SELECT id, error_code FROM jobs WHERE status = 'FAILED'")
    assert [tuple(row) for row in failed] == [(poison, "WORKER_LOST")]


async def test_giving_back_counts_no_loss_and_waits_as_told(mill: Any, an_end: Any) -> None:
    batch_id = await granted(mill, 3)
    held = await mill.taken()
    async with mill.resources.unit_of_work() as uow:
        hand = await running.release(
            uow, held.chunk, [an_end(held.chunk, held.files[0])], after=60, reason="STORAGE_DOWN"
        )
    assert hand is Hand.GO_ON
    assert await mill.take() is None
    row = (await mill.sql("SELECT state, losses, reason FROM chunks"))[0]
    assert tuple(row) == ("READY", 0, "STORAGE_DOWN")
    await mill.sql("UPDATE chunks SET due_at = now()")
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)


async def test_after_a_gap_of_its_own_the_sweeper_takes_nothing_and_lengthens_leases(mill: Any) -> None:
    await granted(mill, 4)
    held = await mill.taken()
    await expire(mill)
    await mill.sql("UPDATE sweeps SET last_ok_at = clock_timestamp() - interval '20 s'")
    assert await sweep(mill) == 0
    left = await mill.one(
        "SELECT extract(epoch FROM due_at - now()) FROM chunks WHERE id = :c", c=held.chunk.id
    )
    assert 10 < left <= 15
    assert await mill.flush(held.chunk, []) is Hand.GO_ON, "the holder still holds it"


async def test_two_sweepers_at_once_take_back_once(mill: Any) -> None:
    batch_id = await granted(mill, 8)
    await mill.taken()
    await expire(mill)
    taken_back = await asyncio.gather(*(sweep(mill) for _ in range(4)))
    assert sum(taken_back) == 1
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)


async def test_the_last_two_chunks_closed_at_once_leave_one_who_rings(
    mill: Any, bells: Any, an_end: Any
) -> None:
    for _ in range(2):
        await mill.add_worker()
    batch_id = await granted(mill, 2)
    a, b = await mill.taken(), await mill.taken()

    async def close_and_tell(held: Any) -> None:
        await mill.close(held.chunk, [an_end(held.chunk, f) for f in held.files])
        async with mill.resources.unit_of_work() as uow:
            await running.tell_of_end(uow, held.chunk)

    bells.rung.clear()
    await asyncio.gather(close_and_tell(a), close_and_tell(b))
    assert Advance(batch_id) in bells.rung


async def test_lost_bells_are_rung_again_while_slots_stand_empty(mill: Any, bells: Any) -> None:
    await mill.add_worker()
    await granted(mill, 16)
    bells.rung.clear()
    async with mill.resources.unit_of_work() as uow:
        assert await sweeping.ring_waiting(uow) == 1
        await uow.commit()
    assert [bell.queue for bell in bells.rung] == ["parse"]
    await mill.taken()
    async with mill.resources.unit_of_work() as uow:
        assert await sweeping.ring_waiting(uow) == 0, "its one slot is busy"


async def test_ended_chunks_that_nobody_folds_are_rung_but_not_each_second(
    mill: Any, bells: Any, an_end: Any
) -> None:
    await granted(mill, 1)
    held = await mill.taken()
    await mill.close(held.chunk, [an_end(held.chunk, f) for f in held.files])
    await mill.sql("UPDATE chunks SET due_at = now() - interval '3 s'")
    await mill.sql("UPDATE batches SET rung_at = '-infinity'")
    bells.rung.clear()
    for _ in range(5):
        async with mill.resources.unit_of_work() as uow:
            await batch_sweeping.ring_due(uow)
            await uow.commit()
    assert len(bells.heard(Advance)) == 1


async def test_a_suspect_lets_its_neighbours_go_on(mill: Any) -> None:
    batch_id = await granted(mill, 2)
    held = await mill.taken()
    async with mill.resources.unit_of_work() as uow:
        await running.suspect(uow, held.chunk, [], after=60, reason="no space left")
    rows = await mill.sql("SELECT lo = hi, losses FROM chunks WHERE state = 'READY'")
    assert all(alone for alone, _ in rows)
    await mill.sql("UPDATE chunks SET due_at = now()")
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)
