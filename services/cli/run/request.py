"""What was asked for, and what the disk says about it."""

from dataclasses import dataclass
from pathlib import Path

from services.cli.run.choice import ConfigChoice
from services.cli.run.display import Display
from services.cli.run.folder import Listing
from services.cli.run.plan import Wanted
from services.cli.run.planned import Planned
from services.cli.run.results import ResultLog
from services.cli.run.state import Round, RunState
from shared.config import Settings


@dataclass(frozen=True, slots=True)
class Request:
    """The command line, understood."""

    source: Path
    out: Path
    config: str | None
    fresh: bool
    wanted: Wanted
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
    planned: Planned
    log: ResultLog
    display: Display
    abandoned: Round | None
    worked_s: float = 0.0
