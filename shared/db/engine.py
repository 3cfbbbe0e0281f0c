"""The connection pool, with the time-outs that keep one bad statement from holding the rest."""

import time
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

ALIVE_FOR_S: Final = 6.0
"""A connection that worked so lately, and whose socket is open, is taken for alive: asking it costs three
round trips. Longer than what comes every five seconds rests."""


def arguments(name: str, statement_timeout_s: float) -> dict[str, Any]:
    """What every connection is opened with, for the driver."""
    settings = {
        "application_name": f"batchmill-{name}",
        "statement_timeout": str(int(statement_timeout_s * 1000)),
        "lock_timeout": "10000",
        # A process paused inside a transaction must not hold its rows for longer than others can wait.
        "idle_in_transaction_session_timeout": "10000",
        "timezone": "UTC",
        "jit": "off",
    }
    return {"server_settings": settings, "timeout": 10, "command_timeout": statement_timeout_s + 10}


def open_engine(
    url: str, *, name: str, pool_size: int = 5, statement_timeout_s: float = 30, pooled: bool = True
) -> AsyncEngine:
    """A lazy engine for `postgresql+asyncpg://` URLs; `name` shows in `pg_stat_activity`."""
    connect_args = arguments(name, statement_timeout_s)
    if not pooled:
        return create_async_engine(url, poolclass=NullPool, connect_args=connect_args, hide_parameters=True)
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=15,
        pool_recycle=1800,
        # The one that worked last works again, and need not be asked; the others are for rushes.
        pool_use_lifo=True,
        connect_args=connect_args,
        # An error in a log must not carry what a request brought: hashes of keys, names, schemas.
        hide_parameters=True,
    )
    _give_out_the_living(engine)
    return engine


def reader_of(engine: AsyncEngine) -> AsyncEngine:
    """The same connections for who only reads: each statement is a transaction of its own, so no BEGIN and
    no COMMIT go over the wire. What is no SELECT is refused (`RuntimeError`): nobody would take it back."""
    reader = engine.execution_options(isolation_level="AUTOCOMMIT")

    def check(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().startswith(("SELECT", "WITH")):
            raise RuntimeError(f"a unit of work that only reads was asked to: {statement[:80]}")

    event.listen(reader.sync_engine, "before_cursor_execute", check)
    return reader


def _give_out_the_living(engine: AsyncEngine) -> None:
    """A connection that lay in the pool is asked whether it lives, unless it worked a moment ago and its
    socket is open. The dead are replaced, and all that are as old, before anybody meets them."""
    dialect, pool = engine.dialect, engine.sync_engine.pool

    def used(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    def given_out(connection: Any, record: Any, _fairy: Any) -> None:
        if not connection.driver_connection.is_closed():
            if time.monotonic() - record.info["used"] < ALIVE_FOR_S:
                return
            try:
                if dialect.do_ping(connection):
                    return
            except dialect.loaded_dbapi.Error as error:
                if not dialect.is_disconnect(error, connection, None):
                    raise
        raise InvalidatePoolError

    event.listen(pool, "connect", used)
    event.listen(pool, "checkin", used)
    event.listen(pool, "checkout", given_out)
