"""Where in a document a value stands, and how far it may be believed for that.

A model is asked to quote. What it says and the document does not is no value: a number, a date or a short
text that stands nowhere becomes null. The confidence of a field is not a probability; it names how the value
was found, see `Confidence`.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from itertools import accumulate
from typing import Any, Final

from shared.jobs.result import Page

_QUOTES: Final = str.maketrans(
    "\u2018\u2019\u201a\u201c\u201d\u201e\u2013\u2014\u2010\u2011\u2212", "'''\"\"\"-----"
)
_WORD: Final = re.compile(r"[^\W_]+")
_NUMBER: Final = re.compile(r"\d[\d.,'\u00a0\u202f ]*\d|\d")
_LONG_WORDS: Final = 8
_THOUSANDS: Final = 3
_SHOWN: Final = 200
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAMES: Final = "|".join(_MONTHS)
_DATES: Final = (
    re.compile(r"(?<!\d)(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)"),
    re.compile(r"(?<!\d)(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4}|\d{2})(?!\d)"),
    re.compile(
        rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[ .-]+(?:of )?(?P<m>{_MONTH_NAMES})[a-z]*[ .,-]+(?P<y>\d{{4}})"
    ),
    re.compile(rf"(?P<m>{_MONTH_NAMES})[a-z]*[ .-]+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[ ,]+(?P<y>\d{{4}})"),
)
_ISO: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")


class Confidence:
    """How a value was found."""

    QUOTED: Final = 0.9
    """It stands in the document, as it is or as the same number or day in another form."""
    SPACED: Final = 0.7
    """It does when spaces and punctuation are left out of both."""
    CHOSEN: Final = 0.5
    """It is one of the schema's words, or true or false, and not in the document."""
    TOLD: Final = 0.3
    """A longer text in words of the model, such as a summary."""
    NOTHING: Final = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """`page` and `text` are None for what is believed without standing in the document."""

    confidence: float
    page: int | None = None
    text: str | None = None


def plain(text: str) -> str:
    """Lower case, one form of each letter, quote and dash, one space between words."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold().split())


def dates(text: str) -> dict[date, str]:
    """The days that the text names, each with the words for it. `03/04/2024` is both days that it may be."""
    found: dict[date, str] = {}
    for form in _DATES:
        for match in form.finditer(text):
            for day in _days(match):
                found.setdefault(day, match.group())
    return found


@dataclass
class PageText:
    """One page, ready to be searched."""

    number: int
    text: str
    _spaced: dict[str, str] = field(default_factory=dict)

    @cached_property
    def plain(self) -> str:
        """The text as words are compared."""
        return plain(self.text)

    @cached_property
    def solid(self) -> tuple[str, frozenset[int]]:
        """Its letters and digits alone."""
        return _solid(self.plain)

    @cached_property
    def numbers(self) -> dict[float, str]:
        """What its digits may mean, and the digits."""
        return {value: token for token in _NUMBER.findall(self.plain) for value in _readings(token)}

    @cached_property
    def dates(self) -> dict[date, str]:
        """The days that it names, and the words for them."""
        return dates(self.plain)


class Ground:
    """The pages that an answer was taken from."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self._pages = [PageText(page.page_number, page.markdown or page.text) for page in pages]
        # Markdown puts marks between words that the text layer has side by side, so both are looked at.
        self._pages += [PageText(page.page_number, page.text) for page in pages if page.markdown]

    def find(self, value: Any, *, chosen: bool) -> Found | None:
        """Where a leaf stands; None when it is not to be believed. `chosen`: the schema lists what it may
        be."""
        if value is None:
            return None
        if isinstance(value, bool):
            return Found(Confidence.CHOSEN)
        found = self._number(value) if isinstance(value, int | float) else self._text(str(value))
        if found is None and chosen:
            return Found(Confidence.CHOSEN)
        return found

    def _number(self, value: float) -> Found | None:
        # A credit of 12 is -12, and 15 % is 0.15 to some.
        size = abs(value)
        for wanted in (size, round(size * 100, 9)) if 0 < size < 1 else (size,):
            for page in self._pages:
                if (token := page.numbers.get(wanted)) is not None:
                    return Found(Confidence.QUOTED, page.number, token.strip())
        return None

    def _text(self, value: str) -> Found | None:
        wanted = plain(value)
        if not wanted:
            return None
        for page in self._pages:
            if _stands(page.plain, wanted):
                return Found(Confidence.QUOTED, page.number, _as_written(page.text, value))
        if (iso := _ISO.fullmatch(value.strip())) and (day := _day_of(iso[1])):
            return next(
                (Found(Confidence.QUOTED, p.number, p.dates[day]) for p in self._pages if day in p.dates),
                None,
            )
        solid, _ = _solid(wanted)
        for page in self._pages:
            if len(solid) > 1 and _stands_solid(page.solid, solid):
                return Found(Confidence.SPACED, page.number, value[:_SHOWN])
        return Found(Confidence.TOLD) if len(wanted.split()) > _LONG_WORDS else None


def _stands(text: str, wanted: str) -> bool:
    """Do the words stand there as words? `12` is not in `1234`."""
    place = text.find(wanted)
    while place >= 0:
        end = place + len(wanted)
        joined_left = place > 0 and text[place - 1].isalnum() and wanted[0].isalnum()
        joined_right = end < len(text) and text[end].isalnum() and wanted[-1].isalnum()
        if not joined_left and not joined_right:
            return True
        place = text.find(wanted, place + 1)
    return False


def _as_written(text: str, value: str) -> str:
    """The words of the document, in its own letters where they can be found again."""
    words = r"\s+".join(re.escape(word) for word in value.split())
    found = re.search(words, text, re.IGNORECASE)
    return (found.group() if found else value)[:_SHOWN]


def _solid(text: str) -> tuple[str, frozenset[int]]:
    """Letters and digits alone, and the places in them at which a word of the text began or ended."""
    words = _WORD.findall(text)
    ends = accumulate((len(word) for word in words), initial=0)
    return "".join(words), frozenset(ends)


def _stands_solid(where: tuple[str, frozenset[int]], wanted: str) -> bool:
    text, edges = where
    place = text.find(wanted)
    while place >= 0:
        if place in edges and place + len(wanted) in edges:
            return True
        place = text.find(wanted, place + 1)
    return False


def _readings(token: str) -> Iterator[float]:
    # Words apart may be one number with a space in it, or several numbers side by side.
    parts = [part.strip(".,'") for part in re.split(r"[\s']+", token)]
    for text in {re.sub(r"[\s']", "", token).strip(".,"), *parts}:
        if text:
            yield from _meanings(text)


def _meanings(text: str) -> Iterator[float]:
    """`1.234,5` can mean one thing only, `1.234` two."""
    comma, dot = text.rfind(","), text.rfind(".")
    if comma >= 0 and dot >= 0:
        thousands, decimal = (",", ".") if dot > comma else (".", ",")
        if text.count(decimal) == 1:
            yield float(text.replace(thousands, "").replace(decimal, "."))
        return
    mark = "," if comma >= 0 else "."
    if text.count(mark) > 1 or len(text.rpartition(mark)[2]) == _THOUSANDS:
        yield float(text.replace(mark, ""))
    if text.count(mark) <= 1:
        yield float(text.replace(mark, "."))


def _days(match: re.Match[str]) -> Iterator[date]:
    year, first, second = match["y"], match["m"], match["d"]
    whole = int(year) if len(year) > 2 else 2000 + int(year)  # noqa: PLR2004 - two digits of a year
    if first[:3] in _MONTHS:
        orders = [(_MONTHS.index(first[:3]) + 1, int(second))]
    else:
        orders = [(int(first), int(second)), (int(second), int(first))]
    for month, day in orders:
        try:
            yield date(whole, month, day)
        except ValueError:
            continue


def _day_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
