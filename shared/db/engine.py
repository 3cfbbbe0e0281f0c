"""The connection pool, with the time-outs that keep one bad statement from holding the rest."""

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool


def open_engine(
    url: str, *, name: str, pool_size: int = 5, statement_timeout_s: float = 30, pooled: bool = True
) -> AsyncEngine:
    """A lazy engine for `postgresql+asyncpg://` URLs; `name` shows in `pg_stat_activity`."""
    settings = {
        "application_name": f"batchmill-{name}",
        "statement_timeout": str(int(statement_timeout_s * 1000)),
        "lock_timeout": "10000",
        # A process paused inside a transaction must not hold its rows for longer than others can wait.
        "idle_in_transaction_session_timeout": "10000",
        "timezone": "UTC",
        "jit": "off",
    }
    connect_args = {"server_settings": settings, "timeout": 10, "command_timeout": statement_timeout_s + 10}
    if not pooled:
        return create_async_engine(url, poolclass=NullPool, connect_args=connect_args, hide_parameters=True)
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=15,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args=connect_args,
        # An error in a log must not carry what a request brought: hashes of keys, names, schemas.
        hide_parameters=True,
    )
