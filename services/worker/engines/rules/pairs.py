"""Labels and what stands with them: behind, beside or below."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.worker.engines.rules.choices import marks_of
from services.worker.engines.rules.columns import has_many, is_sum_head, sum_of
from services.worker.engines.rules.layout import Cell, Grid
from services.worker.engines.rules.phrasebook import Phrasebook
from services.worker.engines.rules.words import normal

_MOST_WORDS: Final = 6
_SLACK: Final = 2
_LONGEST_CELL: Final = 300
_LINES_OF_BLOCK: Final = 6
_MOST_BESIDE: Final = 60
_TIGHT: Final = re.compile(r"(?<=[^\W\d]):(?=[^\s/:])")
_SUM: Final = 0.9  # a row may sum what is not the whole
_BEHIND, _BESIDE, _BELOW, _OVER_COLUMNS, _PREFIX, _MARKED = 1.0, 0.98, 0.9, 0.7, 0.85, 0.9


@dataclass(frozen=True, slots=True)
class Pair:
    """A label in its normal form, the words that may be its value, the cell these stand in, and how much the
    place says. `relation` is behind, beside, below, row (all cells beside), prefix (no colon between), sum
    (of several figures beside the one that is meant) or mark (a box before its label). `crowded` says that
    more figures stand in the line, so that this one is not plainly meant."""

    label: str
    label_cell: Cell
    text: str
    cell: Cell
    relation: str
    weight: float
    crowded: bool = False


def pairs(grid: Grid, taken: set[int], book: Phrasebook) -> Iterator[Pair]:
    """All pairs of a page but for the lines that are taken (by a table)."""
    head: Sequence[Cell] = ()
    for at, line in enumerate(grid.lines):
        head = line if is_sum_head(line) else head
        if at in taken:
            continue
        for place, cell in enumerate(line):
            if len(cell.text) <= _LONGEST_CELL:
                yield from _plain(_of_cell(grid, at, place, book), grid, place, book, head)


def _row(grid: Grid, at: int, place: int, book: Phrasebook) -> list[Cell]:
    """The cells behind this one, up to the next label."""
    rest: list[Cell] = []
    for other in grid.lines[at][place + 1 : place + 1 + _MOST_BESIDE]:
        if book.is_label(other.text):
            break
        rest.append(other)
    return rest


def _plain(
    found: Iterator[Pair], grid: Grid, place: int, book: Phrasebook, head: Sequence[Cell]
) -> Iterator[Pair]:
    """The pairs of a cell, those in its line with a word on whether their figure is meant; and where another
    one is, that."""
    for pair in found:
        if pair.relation not in ("behind", "beside", "prefix"):
            yield pair
            continue
        own = () if pair.relation == "beside" else (replace(pair.cell, text=pair.text),)
        row = _row(grid, pair.label_cell.line, place, book)
        plain, meant = sum_of(pair.label, (*own, *row), head)
        yield replace(pair, crowded=not plain)
        if meant is not None:
            text = meant.text.removeprefix(":").strip()
            yield replace(pair, text=text, cell=meant, relation="sum", weight=pair.weight * _SUM)


def _of_cell(grid: Grid, at: int, place: int, book: Phrasebook) -> Iterator[Pair]:
    cell = grid.lines[at][place]
    marks = marks_of(cell.text)
    if len(marks) == 1 and marks[0][1] and cell.text[0] in "[(☐☑☒■□✓✔✗":
        yield Pair(normal(marks[0][1]), cell, cell.text[:3], cell, "mark", _MARKED)
        return
    parts = _parts(cell.text, book)
    for label, value in parts:
        if value:
            yield Pair(normal(label), cell, value, cell, "behind", _BEHIND)
    if not parts and book.knows(cell.text):
        yield from _around(grid, at, place, cell.text, book)
    elif parts and not parts[-1][1]:
        yield from _around(grid, at, place, parts[-1][0], book)
    elif not parts:
        yield from _prefixed(cell, book)
        if len(cell.text.split()) <= _MOST_WORDS and place + 1 < len(grid.lines[at]):
            yield from _beside(grid, at, place, cell.text, book, _PREFIX)


def _parts(text: str, book: Phrasebook) -> list[tuple[str, str]]:
    """The labels with a colon and the words behind each. A second one in the same cell counts only when it
    is known: `Time: 12 o'clock: sharp` has one."""
    words = _TIGHT.sub(": ", text).split(" ")
    starts: list[tuple[int, int]] = []  # where a label begins, and where the words behind it do
    for end, word in enumerate(words, 1):
        if not word.endswith(":"):
            continue
        begin = starts[-1][1] if starts else 0
        known = next(
            (at for at in range(max(begin, end - _MOST_WORDS), end) if book.knows(" ".join(words[at:end]))),
            None,
        )
        if known is not None:
            starts.append((known, end))
        elif not starts and end <= _MOST_WORDS:
            starts.append((0, end))
    ends = [*(begin for begin, _ in starts[1:]), len(words)][: len(starts)]
    return [
        (" ".join(words[begin:behind]).rstrip(": "), " ".join(words[behind:end]).strip())
        for (begin, behind), end in zip(starts, ends, strict=True)
    ]


def _around(grid: Grid, at: int, place: int, label: str, book: Phrasebook) -> Iterator[Pair]:
    if has_many(grid, at, grid.lines[at][place], book):
        return
    below = _below(grid, at, grid.lines[at][place])
    under = below is not None and not book.is_label(below.text)
    over_columns = under and _heads_columns(grid, at, book)
    yield from _beside(grid, at, place, label, book, _OVER_COLUMNS if over_columns else _BESIDE)
    if below is not None and under:
        yield Pair(normal(label), grid.lines[at][place], below.text, below, "below", _BELOW)


def _beside(grid: Grid, at: int, place: int, label: str, book: Phrasebook, weight: float) -> Iterator[Pair]:
    cell = grid.lines[at][place]
    rest = _row(grid, at, place, book)
    if rest:
        yield Pair(normal(label), cell, rest[0].text.removeprefix(":").strip(), rest[0], "beside", weight)
    if len(rest) > 1:
        whole = " ".join(other.text for other in rest)
        yield Pair(normal(label), cell, whole, rest[0], "row", weight)


def _below(grid: Grid, at: int, cell: Cell) -> Cell | None:
    """The nearest cell under this one, over one empty line at most."""
    for line in grid.lines[at + 1 : at + 3]:
        under = [other for other in line if other.overlaps(cell) or abs(other.start - cell.start) <= _SLACK]
        if under:
            return min(under, key=lambda other: abs(other.start - cell.start))
        if line:
            return None
    return None


def _heads_columns(grid: Grid, at: int, book: Phrasebook) -> bool:
    """Whether the line is a head: several cells without figures or colons, each over a cell of the next."""
    line = grid.lines[at]
    following = next((other for other in grid.lines[at + 1 : at + 3] if other), ())
    return (
        len(line) > 1
        and len(following) >= len(line) - 1
        and not any(sign.isdigit() or sign == ":" for cell in line for sign in cell.text)
        and all(any(abs(under.start - cell.start) <= _SLACK for cell in line) for under in following)
        and not any(book.is_label(under.text) for under in following)
    )


def _prefixed(cell: Cell, book: Phrasebook) -> Iterator[Pair]:
    """`Invoice no. 4711`: the longest label that the cell begins with; only figures and the like are believed
    behind it (see `fill`)."""
    words = cell.text.split(" ")
    for end in range(min(_MOST_WORDS, len(words) - 1), 0, -1):
        if book.knows(" ".join(words[:end])):
            yield Pair(normal(" ".join(words[:end])), cell, " ".join(words[end:]), cell, "prefix", _PREFIX)
            return


def block(grid: Grid, first: Cell, book: Phrasebook) -> list[Cell]:
    """The cell and those right under it, up to an empty place or a label."""
    found = [first]
    for line in grid.lines[first.line + 1 : first.line + _LINES_OF_BLOCK]:
        under = next((cell for cell in line if abs(cell.start - first.start) <= _SLACK), None)
        if under is None or book.is_label(under.text) or "@" in under.text:
            break
        before = [cell for cell in line if cell.start < under.start]
        if before and (before[-1].text.endswith(":") or book.knows(before[-1].text)):
            break
        if book.knows(under.text.partition(" ")[0]) and any(sign.isdigit() for sign in under.text):
            break
        found.append(under)
    return found
