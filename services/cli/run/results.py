"""`results.jsonl`: one line for each source file, added as results come."""

import json
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple

from services.cli.run.lines import append_lines, whole_lines
from services.cli.run.output import disk_errors, replace_whole, settle_names

FILE: Final = "results.jsonl"
NO_TEXT: Final = "no text"
NO_VALUES: Final = "no values"
COMPLETED: Final = "COMPLETED"
FAILED: Final = "FAILED"
CANCELLED: Final = "CANCELLED"
NOT_UPLOADED: Final = "NOT_UPLOADED"


class Row(NamedTuple):
    """What became of one file. `output` is relative to OUT; a completed file's `message` may be 'no text',
    and of an extraction it is 'no values' or such as '5 of 7 values'."""

    path: str
    directory_file_id: str | None
    job_id: str | None
    status: str
    code: str | None = None
    message: str | None = None
    pages: int | None = None
    seconds: float | None = None
    output: str | None = None


COLUMNS: Final = Row._fields


class End(NamedTuple):
    """How a file ended, in short."""

    status: str
    code: str | None


WELL: Final = End(COMPLETED, None)


class ResultLog:
    """The file and what it says. A line is there whole or not at all, also after a crash.

    Of a line only its place is kept in memory, and how the file ended when it did not complete: rows of
    200,000 files would take a quarter of a gigabyte. `added` counts the lines of this process.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._path = out / FILE
        self._begins: dict[str, int] = {}
        self._not_well: dict[str, End] = {}
        self._lines = 0
        self.added = 0
        for begins, line in whole_lines(self._path):
            self._lines += 1
            if (row := _row(line)) is not None:
                self._learn(row, begins)

    def __contains__(self, path: object) -> bool:
        return path in self._begins

    def __len__(self) -> int:
        return len(self._begins)

    def end_of(self, path: str) -> End | None:
        """How the file ended; None when it has no line."""
        return self._not_well.get(path, WELL) if path in self._begins else None

    def rows(self) -> Iterator[Row]:
        """The last row of each path, in the order of the file; read from the disk."""
        for line in self._last_lines():
            if (row := _row(line)) is not None:
                yield row

    def append(self, rows: Iterable[Row]) -> None:
        """Add a group of lines; they, and the names of their outputs, are on the disk when this returns."""
        group = list(rows)
        if not group:
            return
        lines = [_line(row) for row in group]
        folders = {(self._out / row.output).parent for row in group if row.output is not None}
        with disk_errors(self._out):
            settle_names(folders)
            begins = append_lines(self._path, lines)
        for row, line in zip(group, lines, strict=True):
            self._learn(row, begins)
            begins += len(line)
        self._lines += len(group)
        self.added += len(group)

    def keep_only(self, paths: Iterable[str]) -> None:
        """Replace the file by one that speaks of these paths only, one line each; not touched if it does."""
        kept = {path for path in paths if path in self._begins}
        if len(kept) == self._lines and self._path.exists():
            return
        self._not_well = {path: end for path, end in self._not_well.items() if path in kept}
        self._begins = {path: begins for path, begins in self._begins.items() if path in kept}
        sizes: list[int] = []

        def lines() -> Iterator[bytes]:
            for line in self._last_lines():
                sizes.append(len(line))
                yield line

        with disk_errors(self._out):
            replace_whole(self._out, self._path, lines())
        begins = 0
        for path, size in zip(self._in_order(), sizes, strict=True):
            self._begins[path] = begins
            begins += size
        self._lines = len(sizes)

    def _learn(self, row: Row, begins: int) -> None:
        self._begins[row.path] = begins
        if row.status == COMPLETED:
            self._not_well.pop(row.path, None)
        else:
            self._not_well[row.path] = End(row.status, row.code)

    def _in_order(self) -> list[str]:
        return [path for path, _ in sorted(self._begins.items(), key=itemgetter(1))]

    def _last_lines(self) -> Iterator[bytes]:
        if not self._begins:
            return
        with self._path.open("rb") as file:
            for begins in sorted(self._begins.values()):
                file.seek(begins)
                yield file.readline()


_values: Final = itemgetter(*COLUMNS)


def _line(row: Row) -> bytes:
    return json.dumps(row._asdict(), ensure_ascii=False).encode() + b"\n"


def _row(line: bytes) -> Row | None:
    try:
        raw = json.loads(line)
        return Row._make(_values(raw))
    except (ValueError, KeyError, TypeError):
        return None
