"""One call of `batchmill run`, from the listing to the exit code."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.cli.client import Server, api_errors
from services.cli.exits import ExitCode, complain
from services.cli.run.configuration import ConfigChoice, on_server, read_choice
from services.cli.run.display import Display, open_display
from services.cli.run.folder import Listing, list_folder
from services.cli.run.output import clear_partial
from services.cli.run.previous import previous_state
from services.cli.run.results import ResultLog
from services.cli.run.rounds import RoundEnd, Rounds, files_to_do, give_up
from services.cli.run.state import Round, RunState, alone_in
from services.cli.run.summary import Summary, report
from services.cli.settings import load_settings, refusals
from services.cli.stack import Signalled, make_stack, stack_errors
from services.local.stack import attach
from shared.config import Settings

ANY_PORT: Final = 0


@dataclass(frozen=True, slots=True)
class Request:
    """The command line, understood."""

    source: Path
    out: Path
    config: str | None
    fresh: bool
    as_json: bool
    concurrency: int | None
    data_dir: Path | None


@dataclass(slots=True)
class Session:
    """The request and what the disk says about it. `abandoned` is an unfinished round that nobody goes on with."""

    request: Request
    settings: Settings
    choice: ConfigChoice
    listing: Listing
    state: RunState
    log: ResultLog
    display: Display
    abandoned: Round | None


def process(request: Request) -> int:
    """Do what is to be done, print the end, answer the exit code."""
    settings = load_settings(request.data_dir)
    choice = read_choice(request.config)
    listing = list_folder(request.source, skip=(request.out, settings.data_dir))
    with alone_in(request.out):
        clear_partial(request.out)
        state, abandoned = previous_state(
            request.out, request.source.resolve(), choice.key, fresh=request.fresh
        )
        log = ResultLog(request.out)
        session = Session(
            request, settings, choice, listing, state, log, open_display(), abandoned
        )
        if not state.finished and state.round is None:
            log.keep_only(())
        started, before = time.monotonic(), len(log.rows)
        end, nothing_to_do = None, not _something_to_do(session)
        if nothing_to_do:
            log.keep_only(file.path for file in listing.files)
        else:
            try:
                end = _work(session)
            except (Signalled, KeyboardInterrupt) as stop:
                complain("stopped. What is finished is saved; run the same command again to go on.")
                return stop.code if isinstance(stop, Signalled) else ExitCode.INTERRUPTED
        return report(
            Summary(
                source=request.source,
                out=request.out,
                listing=listing,
                rows=[log.rows[file.path] for file in listing.files if file.path in log.rows],
                config=choice.key,
                reads_scans=choice.key != "cfg-PARSE_FAST",
                end=end,
                nothing_to_do=nothing_to_do,
                seconds=time.monotonic() - started,
                done_now=max(0, len(log.rows) - before),
            ),
            as_json=request.as_json,
        )


def _something_to_do(session: Session) -> bool:
    if not session.listing.files:
        return False
    if session.state.round is not None:
        return True
    return bool(files_to_do(session.listing.files, session.state, session.log))


def _work(session: Session) -> RoundEnd | None:
    with stack_errors(), refusals_of_all():
        return asyncio.run(_with_server(session))
