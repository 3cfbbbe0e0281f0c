"""One call of `batchmill run`, from the listing to the exit code."""

import asyncio
import time
from collections.abc import Iterator

from services.cli.exits import ExitCode, complain
from services.cli.run.choice import read_choice
from services.cli.run.display import open_display
from services.cli.run.estimate import estimate
from services.cli.run.folder import SourceFile, list_folder
from services.cli.run.output import clear_partial
from services.cli.run.plan import RoundEnd, Wanted, files_to_do
from services.cli.run.planned import Planned
from services.cli.run.request import Request, Session
from services.cli.run.results import ResultLog, Row
from services.cli.run.state import alone_in, previous_state
from services.cli.run.summary import Summary, report
from services.cli.run.table import tally
from services.cli.settings import load_settings
from services.cli.stack import Signalled, stack_errors


def process(request: Request) -> int:
    """Do what is to be done, print the end, answer the exit code."""
    settings = load_settings(request.data_dir)
    choice = read_choice(request.config)
    if choice.unknown:
        complain(f"CONFIG {request.config} holds what nobody reads: {', '.join(choice.unknown)}.")
    listing = list_folder(request.source, skip=(request.out, settings.data_dir))
    with alone_in(request.out):
        clear_partial(request.out)
        state, abandoned = previous_state(
            request.out, str(request.source.resolve()), choice.key, fresh=request.fresh
        )
        log, planned = ResultLog(request.out), Planned(request.out)
        planned.add(state.former)
        session = Session(request, settings, choice, listing, state, planned, log, open_display(), abandoned)
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
            end = _work(session)
        except (Signalled, KeyboardInterrupt) as stop:
            complain("stopped. What is finished is saved; run the same command again to go on.")
            return stop.code if isinstance(stop, Signalled) else ExitCode.INTERRUPTED
    summary = Summary(
        source=session.request.source,
        out=session.request.out,
        listing=listing,
        tally=tally(_rows_of(session), len(listing.files)),
        left_for_later=_left_for_later(session),
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
    return session.state.round is not None or bool(_to_do(session, session.request.wanted))


def _to_do(session: Session, wanted: Wanted) -> list[SourceFile]:
    if session.state.is_new:
        return list(session.listing.files)  # what lies in OUT is of another CONFIG, or is to be replaced
    return files_to_do(session.listing.files, session.planned, session.log, wanted)


def _rows_of(session: Session) -> Iterator[Row]:
    """Those of files that are in the folder now."""
    paths = {file.path for file in session.listing.files}
    return (row for row in session.log.rows() if row.path in paths)


def _left_for_later(session: Session) -> int:
    """Files that a run without --only-new and --retry-failed would have taken on."""
    return 0 if session.request.wanted is Wanted.OPEN else len(_to_do(session, Wanted.OPEN))


def _work(session: Session) -> RoundEnd | None:
    # Loaded only when there is something to do: the client brings a second of imports.
    from services.cli.client import api_errors
    from services.cli.run.work import do

    settings, request = session.settings, session.request
    for line in estimate(_to_do(session, request.wanted), out=request.out, data_dir=settings.data_dir):
        session.display.say(line)
    with stack_errors(), api_errors():
        return asyncio.run(do(session))
