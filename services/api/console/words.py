"""Numbers, times and durations as a person reads them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
MOMENTS_S: Final = 5
FEW: Final = 10

STATUS_WORDS: Final[Mapping[str, str]] = {
    "PENDING": "Waiting to start",
    "RUNNING": "Running",
    "THROTTLED": "Held back",
    "COMPLETED": "Completed",
    "FAILED": "Failed",
    "CANCELLED": "Cancelled",
    "UNMAPPED": "No job",
}


def number(value: float) -> str:
    """1234567 as 1,234,567."""
    return f"{value:,}"


def span(seconds: float) -> str:
    """A duration in its two largest units: 45 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    for unit, name, below, below_name in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "min"),
        (MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // below
            return f"{whole // unit} {name}" + (f" {rest} {below_name}" if rest else "")
    raise AssertionError("a minute is the smallest unit")


def ago(moment: datetime) -> str:
    """How long ago it was, in its largest unit."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < MOMENTS_S:
        return "just now"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return f"{int(seconds)} s ago"


def at(moment: datetime) -> str:
    """A moment to the second, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def stamp(moment: datetime) -> str:
    """The same for the attribute `datetime`."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def rate(files_per_second: float) -> str:
    """Files a second, or a minute where a second has less than one."""
    if files_per_second >= FEW:
        return f"{files_per_second:,.0f} files/s"
    if files_per_second >= 1:
        return f"{files_per_second:.1f} files/s"
    return f"{files_per_second * MINUTE:.1f} files/min"


def status_word(status: str) -> str:
    """A status as a word of the language."""
    return STATUS_WORDS.get(status, status)


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "number": number,
    "span": span,
    "ago": ago,
    "at": at,
    "stamp": stamp,
    "rate": rate,
    "status_word": status_word,
}
"""By the names that templates call them."""
