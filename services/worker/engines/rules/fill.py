"""Which value each leaf gets: every pair offers one, the surest wins, and no words serve two leaves."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from services.worker.engines.rules.layout import Cell, Grid
from services.worker.engines.rules.pairs import Pair, block, pairs
from services.worker.engines.rules.phrasebook import Phrasebook
from services.worker.engines.rules.schema import Leaf
from services.worker.engines.rules.values import Habits, Reading, is_address, is_id, is_valid, read
from services.worker.engines.rules.words import TOTALS, normal

_LOWEST: Final = 0.3
_CHOSEN_AMONG: Final = 0.85
_LINES_UNDER_HEADING: Final = 10
_MOST_OFFERS: Final = 20_000
_MOST_WORDS_OF_MARK: Final = 8
_SLACK: Final = 2
_TWO_FIGURES: Final = re.compile(r"\d \d")
_SUMS: Final = frozenset(("total", "amount due", "grand total", "subtotal", "tax amount", "tax"))


@dataclass(frozen=True, slots=True)
class Found:
    """A value with its sources: cells, or the part of a cell that was read. `generic` says that its label
    stands on documents of all kinds."""

    value: Any
    sure: float
    trust: float
    sources: tuple[tuple[int, str], ...]
    generic: bool = False


@dataclass(frozen=True, slots=True)
class _Offer:
    leaf: Leaf
    found: Found
    place: tuple[int, int, int]
    words: str


def fill(
    pages: Sequence[Grid], taken: Mapping[int, set[int]], book: Phrasebook, habits: Habits
) -> dict[tuple[str, ...], Found]:
    """The values of the leaves of the book that have one, by path. `taken` are the lines of each page that
    belong to tables."""
    offers: list[_Offer] = []
    for grid in pages:
        left = _MOST_OFFERS - len(offers)
        offers.extend(islice(_offers(grid, taken.get(grid.page, set()), book, habits), left))
    offers.sort(key=_rank)
    given: dict[tuple[str, ...], Found] = {}
    used: set[tuple[tuple[int, int, int], str]] = set()
    rivals = _rivals(offers)
    for offer in offers:
        key = (offer.place, offer.words)
        if offer.leaf.path in given or key in used or offer.found.sure < _LOWEST:
            continue
        used.add(key)
        doubt = _CHOSEN_AMONG if offer.leaf.path in rivals else 1.0
        given[offer.leaf.path] = replace(offer.found, sure=offer.found.sure * doubt)
    # `Date` alone is no date of an invoice: something else must say that this is one.
    return {} if all(found.generic for found in given.values()) else given


def drop_lone_part(given: dict[tuple[str, ...], Found]) -> None:
    """Takes a subtotal out that was printed as `Sum` alone, unless a total was found beside it: the
    only sum of a receipt is its total as likely."""
    names = {normal(path[-1]): path for path in given}
    if "total" not in names and "subtotal" in names and given[names["subtotal"]].generic:
        del given[names["subtotal"]]


def _rank(offer: _Offer) -> tuple[Any, ...]:
    """The surest first. Of equal ones the first of the document; of sums the last: those before are parts."""
    page, line, start = offer.place
    if " ".join(offer.leaf.words) in _SUMS:
        page, line = -page, -line
    return (-round(offer.found.sure, 3), offer.found.generic, page, line, start, offer.leaf.path)


def _rivals(offers: Iterable[_Offer]) -> set[tuple[str, ...]]:
    """Leaves with equally sure offers of different values."""
    best: dict[tuple[str, ...], tuple[float, str]] = {}
    rivals = set()
    for offer in offers:
        sure, value = best.setdefault(offer.leaf.path, (round(offer.found.sure, 3), repr(offer.found.value)))
        if sure == round(offer.found.sure, 3) and value != repr(offer.found.value):
            rivals.add(offer.leaf.path)
    return rivals


def _offers(grid: Grid, taken: set[int], book: Phrasebook, habits: Habits) -> Iterator[_Offer]:
    headings: list[tuple[str, Cell]] = []
    for pair in pairs(grid, taken, book):
        if pair.label in book.headings:
            headings.append((pair.label, pair.label_cell))
        for leaf, weight in book.match(pair.label):
            yield from _offer(grid, pair, leaf, weight, book, habits)
        for leaf, weight in book.match_scoped(pair.label):
            if _heading(pair.label_cell, headings[-20:]) in leaf.headings:
                yield from _offer(grid, pair, leaf, weight, book, habits, scoped=True)
        if pair.relation == "mark" and len(pair.label.split()) <= _MOST_WORDS_OF_MARK:
            yield from _marked(grid, pair, book, habits)


def _heading(cell: Cell, headings: list[tuple[str, Cell]]) -> str | None:
    """The nearest heading above the cell, in its column."""
    for label, head in reversed(headings):
        near = 0 <= cell.line - head.line <= _LINES_UNDER_HEADING
        if near and head is not cell and head.start <= cell.start + _SLACK:
            return label
    return None


def _marked(grid: Grid, pair: Pair, book: Phrasebook, habits: Habits) -> Iterator[_Offer]:
    """`[x] I want the newsletter`: a box whose words contain the label of a yes-or-no leaf."""
    for word in pair.label.split():
        for leaf, weight in book.match(word):
            if leaf.kind == "boolean":
                yield from _offer(grid, pair, leaf, weight * 0.9, book, habits)


def _offer(
    grid: Grid,
    pair: Pair,
    leaf: Leaf,
    weight: float,
    book: Phrasebook,
    habits: Habits,
    *,
    scoped: bool = False,
) -> Iterator[_Offer]:
    if not _may(pair, leaf):
        return
    if is_address(leaf):
        reading, cells = _read_address(grid, pair, leaf, book)
    else:
        reading, cells = read(leaf, pair.text, habits), [pair.cell]
    if reading is None or (leaf.kind == "text" and _begins_with_label(reading.source, book)):
        return
    words = [reading.source] if len(cells) == 1 else [cell.text for cell in cells]
    sources = tuple((grid.page, text) for text in words)
    generic = not scoped and book.is_generic(pair.label, leaf)
    found = Found(reading.value, weight * pair.weight * reading.sure, grid.trust, sources, generic)
    first = cells[0]
    yield _Offer(leaf, found, (first.page, first.line, first.start), words[0])


def _begins_with_label(text: str, book: Phrasebook) -> bool:
    """Whether the text is a label, or begins with one of two words or three: `PO No. 4711` beside a title."""
    words = text.split()
    return book.knows(text) or any(book.knows(" ".join(words[:end])) for end in (2, 3) if end < len(words))


def _may(pair: Pair, leaf: Leaf) -> bool:
    number = leaf.kind in ("number", "integer") or (leaf.kind == "text" and pair.label in TOTALS)
    if pair.relation == "sum" or (pair.crowded and number):
        return pair.relation == "sum" and number
    if pair.relation == "row":
        return leaf.kind in ("choice", "boolean")
    if pair.relation == "mark":
        return leaf.kind == "boolean"
    if pair.relation == "prefix":
        # Words behind words are a sentence as likely as a value.
        # `Total 12 600.00` is two figures as likely as one.
        return is_id(leaf) or not (leaf.kind == "text" or (number and _TWO_FIGURES.search(pair.text)))
    return pair.relation != "below" or leaf.kind != "boolean"


def _read_address(grid: Grid, pair: Pair, leaf: Leaf, book: Phrasebook) -> tuple[Reading | None, list[Cell]]:
    """All lines of an address; below the heading of a party its first line is the name."""
    if pair.relation == "behind":
        value = pair.text
        # `Customer: Alder Foods AG` names a party and does not say where it lives.
        named = pair.label in leaf.headings and not any(sign.isdigit() for sign in value)
        good = not named and not book.is_label(value) and is_valid(leaf, value)
        return (Reading(value, 1.0, value) if good else None), [pair.cell]
    cells = block(grid, pair.cell, book)
    if pair.label in leaf.headings:
        cells = cells[1:]
    value = "\n".join(cell.text for cell in cells)
    if not value or normal(value) == "" or not is_valid(leaf, value):
        return None, cells
    sure = 1.0 if any(sign.isdigit() for sign in value) else 0.6
    return Reading(value, sure, value), cells
