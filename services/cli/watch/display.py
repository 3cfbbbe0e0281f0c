"""What a person sees of a batch: one line that is drawn anew, or in a log a line now and then."""

import shutil
import sys
import time
from datetime import timedelta
from typing import Any, Final

from services.cli.watch.stream import FINAL, Event

LINE_EVERY_S: Final = 5.0
CLEAR: Final = "\r\x1b[2K"


def line_of(data: dict[str, Any]) -> str:
    """`RUNNING: 120 of 400 files, 2 failed, 35.1/s, 0:00:08 left`."""
    done = data["total"] - data["open"]
    total = (
        f"{data['total']:,}" if data["listed"] or data["status"] in FINAL else f"{data['total']:,} or more"
    )
    parts = [f"{done:,} of {total} files"]
    parts += [f"{data[name]:,} {word}" for name, word in _COUNTS if data[name]]
    if data["open"] and data["status"] == "RUNNING":
        parts.append(f"{data['files_per_second']:.1f}/s")
        if data["eta_seconds"] is not None:
            parts.append(f"{timedelta(seconds=round(data['eta_seconds']))} left")
    status = data["status"]
    if data["stopping_as"] and status != data["stopping_as"]:
        status = f"{status}, stopping to end {data['stopping_as']}"
    why = data["waiting"]["message"] if data["waiting"] else None
    if data["failure_message"]:
        why = f"{data['failure_code']}: {data['failure_message']}"
    return f"{status}: {', '.join(parts)}" + (f" ({why})" if why else "")


_COUNTS: Final = (
    ("failed", "failed"),
    ("cancelled", "cancelled"),
    ("unmapped", "without a job"),
    ("reused", "known before"),
)


class Screen:
    """On a terminal one line that changes; elsewhere a line for each change of state, else every five
    seconds."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._drawn = False
        self._said = ""
        self._status: tuple[Any, ...] = ()
        self._at = float("-inf")

    def show(self, event: Event) -> None:
        """The event: the files that failed, each on a line of its own, and how far the batch is."""
        for one in event.data["failures"]:
            self._print(f"failed: {one['name']} ({one['error_code']})")
        self.draw(event.data, at_once=event.is_final)

    def draw(self, data: dict[str, Any], *, at_once: bool = False) -> None:
        """How far the batch is."""
        line = line_of(data)
        if self._live and not at_once:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write(CLEAR + line[:width])
            sys.stdout.flush()
            self._drawn = True
            return
        waiting = data["waiting"] or {}
        status = (data["status"], data["stopping_as"], waiting.get("code"))
        due = status != self._status or time.monotonic() - self._at >= LINE_EVERY_S
        if line != self._said and (at_once or due):
            self._said, self._status, self._at = line, status, time.monotonic()
            self._print(line)

    def notice(self, message: str) -> None:
        """Beside the batch, such as a connection that was lost."""
        self._wipe()
        print(f"batchmill: {message}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line as it is, whole."""
        if self._drawn:
            sys.stdout.write("\n")
            sys.stdout.flush()
            self._drawn = False

    def _print(self, line: str) -> None:
        self._wipe()
        print(line, flush=True)

    def _wipe(self) -> None:
        if self._drawn:
            sys.stdout.write(CLEAR)
            sys.stdout.flush()
            self._drawn = False
