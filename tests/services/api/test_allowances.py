"""Allowances: GCRA in Python and in the server's Lua say the same, and what is over is told its turn."""

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from services.api import allowances
from services.api.allowances import (
    LONGEST_WAIT_S,
    Allowance,
    CountersAway,
    InProcess,
    InRedis,
    Verdict,
    counters_of,
)
from tests.patience import GIVES_UP_S

TEN = Allowance(per_minute=60, burst=10)


@pytest.fixture
async def shared(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InRedis]:
    # How soon it is left alone is another matter.
    monkeypatch.setattr(allowances, "PATIENCE_S", GIVES_UP_S)
    made = InRedis(broker_url)
    yield made
    await made.close()


def close(one: Verdict, other: Verdict) -> bool:
    return (
        (one.let_in, one.left) == (other.let_in, other.left)
        and abs(one.wait_s - other.wait_s) < 1e-4
        and abs(one.full_s - other.full_s) < 1e-4
    )


@pytest.mark.parametrize("seed", range(5))
async def test_redis_and_the_process_say_the_same(shared: InRedis, seed: int) -> None:
    draw = random.Random(seed)
    alone, name, now = InProcess(), str(uuid4()), 1_800_000_000.0
    allowance = Allowance(draw.choice([1, 7, 60, 6_000]), draw.choice([1, 2, 30]))
    for _ in range(300):
        now += draw.choice([0.0, 0.0, allowance.step * draw.random() * 2, allowance.step])
        assert close(alone.ask_at(name, allowance, now), await shared.ask_at(name, allowance, now))


def test_a_burst_and_then_one_each_step() -> None:
    counters = InProcess()
    told = [counters.ask_at("k", TEN, 100.0) for _ in range(13)]
    assert [one.let_in for one in told] == [True] * 10 + [False] * 3
    assert [one.left for one in told[:10]] == list(range(9, -1, -1))
    # Each of those who wait has a turn of its own.
    assert [round(one.wait_s) for one in told[10:]] == [1, 2, 3]
    assert [counters.ask_at("k", TEN, 100.0 + n).let_in for n in (0.5, 1.0, 1.5, 2.0)] == [
        False,
        True,
        False,
        True,
    ]
    assert sum(counters.ask_at("k", TEN, 1e4).let_in for _ in range(50)) == 10
    assert counters.ask_at("other", TEN, 100.0).let_in


def test_nobody_is_told_to_wait_longer_than_clients_do() -> None:
    counters, slow = InProcess(), Allowance(1, 1)
    assert max(counters.ask_at("k", slow, 0.0).wait_s for _ in range(50)) == LONGEST_WAIT_S


async def test_all_processes_count_together(shared: InRedis, broker_url: str) -> None:
    other, name = InRedis(broker_url), str(uuid4())
    answers = await asyncio.gather(
        *(one.ask(name, Allowance(1, 7)) for _ in range(20) for one in (shared, other))
    )
    await other.close()
    assert sum(one.let_in for one in answers) == 7


async def test_what_is_over_leaves_the_server(shared: InRedis) -> None:
    name = str(uuid4())
    await shared.ask(name, Allowance(600, 5))
    left = await shared._redis.pttl(f"batchmill:requests:{name}")
    assert 0 < left <= 1_200


async def test_notes_are_counted_and_taken(shared: InRedis) -> None:
    for counters in (shared, InProcess()):
        name = str(uuid4())
        for _ in range(2):
            await counters.note(name, for_s=60)
        assert [await counters.take_note(name) for _ in range(3)] == [True, True, False]
        await counters.note(name, for_s=0.001)
        await asyncio.sleep(0.05)
        assert not await counters.take_note(name)


async def test_a_server_that_is_away_says_so_soon() -> None:
    away = InRedis("redis://127.0.0.1:1/0")
    async with asyncio.timeout(2):
        for ask in (away.ask("k", TEN), away.note("k", for_s=1), away.take_note("k")):
            with pytest.raises(CountersAway):
                await ask
    await away.close()


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "NAMES", 100)
    counters = InProcess()
    for number in range(1_000):
        counters.ask_at(str(number), TEN, 0.0)
    assert len(counters._states) == 100


async def test_a_broker_that_cannot_count_leaves_it_to_the_process() -> None:
    assert isinstance(counters_of("amqp://guest@host//"), InProcess)
    for url in ("redis://host/0", "rediss://host/0", "redis+socket:///run/v.sock", "redis://a;redis://b"):
        found = counters_of(url)
        assert isinstance(found, InRedis)
        await found.close()
