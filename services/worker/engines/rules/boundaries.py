"""Where a second document begins in a file: its number is printed with the label of the first one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from services.worker.engines.rules.layout import Cell, Grid
from services.worker.engines.rules.pairs import pairs
from services.worker.engines.rules.phrasebook import Phrasebook
from services.worker.engines.rules.schema import Leaf
from services.worker.engines.rules.values import Habits, read
from services.worker.engines.rules.words import TITLES, normal

_SURE: Final = 0.9
_MOST_NUMBERS: Final = 2_000
_RELATIONS: Final = ("behind", "beside", "below")
_KINDS: Final = ("text", "integer", "number")
_DOCUMENTS: Final = frozenset(
    ("invoice", "bill", "receipt", "order", "quote", "document", "policy", "case", "claim", "contract")
)
_NUMBERS: Final = frozenset(("number", "id", "reference", "code"))


def identity(leaves: Sequence[Leaf]) -> Leaf | None:
    """The field that says which document it is, like `invoice_number`: the first of the schema."""
    return next((leaf for leaf in leaves if leaf.kind in _KINDS and _identifies(leaf)), None)


def first_document(
    pages: Sequence[Grid], leaf: Leaf, book: Phrasebook, habits: Habits
) -> tuple[list[Grid], bool]:
    """The pages, or lines of pages, before the second document; and whether there is a second one. It begins
    with the page of its number, or on the page of the first one with the line of its number."""
    first: dict[str, tuple[str, int]] = {}
    for label, value, page, line in islice(_numbers(pages, leaf, book, habits), _MOST_NUMBERS):
        known, its_page = first.setdefault(label, (value, page))
        if known == value:
            continue
        kept = [grid for grid in pages if grid.page < page]
        same = [grid for grid in pages if grid.page == page == its_page]
        return [*kept, *(replace(grid, lines=grid.lines[:line]) for grid in same)], True
    return list(pages), False


def _identifies(leaf: Leaf) -> bool:
    words = set(normal(" ".join(leaf.path[-2:])).split())
    return bool(words & _DOCUMENTS) and bool(_NUMBERS & set(leaf.words))


def _numbers(
    pages: Sequence[Grid], leaf: Leaf, book: Phrasebook, habits: Habits
) -> Iterator[tuple[str, str, int, int]]:
    """Label, value, page and line of each number of a document, one for each label that is printed."""
    labels = [phrase for phrase, weight in leaf.phrases.items() if weight >= _SURE and phrase not in TITLES]
    wanted = [frozenset(label.split()) for label in labels]
    for grid in pages:
        done: set[tuple[int, int]] = set()
        for pair in pairs(grid, _without(grid, wanted), book):
            place = (pair.label_cell.line, pair.label_cell.start)
            if place in done or pair.relation not in _RELATIONS or pair.label not in labels:
                continue
            reading = read(leaf, pair.text, habits)
            if reading is not None:
                done.add(place)
                value = "".join(sign for sign in str(reading.value).casefold() if sign.isalnum())
                yield pair.label, value, grid.page, pair.label_cell.line


def _without(grid: Grid, wanted: Sequence[frozenset[str]]) -> set[int]:
    """The lines in which none of the labels stands."""
    return {at for at, line in enumerate(grid.lines) if not any(_has(cell, wanted) for cell in line)}


def _has(cell: Cell, wanted: Sequence[frozenset[str]]) -> bool:
    words = set(normal(cell.text).split())
    return any(label <= words for label in wanted)
