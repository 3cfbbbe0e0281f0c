"""Fairness among the batches of one lane: a newcomer passes what stands ready, and starves nobody."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.batches import cutting, dispatch, queueing
from shared.batches.queueing import Queued, laid
from shared.jobs import running
from shared.queue.messages import Dispatch
from tests.shared.conftest import Mill

TAGS = st.floats(0, 100)
COSTS = st.floats(0.001, 10)


async def large(mill: Mill, *, files: int = 400, slots: int = 2) -> UUID:
    """A batch whose chunks take a second, with every slot busy and the window full."""
    for _ in range(slots):
        await mill.add_worker()
    batch_id = await mill.open_batch(files)
    await mill.advance(batch_id)
    await mill.sql("UPDATE batches SET seconds_per_file = 0.1 WHERE id = :b", b=batch_id)
    await mill.dispatch()
    for _ in range(slots):
        await mill.taken()
    await mill.dispatch()
    return batch_id


async def small(mill: Mill, *, files: int = 10) -> UUID:
    """A batch over a directory of its own."""
    elsewhere = await mill.one(
        "INSERT INTO directories (project_id, name) VALUES (:p, :n) RETURNING id",
        p=mill.project_id,
        n=f"small-{uuid4()}",
    )
    mill.directory_id, before = elsewhere, mill.directory_id
    batch_id = await mill.open_batch(files)
    mill.directory_id = before
    await mill.advance(batch_id)
    await mill.dispatch()
    return batch_id


async def a_newcomer_in_the_lane(mill: Mill) -> None:
    await large(mill)
    newcomer = await small(mill)
    served = 0
    while served < 10:
        held = await mill.taken()
        assert held.chunk.batch_id == newcomer, (
            "nothing of the large batch starts before the newcomer is through"
        )
        served += len(held.files)


async def test_a_newcomer_passes_what_its_own_lane_was_granted(mill: Mill) -> None:
    await a_newcomer_in_the_lane(mill)


async def test_rule_24_without_new_ranks_a_newcomer_waits_for_the_window(
    mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "laid", lambda *_args, **_how: None)
    with pytest.raises(AssertionError, match="before the newcomer is through"):
        await a_newcomer_in_the_lane(mill)


async def a_stream_of_small_ones(mill: Mill, an_end: Any) -> None:
    """Whenever a chunk ends, the next small batch is there."""
    big = await large(mill)
    served = 0
    for _ in range(30):
        await small(mill, files=4)
        for _ in range(2):
            held = await mill.taken()
            served += held.chunk.batch_id == big
            await mill.close(held.chunk, [an_end(held.chunk, file) for file in held.files], seconds=0)
    assert served >= 2, "a stream of newcomers leaves the large batch its share"


async def test_a_stream_of_newcomers_does_not_hold_up_a_large_batch(mill: Mill, an_end: Any) -> None:
    await a_stream_of_small_ones(mill, an_end)


async def test_without_the_entry_that_moves_newcomers_starve_a_large_batch(
    mill: Mill, an_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_entry_after", lambda turn, _portions: turn.entry)
    with pytest.raises(AssertionError, match="leaves the large batch its share"):
        await a_stream_of_small_ones(mill, an_end)


async def test_the_time_a_batch_was_paused_is_no_credit(mill: Mill) -> None:
    big = await large(mill)
    await mill.sql("UPDATE batches SET vtime = 1000 WHERE id = :b", b=big)
    await mill.sql("DELETE FROM chunks WHERE state = 'TAKEN'")
    slept = await mill.open_batch(200)
    await mill.advance(slept)
    await mill.sql("UPDATE batches SET fed_seq = 5, vtime = 1 WHERE id = :b", b=slept)
    await mill.dispatch()
    row = await mill.batch(slept)
    assert row.fed_seq > 5
    assert row.vtime > 990, "it comes in with the time of those that run"


async def test_a_batch_that_wants_more_and_stands_nowhere_rings_its_lane(mill: Mill, bells: Any) -> None:
    await large(mill)
    newcomer = await small(mill, files=60)

    async def rung_by_the_next(whose: UUID) -> bool:
        while (held := await mill.taken()).chunk.batch_id != whose:
            pass
        bells.rung.clear()
        async with mill.resources.unit_of_work() as uow:
            await running.ring_when_low(uow, held.chunk)
        return bool(bells.heard(Dispatch))

    chunks = cutting.FIRST_PER_SLOT * 2
    assert [await rung_by_the_next(newcomer) for _ in range(chunks)] == [False] * (chunks - 1) + [True]
    assert len(await mill.sql("SELECT 1 FROM chunks WHERE state = 'READY'")) >= 2, "the lane is not low"


@given(
    st.lists(COSTS, min_size=1, max_size=8), st.lists(st.tuples(TAGS, COSTS), max_size=8), st.floats(0, 100)
)
def test_a_lane_takes_no_more_by_being_laid_anew(
    there: list[float], coming: list[tuple[float, float]], tag: float
) -> None:
    """Ranks follow the ends, begin where the line began, and are spaced by what each costs."""
    batch = uuid4()
    rank = 7.0
    ready: list[Queued] = []
    for cost in there:
        ready.append(Queued(batch, tag, cost, cost, rank, len(ready)))
        rank += cost / 2
        tag += cost
    new = [Queued(uuid4(), tag, cost, cost, rank) for tag, cost in sorted(coming)]
    ranks = laid(ready, new, weight=2)
    if ranks is None:
        assert all(one.end < other.end for one in ready for other in new)
        return
    every = sorted(zip(ranks, [*ready, *new], strict=True), key=lambda pair: pair[0])
    assert [one.end for _, one in every] == sorted(one.end for one in [*ready, *new])
    at = 7.0
    for rank, one in every:
        assert rank == pytest.approx(at)
        at += one.cost / 2
