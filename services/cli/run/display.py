"""How far a run is: a bar on a terminal, one line every five seconds elsewhere. All on stderr."""

import sys
from collections import deque
from datetime import timedelta
from time import monotonic
from typing import Final, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

LINE_EVERY_S: Final = 5.0
WINDOW_S: Final = 15.0
LOOK_EVERY_S: Final = 0.2


class Meter:
    """Counts, and how fast they grow: over the last seconds, so a pause shows soon."""

    def __init__(self, total: int, done: int) -> None:
        self.total = total
        self.done = done
        self.failed = 0
        self._seen: deque[tuple[float, int]] = deque([(monotonic(), done)])

    def advance(self, *, failed: bool) -> None:
        """One more file has ended."""
        self.done += 1
        self.failed += failed

    def rate(self) -> float:
        """Files a second."""
        now = monotonic()
        if now - self._seen[-1][0] >= LOOK_EVERY_S:
            self._seen.append((now, self.done))
        while now - self._seen[0][0] > WINDOW_S and self._seen[0] is not self._seen[-1]:
            self._seen.popleft()
        since, then = self._seen[0]
        return (self.done - then) / max(now - since, 0.001)

    def left(self) -> str:
        """Time left at this rate, as 0:01:30, or '-' when nothing moves."""
        rate = self.rate()
        if rate <= 0:
            return "-"
        return str(timedelta(seconds=round((self.total - self.done) / rate)))


class Display(Protocol):
    """One phase at a time: `begin`, many `advance`, `end`."""

    def begin(self, phase: str, *, total: int, done: int = 0) -> None:
        """A phase of `total` files, `done` of them already."""

    def advance(self, *, failed: bool = False) -> None:
        """One more file has ended."""

    def tick(self, waiting: str | None) -> None:
        """Time has passed; `waiting` is why nothing moves, in the server's words."""

    def say(self, message: str) -> None:
        """A line of its own."""

    def end(self) -> None:
        """The phase is over, well or not."""


def open_display() -> Display:
    """A bar when a person looks at stderr, else lines."""
    return Bar() if sys.stderr.isatty() else Lines()


class Lines:
    """For logs: `upload: 120 of 400 files, 0 failed, 35.1/s, 0:00:08 left`."""

    def __init__(self) -> None:
        self._meter: Meter | None = None
        self._phase = ""
        self._reason: str | None = None
        self._last = 0.0

    def begin(self, phase: str, *, total: int, done: int = 0) -> None:
        """Starts the clock; the first line comes after five seconds."""
        self._meter, self._phase, self._reason = Meter(total, done), phase, None
        self._last = monotonic()

    def advance(self, *, failed: bool = False) -> None:
        """Counts, and shows a line if it is time."""
        if self._meter is not None:
            self._meter.advance(failed=failed)
        self._show_in_time()

    def tick(self, waiting: str | None) -> None:
        """A line, if the last one is five seconds old."""
        self._reason = waiting
        self._show_in_time()

    def _show_in_time(self) -> None:
        if monotonic() - self._last >= LINE_EVERY_S:
            self._show()

    def say(self, message: str) -> None:
        """At once."""
        print(message, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Always with a last line, so that a log tells how far it came."""
        self._show()
        self._meter = None

    def _show(self) -> None:
        if (meter := self._meter) is None:
            return
        self._last = monotonic()
        left = "" if meter.done >= meter.total else f", {meter.rate():.1f}/s, {meter.left()} left"
        why = f" (waiting: {self._reason})" if self._reason else ""
        self.say(f"{self._phase}: {meter.done} of {meter.total} files, {meter.failed} failed{left}{why}")


class Bar:
    """For people."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._meter = Meter(0, 0)
        self._reason = ""

    def begin(self, phase: str, *, total: int, done: int = 0) -> None:
        """Draws the bar."""
        self._meter, self._reason = Meter(total, done), ""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[tail]}"),
            console=self._console,
            refresh_per_second=5,
        )
        self._task = self._progress.add_task(phase, total=total, completed=done, tail="")
        self._progress.start()

    def advance(self, *, failed: bool = False) -> None:
        """Moves the bar."""
        self._meter.advance(failed=failed)
        self._draw()

    def tick(self, waiting: str | None) -> None:
        """Draws again, for the rate falls when nothing comes; a reason stands instead of the rate."""
        self._reason = waiting or ""
        self._draw()

    def say(self, message: str) -> None:
        """Above the bar."""
        self._console.print(message, markup=False)

    def end(self) -> None:
        """Leaves the bar as it is."""
        if self._progress is not None:
            self._draw()
            self._progress.stop()
            self._progress = None

    def _draw(self) -> None:
        if self._progress is None:
            return
        meter = self._meter
        failed = f"[red]{meter.failed} failed[/]  " if meter.failed else ""
        tail = (
            f"[yellow]{escape(self._reason)}[/]"
            if self._reason
            else f"{meter.rate():.1f}/s  {meter.left()} left"
        )
        self._progress.update(self._task, completed=meter.done, tail=failed + tail)
