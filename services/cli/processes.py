"""`batchmill api`, `worker` and `upkeep`: one service in the foreground, until SIGTERM or Ctrl-C."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import ExitCode, Stop
from services.cli.queues import known_queues

if TYPE_CHECKING:
    from shared.config import Settings


def api(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Serve the API."""
    _check_extract_engine()
    with _ready_to_serve("the API"):
        from services.api.listening import serve

        serve(host, port)


def worker(
    queues: Annotated[
        str, typer.Option(help="Queues to serve, with commas between: orchestrate, parse, extract.")
    ] = "orchestrate,parse,extract",
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Jobs at once; default: the number of cores.")
    ] = None,
) -> None:
    """Work on queues."""
    wanted = known_queues(queues, option="--queues")
    if "extract" in wanted:
        _check_extract_engine()
    with _ready_to_serve("the worker"):
        from services.worker.app import run

        run(wanted, concurrency)


def upkeep() -> None:
    """Sweep what is due, and keep promises when the broker is down."""
    with _ready_to_serve("upkeep"):
        from services.worker.upkeep import run

        run()


def _check_extract_engine() -> None:
    """What asks a model and lacks a setting for it says so at once, not under the first document."""
    from services.cli.access import refusals
    from services.cli.settings import load_settings

    extract = load_settings().extract
    if extract.chosen_engine() == "openai":
        with refusals():
            extract.endpoint()


@contextmanager
def _ready_to_serve(what: str) -> Iterator[None]:
    from services.cli.access import refusals
    from services.cli.settings import load_settings
    from shared.installation.service import OtherStorage

    settings = load_settings()
    with refusals():
        settings.database_url()
        settings.broker_url()
    _refuse_a_mixture(settings)
    try:
        yield
    except OtherStorage as error:
        raise Stop(error.message, ExitCode.STACK) from error
    except ModuleNotFoundError as error:
        raise Stop(f"{what} is not installed here: {error.name} is missing.", ExitCode.STACK) from error
    except SystemExit as end:
        # The codes of the libraries below mean other things than ours (3 of uvicorn: it did not start).
        if end.code not in (0, None):
            raise Stop(f"{what} ended early; its log above says why.", ExitCode.STACK) from end
    except Exception:  # noqa: BLE001
        # Nobody sits in front of a service: its log must hold the trace.
        from shared.telemetry import logger, set_up

        set_up(json=settings.log_json)
        logger(__name__).exception("service crashed", service=what)
        raise Stop(f"{what} crashed; its log above says where.", ExitCode.STACK) from None


def _refuse_a_mixture(settings: "Settings") -> None:
    """One URL of the environment and one of the data folder's stack: is it one installation? Bells of one
    would be heard by the workers of another, and nobody would be told."""
    kept_database, kept_broker = (_kept(settings.data_dir / name) for name in ("database-url", "broker-url"))
    given = settings.database.url, settings.broker.url
    database, broker = (None if url is None else url.get_secret_value() for url in given)
    if database is not None and broker is None and kept_database not in (None, database):
        missing, said = "BATCHMILL_BROKER__URL", "BATCHMILL_DATABASE__URL"
    elif broker is not None and database is None and kept_broker not in (None, broker):
        missing, said = "BATCHMILL_DATABASE__URL", "BATCHMILL_BROKER__URL"
    else:
        return
    raise Stop(
        f"{said} names another stack than the one that lives in {settings.data_dir}, and {missing} is not "
        "set. To join the other stack set both, and its BATCHMILL_STORAGE__URL; to use this one, none.",
        ExitCode.STACK,
    )


def _kept(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None
