"""The end of a run, for people: a table of at most fifty files, then totals."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.run.results import CANCELLED, COMPLETED, FAILED, FILE, NO_TEXT, NO_VALUES, Row

MOST_ROWS: Final = 50
NARROW: Final = 80
FIXED: Final = 9 + 5 + 5 + 4 + 2
"""Taken by status and pages; by the padding of five columns, what divides them, and both edges."""
LEAST_PATH: Final = 6
"""Of a path at least so much is shown beside a code."""
OF_VALUES: Final = " values"

STYLES: Final = {COMPLETED: "green", FAILED: "red", CANCELLED: "yellow"}


@dataclass(frozen=True, slots=True)
class Totals:
    """All files of the folder together. `missing` have no result yet."""

    files: int
    completed: int
    failed: int
    cancelled: int
    missing: int
    no_text: int
    no_values: int
    pages: int


@dataclass(frozen=True, slots=True)
class Tally:
    """The rows of a run, added up; `shown` are those that the table has room for."""

    totals: Totals
    shown: tuple[Row, ...]


def tally(rows: Iterable[Row], files: int) -> Tally:
    """Look at each row once and keep few; `files` is how many the folder has."""
    seen: Counter[str] = Counter()

    def counted() -> Iterator[Row]:
        for row in rows:
            seen["rows"] += 1
            seen[row.status] += 1
            seen["pages"] += row.pages or 0
            if row.status == COMPLETED and row.message in (NO_TEXT, NO_VALUES):
                seen[row.message] += 1
            yield row

    # Failures first, then what was cancelled, then the rest, each in order of path.
    order = {FAILED: 0, CANCELLED: 1}
    shown = nsmallest(MOST_ROWS, counted(), key=lambda row: (order.get(row.status, 2), row.path))
    totals = Totals(
        files=files,
        completed=seen[COMPLETED],
        failed=seen[FAILED],
        cancelled=seen[CANCELLED],
        missing=files - seen["rows"],
        no_text=seen[NO_TEXT],
        no_values=seen[NO_VALUES],
        pages=seen["pages"],
    )
    return Tally(totals, tuple(shown))


def print_table(console: Console, found: Tally) -> None:
    """One line for each row that is shown, and how many are not."""
    chosen = found.shown
    if not chosen:
        return
    measure, told = _measures(chosen)
    ends = [_end(row) for row in chosen]
    room = max(console.width - FIXED - max(map(len, [measure, *told])), 24)
    path_width, end_width = _widths(room, chosen, ends)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("file", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("pages", justify="right", no_wrap=True)
    table.add_column(measure, justify="right", no_wrap=True)
    table.add_column("output or code", no_wrap=True)
    for row, measured, end in zip(chosen, told, ends, strict=True):
        # A path and an output tell more at their end, a code or a message at its beginning.
        cut = tail if row.output else head
        table.add_row(
            Text(tail(printable(row.path), path_width)),
            Text(row.status, STYLES.get(row.status, "")),
            "" if row.pages is None else str(row.pages),
            measured,
            Text(cut(printable(end), end_width)),
        )
    console.print(table)
    if more := found.totals.files - found.totals.missing - len(chosen):
        console.print(f"{_count(more, 'more file')}: see {FILE}.", markup=False)


def print_totals(
    console: Console,
    totals: Totals,
    *,
    out: Path,
    left_out: Mapping[str, int],
    reads_scans: bool,
    speed: str | None,
) -> None:
    """Totals, speed of this run, where everything is, and what a person may want to know."""
    parts = [f"{totals.completed} completed", f"{totals.failed} failed"]
    parts += [f"{totals.cancelled} cancelled"] if totals.cancelled else []
    parts += [f"{totals.missing} without a result"] if totals.missing else []
    lines = [f"{_count(totals.files, 'file')}: {', '.join(parts)}; {_count(totals.pages, 'page')}"]
    if speed:
        lines.append(speed)
    lines.append(f"output: {out} ({FILE} has one line for each file)")
    if totals.no_text:
        hint = "" if reads_scans else " (scans? use cfg-PARSE_COST_EFFECTIVE)"
        lines.append(f"no text: {totals.no_text}{hint}")
    if totals.no_values:
        hint = "" if reads_scans else " (scans? leave parse_tier fast out)"
        lines.append(f"no values: {totals.no_values}{hint}")
    if left_out:
        lines.append("left out: " + ", ".join(f"{reason} {count}" for reason, count in left_out.items()))
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def table_console() -> Console:
    """Stdout; eighty columns where it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=NARROW)


def tail(text: str, width: int) -> str:
    """The end of a text that is too long: of a path it tells more than the beginning."""
    return text if len(text) <= width else "…" + text[-(width - 1) :]


def head(text: str, width: int) -> str:
    """The beginning of a text that is too long."""
    return text if len(text) <= width else text[: width - 1] + "…"


def printable(text: str) -> str:
    """File names may hold line breaks and escape sequences; a terminal must not obey them."""
    return "".join(char if char.isprintable() else "�" for char in text)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _end(row: Row) -> str:
    return row.output or row.code or (row.message or "")[:60]


def _measures(rows: Sequence[Row]) -> tuple[str, list[str]]:
    """The column that says how it went: values of an extraction, else seconds."""
    said = [_values(row) for row in rows]
    if any(said):
        return "values", said
    return "seconds", ["" if row.seconds is None else f"{row.seconds:.2f}" for row in rows]


def _values(row: Row) -> str:
    message = row.message or ""
    if row.status != COMPLETED or not (message == NO_VALUES or message.endswith(OF_VALUES)):
        return ""
    return "none" if message == NO_VALUES else message.removesuffix(OF_VALUES)


def _widths(room: int, rows: Sequence[Row], ends: Sequence[str]) -> tuple[int, int]:
    path, end = max(len(row.path) for row in rows), max(map(len, [*ends, "output or code"]))
    if path + end <= room:
        return path, end
    codes = [len(end) for row, end in zip(rows, ends, strict=True) if not row.output]
    # Whoever needs less than half gets it whole and the other takes the rest, but a code is not cut.
    for_path = room - max(room // 2, min(max(codes, default=0), room - LEAST_PATH))
    if path <= for_path:
        return path, room - path
    if end <= room - for_path:
        return room - end, end
    return for_path, room - for_path
