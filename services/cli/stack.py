"""The embedded stack as the commands use it: how it is opened, its first keys, its errors in words."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from services.cli.exits import ExitCode, Stop
from services.local.errors import StackError, StackStopped
from services.local.stack import Stack
from shared.config import Database, Settings

if TYPE_CHECKING:
    from shared.db.unit_of_work import UnitOfWorkFactory

SIGNAL_BASE = 128


class Signalled(Exception):
    """A signal ended the stack in order; `code` is what the command exits with (130 for Ctrl-C)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def make_stack(
    settings: Settings,
    *,
    host: str,
    port: int,
    concurrency: int | None,
    log: Callable[[str], None],
    roots: Sequence[str] = (),
) -> Stack:
    """A stack on the settings' data folder; it embeds what the settings give no URL for. It may read `roots`
    in place, instead of those of the settings."""

    async def first_keys(database_url: str) -> tuple[str, str]:
        return await _first_keys(
            settings.model_copy(update={"database": Database(url=SecretStr(database_url))})
        )

    given = settings.database.url, settings.broker.url
    database_url, broker_url = (None if url is None else url.get_secret_value() for url in given)
    return Stack(
        settings.data_dir,
        host=host,
        port=port,
        concurrency=concurrency,
        database_url=database_url,
        broker_url=broker_url,
        bootstrap=first_keys,
        log=log,
        roots=roots,
    )


@contextmanager
def stack_errors() -> Iterator[None]:
    """Turns the end of a stack into `Signalled` or `Stop` (exit 4)."""
    try:
        yield
    except StackStopped as end:
        raise Signalled(SIGNAL_BASE + end.by) from None
    except StackError as error:
        raise Stop(error.message, ExitCode.STACK) from error


async def _first_keys(settings: Settings) -> tuple[str, str]:
    # Loaded here: a stack makes its first keys once, and this brings all of SQLAlchemy.
    from services.cli.access import refusals, without_bells

    resources = without_bells(settings, name="first-keys")
    try:
        with refusals():
            return await _missing_keys(resources.unit_of_work)
    finally:
        await resources.close()


async def _missing_keys(unit_of_work: "UnitOfWorkFactory") -> tuple[str, str]:
    from services.cli.default_project import default_project
    from shared.projects import service as project_service

    async with unit_of_work() as uow:
        project_key, operator_key = await project_service.bootstrap(uow)
        # A given database may have keys whose text this data folder never saw: they stay, we add ours.
        if project_key is None:
            project_id = await default_project(uow)
            project_key, _ = await project_service.create_key(
                uow, project_id=project_id, name="embedded stack"
            )
        if operator_key is None:
            operator_key, _ = await project_service.create_key(uow, project_id=None, name="embedded stack")
        await uow.commit()
    return project_key, operator_key
