"""How a run ended: for people, for programs, and as an exit code."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from services.cli.exits import ExitCode, complain
from services.cli.run.choice import ConfigChoice
from services.cli.run.folder import Listing
from services.cli.run.plan import RoundEnd
from services.cli.run.results import FILE
from services.cli.run.table import Tally, Totals, print_table, print_totals, table_console


@dataclass(frozen=True, slots=True)
class Summary:
    """`tally` is of the files that are in the folder now. `left_for_later`: files that the options of this
    call left as they are. The last three are of this call: `seconds` is all of it, `worked_s` leaves out the
    start of a stack."""

    source: Path
    out: Path
    listing: Listing
    tally: Tally
    left_for_later: int
    choice: ConfigChoice
    end: RoundEnd | None
    nothing_to_do: bool
    seconds: float
    worked_s: float
    done_now: int

    def totals(self) -> Totals:
        """All files together."""
        return self.tally.totals

    def speed(self) -> str | None:
        """Files a second and how long it took; None when nothing was done."""
        if not self.done_now:
            return None
        return f"{self.done_now / max(self.worked_s, 0.001):.1f} files/s, {self.seconds:.1f} s in all"

    def exit_code(self) -> ExitCode:
        """As promised to scripts (design section 10)."""
        if self.end is not None and self.end.status in ("FAILED", "CANCELLED"):
            return ExitCode.FAILED
        totals = self.totals()
        if totals.files and not totals.completed:
            return ExitCode.ALL_FILES_FAILED
        return ExitCode.OK


def report(summary: Summary, *, as_json: bool) -> None:
    """Print the end on stdout, and on stderr what made it a failure."""
    if as_json:
        typer.echo(json.dumps(as_record(summary), ensure_ascii=False))
    else:
        _print(summary)
    end = summary.end
    if end is not None and end.status in ("FAILED", "CANCELLED"):
        complain(f"batch {end.batch_id} is {end.status}. {end.message or ''}".rstrip())


def as_record(summary: Summary) -> dict[str, object]:
    """The one JSON object of `--json`."""
    end = summary.end
    return {
        "status": None if end is None else end.status,
        "batch_id": None if end is None else end.batch_id,
        "dir": str(summary.source),
        "out": str(summary.out),
        "results": str(summary.out / FILE),
        "configuration": summary.choice.key,
        **asdict(summary.totals()),
        "left_out": summary.listing.left_out,
        "left_for_later": summary.left_for_later,
        "nothing_to_do": summary.nothing_to_do,
        "done_now": summary.done_now,
        "seconds": round(summary.seconds, 3),
        "files_per_second": round(summary.done_now / max(summary.worked_s, 0.001), 3),
        "exit_code": int(summary.exit_code()),
    }


def _print(summary: Summary) -> None:
    console = table_console()
    print_table(console, summary.tally)
    print_totals(
        console,
        summary.totals(),
        out=summary.out,
        left_out=summary.listing.left_out,
        reads_scans=summary.choice.reads_scans,
        speed=summary.speed(),
    )
    if summary.left_for_later:
        console.print(
            f"left for later: {summary.left_for_later} (new, changed or not finished; run without --only-new "
            "and --retry-failed)",
            markup=False,
            soft_wrap=True,
        )
    if summary.nothing_to_do:
        why = _why_nothing(summary)
        console.print(f"nothing to do: {why}", markup=False)


def _why_nothing(summary: Summary) -> str:
    if not summary.listing.files:
        return "the folder holds no file"
    if summary.left_for_later:
        return "no file is of the kind that was asked for"
    return "every file has its result already"
