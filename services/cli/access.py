"""The database as a command uses it: no broker needed, and its errors in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from services.cli.exits import ExitCode, Stop, one_line
from shared.config import Database, MissingSetting, Settings
from shared.db.migrations import UnfitDatabase
from shared.db.outage import is_outage
from shared.errors import ServiceError
from shared.queue.messages import Message
from shared.storage.port import StorageDown
from shared.wiring import Resources, open_resources

SPEAKS_SQL = frozenset({"sqlalchemy", "asyncpg"})
NO_DATABASE = SecretStr("postgresql+asyncpg://nobody@localhost/none")


def without_bells(settings: Settings, *, name: str, needs_database: bool = True) -> Resources:
    """Resources that ring nothing, for a command that needs no broker."""
    if not needs_database and settings.database.url is None:
        settings = settings.model_copy(update={"database": Database(url=NO_DATABASE)})
    return open_resources(settings, name=name, pool_size=1, queue=NoBells())


class NoBells:
    """A `TaskQueue` that drops every bell: the sweeper rings again."""

    def publish(self, message: Message) -> None:
        """Nothing happens."""

    @property
    def sent(self) -> int:
        """None ever."""
        return 0

    @property
    def broker_up(self) -> bool:
        """Nobody asked it."""
        return True

    def close(self, timeout: float) -> None:
        """Nothing waits."""


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what the settings, the database and the services refuse into `Stop`."""
    try:
        yield
    except (MissingSetting, UnfitDatabase) as error:
        raise Stop(one_line(error), ExitCode.STACK) from error
    except ServiceError as error:
        raise Stop(error.message) from error
    except StorageDown as error:
        raise Stop(
            f"The storage cannot be used: {one_line(error)}. Is BATCHMILL_STORAGE__URL right?", ExitCode.STACK
        ) from error
    except Exception as error:
        if is_outage(error) or _is_of_the_database(error):
            raise Stop(database_trouble(error), ExitCode.STACK) from error
        raise


def database_trouble(error: Exception) -> str:
    """What an outage says, and where to look."""
    reason = one_line(_root(error)).rstrip(".")
    return f"The database cannot be used: {reason}. Is it up, and is BATCHMILL_DATABASE__URL right?"


def _is_of_the_database(error: BaseException) -> bool:
    # By the name of its package: SQL is not spoken here, so its errors are not imported either.
    return any(type(cause).__module__.partition(".")[0] in SPEAKS_SQL for cause in (error, _root(error)))


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
