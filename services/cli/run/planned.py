"""`planned.jsonl`: the mark that each file had when it was last planned; one line a file, only added to.

A file whose result is written and whose mark is still the planned one is finished.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from services.cli.run.lines import append_lines, whole_lines
from services.cli.run.output import disk_errors, replace_whole

FILE: Final = "planned.jsonl"
SPARE: Final = 1_000
"""So many lines that a later one outdates are no reason to write the file anew."""


class Planned:
    """The file and what it says; the last line of a path is the one that counts."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._path = out / FILE
        self._marks: dict[str, str] = {}
        self._lines = 0
        for _, line in whole_lines(self._path):
            self._lines += 1
            if (entry := _entry(line)) is not None:
                self._marks[entry[0]] = entry[1]

    def __contains__(self, path: object) -> bool:
        return path in self._marks

    def mark_of(self, path: str) -> str | None:
        """The mark it was planned with; None when it never was."""
        return self._marks.get(path)

    def add(self, marks: Mapping[str, str]) -> None:
        """Plan these; they are on the disk when this returns."""
        news = {path: mark for path, mark in marks.items() if self._marks.get(path) != mark}
        self._marks.update(news)
        with disk_errors(self._out):
            if self._lines + len(news) > 2 * len(self._marks) + SPARE:
                self._write_anew()
            elif news:
                append_lines(self._path, map(_line, news.items()))
                self._lines += len(news)

    def keep_only(self, paths: Iterable[str]) -> None:
        """Forget all others."""
        kept = {path: self._marks[path] for path in paths if path in self._marks}
        if len(kept) < len(self._marks):
            self._marks = kept
            with disk_errors(self._out):
                self._write_anew()

    def _write_anew(self) -> None:
        replace_whole(self._out, self._path, map(_line, self._marks.items()))
        self._lines = len(self._marks)


def _line(entry: tuple[str, str]) -> bytes:
    return json.dumps(entry, ensure_ascii=False).encode() + b"\n"


def _entry(line: bytes) -> tuple[str, str] | None:
    try:
        path, mark = json.loads(line)
    except (ValueError, TypeError):
        return None
    return (path, mark) if isinstance(path, str) and isinstance(mark, str) else None
