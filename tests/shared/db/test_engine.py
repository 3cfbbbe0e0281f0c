"""The pool gives out connections that live; readers only read."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import engine as engines
from shared.db.engine import open_engine
from shared.wiring import Resources

PID = text("SELECT pg_backend_pid()")


@pytest.fixture
async def one(database_url: str) -> AsyncIterator[AsyncEngine]:
    """A pool of one connection."""
    engine = open_engine(database_url, name="one", pool_size=1)
    yield engine
    await engine.dispose()


async def pid_of(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(PID)).scalar_one())


async def kill(resources: Resources, pid: int) -> None:
    async with resources.engine.connect() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:p, 5000)"), {"p": pid})


@pytest.mark.parametrize("rests_s", [0.05, engines.ALIVE_FOR_S + 0.1])
async def test_a_connection_that_died_in_the_pool_is_replaced(
    one: AsyncEngine, resources: Resources, rests_s: float
) -> None:
    first = await pid_of(one)
    assert await pid_of(one) == first
    await kill(resources, first)
    await asyncio.sleep(rests_s)
    assert await pid_of(one) != first


async def test_a_connection_that_rested_is_asked_and_one_that_works_is_not(
    one: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pings: list[str] = []
    ask = asyncpg.Connection.fetchrow

    async def fetchrow(self: asyncpg.Connection, query: str, *args: object) -> object:
        pings.append(query)
        return await ask(self, query, *args)

    monkeypatch.setattr(asyncpg.Connection, "fetchrow", fetchrow)
    monkeypatch.setattr(engines, "ALIVE_FOR_S", 3600.0)
    for _ in range(3):
        await pid_of(one)
    assert pings == []
    monkeypatch.setattr(engines, "ALIVE_FOR_S", 0.0)
    await pid_of(one)
    assert pings == [";"]


async def test_a_reader_refuses_to_write(resources: Resources) -> None:
    async with resources.reading() as uow:
        assert (await uow.session.execute(text("SELECT 1"))).scalar_one() == 1
        with pytest.raises(RuntimeError, match="only reads"):
            await uow.session.execute(text("INSERT INTO organizations (name) VALUES ('o')"))
    async with resources.unit_of_work() as uow:
        assert (await uow.session.execute(text("SELECT count(*) FROM organizations"))).scalar_one() == 0
