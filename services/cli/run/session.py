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
from services.cli.run.output import clear_partial, disk_errors
from services.cli.run.results import ResultLog
from services.cli.run.rounds import RoundEnd, Rounds, files_to_do, give_up
from services.cli.run.state import Round, RunState, alone_in, previous_state
from services.cli.run.summary import Summary, report
from services.cli.settings import load_settings
from services.cli.stack import Signalled, make_stack, stack_errors
from services.local.stack import attach
from shared.config import Settings

LOCAL: Final = "127.0.0.1"
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
    """The request and what the disk says about it.

    `abandoned` is an unfinished round that nobody goes on with. `worked_s` leaves out the start of a stack.
    """

    request: Request
    settings: Settings
    choice: ConfigChoice
    listing: Listing
    state: RunState
    log: ResultLog
    display: Display
    abandoned: Round | None
    worked_s: float = 0.0


def process(request: Request) -> int:
    """Do what is to be done, print the end, answer the exit code."""
    settings = load_settings(request.data_dir)
    choice = read_choice(request.config)
    listing = list_folder(request.source, skip=(request.out, settings.data_dir))
    with alone_in(request.out):
        clear_partial(request.out)
        state, abandoned = previous_state(
            request.out, str(request.source.resolve()), choice.key, fresh=request.fresh
        )
        log = ResultLog(request.out)
        if state.is_new:
            log.keep_only(())
        session = Session(request, settings, choice, listing, state, log, open_display(), abandoned)
        try:
            return _go_on(session)
        finally:
            clear_partial(request.out)


def _go_on(session: Session) -> int:
    started = time.monotonic()
    log, listing = session.log, session.listing
    nothing_to_do = not _something_to_do(session)
    end: RoundEnd | None = None
    if nothing_to_do:
        log.keep_only(file.path for file in listing.files)
    else:
        try:
            with stack_errors(), api_errors(), disk_errors(session.request.out):
                end = asyncio.run(_work(session))
        except (Signalled, KeyboardInterrupt) as stop:
            complain("stopped. What is finished is saved; run the same command again to go on.")
            return stop.code if isinstance(stop, Signalled) else ExitCode.INTERRUPTED
    summary = Summary(
        source=session.request.source,
        out=session.request.out,
        listing=listing,
        rows=[log.rows[file.path] for file in listing.files if file.path in log.rows],
        choice=session.choice,
        end=end,
        nothing_to_do=nothing_to_do,
        seconds=time.monotonic() - started,
        worked_s=session.worked_s,
        done_now=log.added,
    )
    report(summary, as_json=session.request.as_json)
    return summary.exit_code()


def _something_to_do(session: Session) -> bool:
    if session.state.round is not None:
        return True
    return bool(files_to_do(session.listing.files, session.state, session.log))


async def _work(session: Session) -> RoundEnd | None:
    async with _server(session) as server, server.client() as client:
        started = time.monotonic()
        configuration = await on_server(client, session.choice)
        if session.abandoned is not None:
            await give_up(client, session.abandoned)
        session.state.base_url = server.base_url
        rounds = Rounds(
            client,
            configuration,
            session.listing,
            session.request.out,
            session.state,
            session.log,
            session.display,
        )
        end = await rounds.run()
        session.worked_s = time.monotonic() - started
        return end


@asynccontextmanager
async def _server(session: Session) -> AsyncIterator[Server]:
    """The live stack of the data folder, else one that lives as long as the block."""
    settings, say = session.settings, session.display.say
    if (live := await attach(settings.data_dir)) is not None:
        say(f"using the stack at {live.base_url}")
        yield Server(live.base_url, live.project_key)
        return
    say("starting the stack; the first time takes some seconds longer")
    workers = session.request.concurrency or settings.worker.concurrency
    async with make_stack(settings, host=LOCAL, port=ANY_PORT, concurrency=workers, log=say) as stack:
        yield Server(stack.base_url, stack.project_key)
