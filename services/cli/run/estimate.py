"""What is known before anything starts, and after the first hundred files. It never asks back."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from services.cli.run.display import Display
from services.cli.run.folder import SourceFile

FIRST: Final = 100
TYPES: Final = 6
UNITS: Final = ("bytes", "KB", "MB", "GB", "TB", "PB")
STEP: Final = 1_000


def estimate(files: Sequence[SourceFile], *, out: Path, data_dir: Path) -> list[str]:
    """How much there is to do, of which types, and how much room there is for it."""
    size = sum(file.size for file in files)
    kinds = Counter(os.path.splitext(file.path)[1].lower() or "no ending" for file in files)  # noqa: PTH122
    shown = [f"{ending} {count:,}" for ending, count in kinds.most_common(TYPES)]
    rest = sum(kinds.values()) - sum(count for _, count in kinds.most_common(TYPES))
    shown += [f"others {rest:,}"] if rest else []
    lines = [f"to do: {len(files):,} files, {in_words(size)} ({', '.join(shown)})"]
    return lines + _room(size, out, data_dir)


def _room(size: int, out: Path, data_dir: Path) -> list[str]:
    # Text is rarely more than the document it comes from: once in OUT, once in the stack, whose storage may
    # hold the uploaded file too.
    needed: Counter[int] = Counter()
    found: dict[int, tuple[Path, int]] = {}
    for folder, share in ((out, size), (data_dir, 2 * size)):
        there = _existing(folder)
        device = there.stat().st_dev
        needed[device] += share
        found.setdefault(device, (folder, shutil.disk_usage(there).free))
    lines = [f"free disk: {in_words(free)} at {folder}" for folder, free in found.values()]
    return lines + [
        f"the results may not fit: they may need {in_words(needed[device])} at {folder}"
        for device, (folder, free) in found.items()
        if needed[device] > free
    ]


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def in_words(size: float) -> str:
    """Bytes as people say them: 512 bytes, 3.2 GB."""
    for unit in UNITS:
        if size < STEP or unit == UNITS[-1]:
            return f"{size:,.0f} {unit}" if unit == UNITS[0] else f"{size:,.1f} {unit}"
        size /= STEP
    raise AssertionError


class Forecast:
    """Says once, after the first hundred files of a round, how long the others will take."""

    def __init__(self, display: Display, files: int) -> None:
        self._display = display
        self._left = files
        self._seen = 0
        self._started = time.monotonic()

    def advance(self) -> None:
        """One more file is done."""
        self._seen += 1
        self._left -= 1
        if self._seen == FIRST and self._left > 0:
            took = time.monotonic() - self._started
            rest = timedelta(seconds=round(took / FIRST * self._left))
            self._display.say(
                f"the first {FIRST} took {took:.1f} s; at this pace {self._left:,} more: {rest}"
            )
