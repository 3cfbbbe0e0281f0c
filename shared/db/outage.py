"""Tell a database that is away from a statement that is wrong."""

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.ConnectionDoesNotExistError,
    # The server hung up between two steps of a statement: one connection of forty that were cut off.
    asyncpg.InternalClientError,
)


def is_outage(error: BaseException) -> bool:
    """May the same statement work later, without anybody changing it?"""
    if isinstance(error, (*_AWAY, OSError, PoolTimeout, TimeoutError, InterfaceError)):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    cause = _root(error)
    return isinstance(cause, (*_AWAY, OSError, TimeoutError)) or (
        isinstance(error, OperationalError) and not is_lock_wait(error)
    )


def is_lock_wait(error: BaseException) -> bool:
    """Did a row lock not come within its time-out? The holder works on the same thing."""
    return isinstance(_root(error), (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError))


def will_pass(error: BaseException) -> bool:
    """Is nobody to blame: the database away, too slow, or somebody else at work on the same rows?"""
    return is_outage(error) or is_lock_wait(error) or isinstance(_root(error), asyncpg.QueryCanceledError)


def lacks_schema(error: BaseException) -> bool:
    """Is a table not there yet, because nobody ran the migrations?"""
    return isinstance(_root(error), asyncpg.UndefinedTableError)


def _root(error: BaseException) -> BaseException:
    seen = error
    while (inner := getattr(seen, "orig", None) or seen.__cause__) is not None:
        seen = inner
    return seen
