"""Dates of many forms as ISO dates. Day and month are never exchanged in silence."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Final, Literal

Order = Literal["day", "month", "unknown"]
_MOST_SEEN: Final = 2_000
_LONGEST: Final = 60
_CENTURY: Final = 100
_PIVOT: Final = 70
_MONTHS_OF_YEAR: Final = 12
_DOUBTFUL: Final = 0.4
"""How sure a date is whose day and month could be exchanged, where the document does not tell which."""

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero gennaio",
            "february feb februar fevrier février febrero febbraio",
            "march mar märz maerz mrz mars marzo",
            "april apr avril abril aprile",
            "may mai mayo maggio",
            "june jun juni juin junio giugno",
            "july jul juli juillet julio luglio",
            "august aug août aout agosto",
            "september sep sept septembre septiembre settembre",
            "october oct oktober okt octobre octubre ottobre",
            "november nov novembre noviembre",
            "december dec dezember dez décembre decembre diciembre dicembre",
        ),
        1,
    )
    for name in names.split()
}
_ISO: Final = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_FIGURES: Final = re.compile(r"(?<![\d.,/-])(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})(?![\d/-])")
_DAY_FIRST: Final = re.compile(
    r"(?<![\w.])(\d{1,2})(?:st|nd|rd|th|\.)?[ -]{1,2}(?:of |de )?"
    r"([^\W\d_]{3,10})\.?,?[ -]{1,2}(\d{4}|\d{2})(?!\d)"
)
_MONTH_FIRST: Final = re.compile(r"(?<!\w)([^\W\d_]{3,10})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})(?!\d)")


def order_of(texts: Iterable[str]) -> Order:
    """Which comes first in this document's slashed dates; `unknown` when none tells, or they disagree."""
    seen: set[Order] = set()
    for count, text in enumerate(texts):
        if count > _MOST_SEEN or len(seen) > 1:
            break
        for found in _FIGURES.finditer(text):
            first, second = int(found[1]), int(found[3])
            if found[2] == "." or first > _MONTHS_OF_YEAR:
                seen.add("day")
            elif second > _MONTHS_OF_YEAR:
                seen.add("month")
    return seen.pop() if len(seen) == 1 else "unknown"


def find_date(text: str, order: Order) -> tuple[str, float, str] | None:
    """The first date in a short text: ISO form, how sure, the words it was read from. Of a text that is too
    long, or has no date that exists, nothing."""
    if len(text) > _LONGEST:
        return None
    for read in (_iso, _named, _in_figures):
        found = read(text, order)
        if found is not None:
            return found
    return None


def _iso(text: str, _order: Order) -> tuple[str, float, str] | None:
    found = _ISO.search(text)
    if found is None:
        return None
    iso = _made(int(found[1]), int(found[2]), int(found[3]))
    return (iso, 1.0, found[0]) if iso else None


def _named(text: str, _order: Order) -> tuple[str, float, str] | None:
    found = _DAY_FIRST.search(text)
    day, month, year = (found[1], found[2], found[3]) if found else ("", "", "")
    if month.casefold() not in _MONTHS:
        found = _MONTH_FIRST.search(text)
        day, month, year = (found[2], found[1], found[3]) if found else ("", "", "")
    if found is None or month.casefold() not in _MONTHS:
        return None
    iso = _made(_full(year), _MONTHS[month.casefold()], int(day))
    return (iso, 1.0, found[0]) if iso else None


def _in_figures(text: str, order: Order) -> tuple[str, float, str] | None:
    found = _FIGURES.search(text)
    if found is None:
        return None
    first, second, year = int(found[1]), int(found[3]), _full(found[4])
    sure = 1.0
    if found[2] == "." or first > _MONTHS_OF_YEAR:
        day, month = first, second
    elif second > _MONTHS_OF_YEAR:
        day, month = second, first
    else:
        day, month = (second, first) if order == "month" else (first, second)
        if order == "unknown" and first != second:
            sure = _DOUBTFUL
    iso = _made(year, month, day)
    return (iso, sure, found[0]) if iso else None


def _full(year: str) -> int:
    number = int(year)
    if number >= _CENTURY:
        return number
    return number + (1900 if number >= _PIVOT else 2000)


def _made(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None
