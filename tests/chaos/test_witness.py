"""The witness sees a holder that is robbed of live work, and is silent about one that is not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from shared.jobs import running, sweeping
from shared.wiring import Resources
from tests.chaos import witness
from tests.shared.conftest import Mill, done, make_mill


class Direct:
    """The database of the test, asked from a thread of its own: the witness knows no event loop."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("+asyncpg", "")

    def sql(self, statement: str, *values: Any) -> Sequence[Any]:
        async def ask() -> Sequence[Any]:
            connection = await asyncpg.connect(self._url)
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return asyncio.run(ask())


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Direct]:
    """A database under the eyes of the witness."""
    made = Direct(database_url)
    await asyncio.to_thread(witness.install, made)
    yield made
    await asyncio.to_thread(witness.remove, made)


@pytest.fixture
async def mill(resources: Resources) -> Mill:
    """A mill in that database."""
    return await make_mill(resources)


async def held(mill: Mill) -> tuple[str, Any]:
    """A batch, and a chunk of it in somebody's hands."""
    batch_id = await mill.open_batch(4)
    await mill.advance(batch_id)
    await mill.dispatch()
    return str(batch_id), await mill.taken()


async def seen(database: Direct, batch_id: str) -> tuple[Sequence[str], list[str]]:
    """What was taken away, and what was given back."""
    return (
        await asyncio.to_thread(witness.taken_away, database, batch_id),
        await asyncio.to_thread(witness.returned, database, batch_id),
    )


async def test_live_work_that_is_taken_away_is_seen(mill: Mill, database: Direct) -> None:
    batch_id, holder = await held(mill)
    await mill.sql(
        "UPDATE chunks SET state = 'READY', token = NULL, worker_id = NULL, losses = losses + 1,"
        " reason = 'WORKER_LOST' WHERE id = :c",
        c=holder.chunk.id,
    )
    assert await seen(database, batch_id) == (["a chunk was charged (WORKER_LOST)"], [])


async def test_a_sweep_of_a_living_holder_is_seen(mill: Mill, database: Direct) -> None:
    async def sweep() -> int:
        async with mill.resources.unit_of_work() as uow:
            return await sweeping.sweep_lost(uow)

    # From here on the sweeper was never away.
    await sweep()
    batch_id, _ = await held(mill)
    await mill.sql("UPDATE chunks SET due_at = now() - interval '1 s' WHERE state = 'TAKEN'")
    await mill.sql("UPDATE sweeps SET last_ok_at = clock_timestamp()")
    assert await sweep() == 1
    taken, returned = await seen(database, batch_id)
    assert len(taken) == 1
    assert taken[0].startswith("a chunk was reaped")
    assert returned == []


async def test_work_that_is_done_or_given_back_is_not_taken_away(mill: Mill, database: Direct) -> None:
    batch_id, holder = await held(mill)
    async with mill.resources.unit_of_work() as uow:
        await running.release(uow, holder.chunk, [], after=0.0, reason="MAINTENANCE")
    assert await seen(database, batch_id) == ([], ["MAINTENANCE"])
    again = await mill.taken()
    await mill.close(again.chunk, [done(again.chunk, file) for file in again.files])
    assert await seen(database, batch_id) == ([], ["MAINTENANCE"])
