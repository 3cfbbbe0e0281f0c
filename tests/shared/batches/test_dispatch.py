"""Grants: what may run, in which order, how much at a time."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from shared.batches import spreading
from shared.batches.cutting import FIRST_GUESS, MOST_CHUNKS, MOST_FILES, chunk_size, window
from shared.batches.orchestration import OpenBatch
from shared.queue.messages import Work
from shared.wiring import Resources
from tests.shared.schedules.conductor import without

BATCH = OpenBatch(
    id=uuid4(),
    project_id=uuid4(),
    job_type="parse_v2",
    directory_id=uuid4(),
    status="RUNNING",
    spread_done=True,
    total=100_000,
    fed_seq=0,
    stop_as=None,
    paused=False,
    redrive=False,
    has_threshold=False,
    seconds_per_file=None,
    weight=1.0,
    vtime=0.0,
    strikes=0,
)


@pytest.mark.parametrize(
    ("pace", "total", "slots", "size"),
    [
        (None, 100_000, 2, FIRST_GUESS),
        (None, 2, 2, 1),
        (0.1, 100_000, 2, 10),
        (30.0, 100_000, 2, 1),
        (0.00001, 100_000, 2, MOST_FILES),
        (0.00001, 100, 4, 25),
        (0.1, 30, 2, 8),
        (0.1, 9, 2, 3),
        (0.01, 100, 2, 25),
        (0.01, 40, 2, 12),
        (0.01, 5, 2, 3),
    ],
)
def test_a_chunk_is_about_a_second_less_towards_the_end_and_a_small_batch_is_shared(
    pace: float | None, total: int, slots: int, size: int
) -> None:
    assert chunk_size(replace(BATCH, seconds_per_file=pace, total=total), slots) == size


def test_the_window_is_two_a_slot_and_wider_only_for_very_short_chunks() -> None:
    assert window(None, 2, 2) == 8
    assert window(1.0, 1, 3) == 6
    assert window(0.00001, 512, 2) == MOST_CHUNKS


async def test_dispatch_grants_ranges_without_gap_or_overlap(mill: Any) -> None:
    await mill.add_worker()
    batch_id = await mill.open_batch(100)
    await mill.advance(batch_id)
    await asyncio.gather(*(mill.dispatch() for _ in range(4)))
    ranges = await mill.sql("SELECT lo, hi, size FROM chunks ORDER BY lo")
    assert [lo for lo, _, _ in ranges] == [1, *(hi + 1 for _, hi, _ in ranges[:-1])]
    assert len(ranges) == window(None, FIRST_GUESS, 1), "four dispatches at once fill one window"
    assert (await mill.batch(batch_id)).fed_seq == ranges[-1][1]


async def test_two_batches_share_a_lane_turn_by_turn(mill: Any) -> None:
    for _ in range(2):
        await mill.add_worker()
    first = await mill.open_batch(64)
    second = await mill.open_batch()
    for batch_id in (first, second):
        await mill.advance(batch_id)
    await mill.dispatch()
    order = [b for (b,) in await mill.sql("SELECT batch_id FROM chunks ORDER BY rank, id")]
    assert {first, second} == set(order)
    assert order[0] != order[1], "the least served batch goes first, then the other"


async def a_newcomer(mill: Any) -> None:
    """Another project's batch comes while the window of a large one is full."""
    for _ in range(3):
        await mill.add_worker()
    big = await mill.open_batch(200)
    await mill.advance(big)
    await mill.dispatch()
    await mill.taken()
    other = await mill.one(
        "INSERT INTO projects (organization_id, name, is_default) SELECT organization_id, 'q', false"
        " FROM projects WHERE id = :p RETURNING id",
        p=mill.project_id,
    )
    await mill.sql("UPDATE directories SET project_id = :o WHERE id = :d", o=other, d=mill.directory_id)
    old, mill.project_id = mill.project_id, other
    small = await mill.open_batch()
    await mill.advance(small)
    await mill.dispatch()
    assert small in [(await mill.taken()).chunk.batch_id for _ in range(2)], "one chunk of the other at most"
    mill.project_id = old


async def test_a_newcomer_lane_waits_one_chunk_and_not_for_the_window(mill: Any) -> None:
    await a_newcomer(mill)


async def test_rule_24_without_the_order_of_ranks_a_newcomer_waits_for_the_window(
    mill: Any, resources: Resources
) -> None:
    with (
        without(resources.engine, "ORDER BY c.rank, c.id", "ORDER BY c.id"),
        pytest.raises(AssertionError, match="one chunk of the other at most"),
    ):
        await a_newcomer(mill)


async def test_unmapped_files_at_the_end_are_not_granted_and_the_batch_ends(mill: Any) -> None:
    batch_id = await mill.open_batch(5)
    await mill.sql(
        "UPDATE directory_files SET deleted_at = now() + interval '1 s' WHERE directory_id = :d",
        d=mill.directory_id,
    )
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)
    assert (await mill.batch(batch_id)).unmapped == 5


async def test_the_lane_is_looked_at_again_while_something_waits_and_rests_after(mill: Any) -> None:
    batch_id = await mill.open_batch(1_000)
    await mill.advance(batch_id)
    await mill.dispatch()
    assert await mill.one("SELECT wake_at IS NOT NULL FROM lanes WHERE project_id = :p", p=mill.project_id)
    await mill.run_all(batch_id)
    await mill.dispatch()
    assert await mill.one("SELECT wake_at IS NULL FROM lanes WHERE project_id = :p", p=mill.project_id)


async def test_a_batch_that_somebody_holds_does_not_stop_its_lane(mill: Any) -> None:
    first = await mill.open_batch(20)
    second = await mill.open_batch()
    for batch_id in (first, second):
        await mill.advance(batch_id)
    async with mill.resources.unit_of_work() as holder:
        await holder.session.execute(text("SELECT 1 FROM batches WHERE id = :b FOR UPDATE"), {"b": first})
        async with asyncio.timeout(1.5):
            assert await mill.dispatch() > 0
    granted = {batch_id for (batch_id,) in await mill.sql("SELECT DISTINCT batch_id FROM chunks")}
    assert granted == {second}
    assert await mill.one("SELECT wake_at IS NOT NULL FROM lanes WHERE project_id = :p", p=mill.project_id)


async def test_only_idle_slots_are_rung(mill: Any, bells: Any) -> None:
    for _ in range(2):
        await mill.add_worker()
    batch_id = await mill.open_batch(200)
    await mill.advance(batch_id)
    await mill.dispatch()
    assert len(bells.heard(Work)) == 2
    for _ in range(4):
        await mill.taken()
    bells.rung.clear()
    assert await mill.dispatch() > 0
    assert bells.heard(Work) == [], "both slots are busy and take the next chunk by themselves"


async def test_a_grant_does_not_hide_a_reader_that_died(mill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "PAGE", 7)
    batch_id = await mill.open_batch(50)
    await mill.advance(batch_id)
    assert not (await mill.batch(batch_id)).spread_done
    await mill.dispatch()
    due_in = await mill.one(
        "SELECT extract(epoch FROM wake_at - now()) FROM batches WHERE id = :b", b=batch_id
    )
    assert due_in <= 5


async def test_a_batch_whose_sums_cannot_be_right_does_not_stop_its_lane(mill: Any, an_end: Any) -> None:
    await mill.add_worker()
    damaged, sound = await mill.open_batch(6), await mill.open_batch(0)
    for batch_id in (damaged, sound):
        await mill.advance(batch_id)
    await mill.dispatch()
    while (held := await mill.take()) is not None:
        await mill.close(held.chunk, [an_end(held.chunk, file) for file in held.files])
    await mill.sql("UPDATE chunks SET ok = 7 WHERE state = 'DONE' AND batch_id = :b", b=damaged)
    before = await mill.batch(damaged)
    await mill.run_all(sound)
    await mill.assert_exact(sound)
    after = await mill.batch(damaged)
    assert (after.ok, after.fed_seq, after.strikes) == (before.ok, before.fed_seq, 0), "left to its own looks"
    assert await mill.one("SELECT count(*) FROM chunks WHERE batch_id = :b AND state = 'DONE'", b=damaged) > 0
