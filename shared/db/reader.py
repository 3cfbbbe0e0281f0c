"""Single SELECTs straight by the driver, for the few reads that come most often.

What is between a request and its row elsewhere (a session, a transaction, a result that knows its columns)
costs five times what the row does. Here is nothing of it, and so nothing else may be done here.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.outage import is_outage
from shared.telemetry import logger

log = logger(__name__)

PATIENCE_S: Final = 5.0
_FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class NotNow(Exception):
    """The database did not answer, or all connections were busy: ask in the ordinary way, which tells why."""


class Reader:
    """A small pool of connections of its own, opened when the first is needed. They are never in a
    transaction and have nothing to be reset."""

    def __init__(self, engine: AsyncEngine, connect_args: dict[str, Any], *, size: int) -> None:
        _, where = engine.dialect.create_connect_args(engine.url)
        self._options = {**where, **connect_args, "max_size": size}
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    async def fetch(self, select: str, *values: Any) -> Sequence[Sequence[Any]]:
        """All rows of one SELECT, with its values for `$1`, `$2` ... Raises `NotNow`."""
        pool = self._pool or await self._open()
        try:
            connection = await pool.acquire(timeout=PATIENCE_S)
            try:
                found: Sequence[Sequence[Any]] = await connection.fetch(select, *values)
            finally:
                await pool.release(connection)
        except _FAILURES as error:
            if not is_outage(error):
                log.warning("a read by the driver failed", error=repr(error)[:300])
            raise NotNow from error
        return found

    async def close(self) -> None:
        """Give the connections back; twice is once."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    **self._options, min_size=0, init=_prepare, reset=_nothing
                )
        return self._pool


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _nothing(_connection: Any) -> None:
    """Without it each release is a round trip."""
