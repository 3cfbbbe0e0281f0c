"""A wall clock that can be put forward or back, for one part of a stack, while it runs."""

from pathlib import Path

# Runs at the start of every Python process of the stack; only the worker's clock is ever wrong.
_SITE = """
import sys
from pathlib import Path

if b"parse,extract" in Path("/proc/self/cmdline").read_bytes():
    import datetime
    import os
    import time

    right, shift = time.time, os.environ["CHAOS_CLOCK_SHIFT"]

    def wrong():
        try:
            with open(shift) as file:
                return right() + float(file.read() or 0)
        except OSError:
            return right()

    Honest = datetime.datetime

    class Like(type):
        def __instancecheck__(cls, one):
            return isinstance(one, Honest)

    class Wrong(Honest, metaclass=Like):
        @classmethod
        def now(cls, tz=None):
            return Honest.fromtimestamp(wrong(), tz)

        @classmethod
        def utcnow(cls):
            return Honest.fromtimestamp(wrong(), datetime.timezone.utc).replace(tzinfo=None)

    time.time, datetime.datetime = wrong, Wrong
    time.time_ns = lambda: int(wrong() * 1_000_000_000)
"""


def shift_file(folder: Path) -> Path:
    """Seconds by which the worker's clock is wrong; it is right while there is no such file."""
    return folder / "clock-shift"


def environment(folder: Path) -> dict[str, str]:
    """What a stack has to be started with for `shift_file(folder)` to be obeyed."""
    site = folder / "clock-site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(_SITE)
    return {"PYTHONPATH": str(site), "CHAOS_CLOCK_SHIFT": str(shift_file(folder))}
