"""`results.jsonl`: one line for each source file, added as results come."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from services.cli.run.output import disk_errors, write_whole

FILE: Final = "results.jsonl"
NO_TEXT: Final = "no text"
NO_VALUES: Final = "no values"
COMPLETED: Final = "COMPLETED"
FAILED: Final = "FAILED"
CANCELLED: Final = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Row:
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


COLUMNS: Final = tuple(column.name for column in fields(Row))


class ResultLog:
    """The file and what it says. A line is there whole or not at all, also after a crash.

    `added` counts the lines of this process.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._path = out / FILE
        self.rows: dict[str, Row] = {}
        self.added = 0
        self._read()

    def append(self, rows: Iterable[Row]) -> None:
        """Add a group of lines; they are on the disk when this returns."""
        group = list(rows)
        if not group:
            return
        with disk_errors(self._out), self._path.open("ab") as file:
            file.write(b"".join(_line(row) for row in group))
            file.flush()
            os.fsync(file.fileno())
        self.rows.update((row.path, row) for row in group)
        self.added += len(group)

    def keep_only(self, paths: Iterable[str]) -> None:
        """Replace the file by one that speaks of these paths only, one line each."""
        kept = [self.rows[path] for path in paths if path in self.rows]
        with disk_errors(self._out):
            write_whole(self._out, self._path, b"".join(_line(row) for row in kept))
        self.rows = {row.path: row for row in kept}

    def _read(self) -> None:
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(self._path, whole)
        for line in text[:whole].splitlines():
            if (row := _row(line)) is not None:
                self.rows[row.path] = row


def _line(row: Row) -> bytes:
    return json.dumps(asdict(row), ensure_ascii=False).encode() + b"\n"


def _row(line: bytes) -> Row | None:
    try:
        raw = json.loads(line)
        return Row(**{name: raw[name] for name in COLUMNS})
    except (ValueError, KeyError, TypeError):
        return None
