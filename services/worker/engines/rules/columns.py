"""Heads and what stands under them: which figure of a row is its sum, and which head has many values."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from services.worker.engines.rules.amounts import currency_of, read_amount
from services.worker.engines.rules.layout import Cell, Grid
from services.worker.engines.rules.phrasebook import Phrasebook
from services.worker.engines.rules.words import AMOUNTS, COUNTS, PARTIES, TOTALS, normal

FAR: Final = 14
"""A cell farther than this from every head stands in no column."""
_SLACK: Final = 2
_FEWEST: Final = 2
_MOST_ROWS: Final = 200
_NO_HEAD: Final = re.compile(r"[\d:]")
_CENTS: Final = re.compile(r"\d[.,]\d\d(?!\d)")


def distance(cell: Cell, start: int, end: int) -> float:
    """How far the nearer edges lie apart; what shares no column with the head is farther."""
    edge = min(abs(cell.start - start), abs(cell.end - end))
    return edge / 4 if cell.start < end and start < cell.end else edge


def is_figure(text: str) -> bool:
    """Whether the whole cell is a number, an amount or a percentage."""
    return read_amount(text.lstrip("+ "), "") is not None


def is_sum_head(line: Sequence[Cell]) -> bool:
    """Whether the line is a head that names a column of amounts."""
    return _is_head(line) and _amount_column(line) is not None


def sum_of(label: str, row: Sequence[Cell], head: Sequence[Cell]) -> tuple[bool, Cell | None]:
    """Whether it is plain that a figure beside the label is meant by it, and else the cell that is: under the
    amounts of the head above, or none when that does not tell."""
    figures = _figures(row, whole=label in TOTALS and bool(head))
    column = _amount_column(head)
    if len(figures) < _FEWEST:
        # `Total | 8 |` under `Item | Quantity | Amount` counts pieces.
        counts = column is not None and label in TOTALS and any(_stands_under(cell, head) for cell in figures)
        return not counts, None
    if label in TOTALS:
        plain = [cell for cell in figures if "%" not in cell.text]
        if len(plain) == 1:
            return False, plain[0]
    under = [cell for cell in figures if column is not None and _nearest(cell, head) is column]
    return False, under[0] if len(under) == 1 else None


def has_many(grid: Grid, at: int, cell: Cell, book: Phrasebook) -> bool:
    """Whether the cell heads a column of different values: none of them is the value of a single field."""
    line = grid.lines[at]
    party = not cell.ruled and (normal(cell.text) in PARTIES or "address" in normal(cell.text))
    if party or not _is_head(line) or (len(line) < _FEWEST and not cell.ruled):
        return False
    seen: set[str] = set()
    for row in _rows(grid, at, line):
        under = [other for other in row if _shares(other, cell)]
        if len(under) == 1:
            if book.is_label(under[0].text):
                return False
            seen.add(under[0].text)
        if len(seen) >= _FEWEST:
            return True
    return False


def _figures(row: Sequence[Cell], *, whole: bool) -> list[Cell]:
    """The figures of the row: up to the first other words, or all where a head stands over it."""
    found: list[Cell] = []
    for cell in row:
        if is_figure(cell.text):
            found.append(cell)
        elif found and not whole:
            break
    return found


def _is_head(line: Sequence[Cell]) -> bool:
    return bool(line) and not any(_NO_HEAD.search(cell.text) for cell in line)


def _amount_column(head: Sequence[Cell]) -> Cell | None:
    if len(head) < _FEWEST:
        return None
    names = [normal(cell.text) for cell in head]
    return next((head[names.index(name)] for name in AMOUNTS if name in names), None)


def _nearest(cell: Cell, head: Sequence[Cell]) -> Cell | None:
    far, place = min((distance(cell, other.start, other.end), at) for at, other in enumerate(head))
    return head[place] if far <= FAR else None


def _stands_under(cell: Cell, head: Sequence[Cell]) -> bool:
    """Whether the figure shares columns with a head of counts and with no other. Money that was merely
    printed there is none."""
    if not cell.ruled and (_CENTS.search(cell.text) or currency_of(cell.text)):
        return False
    over = [other for other in head if other.overlaps(cell)]
    return len(over) == 1 and normal(over[0].text) in COUNTS


def _shares(cell: Cell, head: Cell) -> bool:
    return cell.overlaps(head) or min(abs(cell.start - head.start), abs(cell.end - head.end)) <= _SLACK


def _rows(grid: Grid, at: int, head: Sequence[Cell]) -> Iterator[Sequence[Cell]]:
    """The rows under a head: cells under at least two of its own, up to other words. Over an empty line only
    rows with figures go on."""
    gap = False
    for line in grid.lines[at + 1 : at + 1 + _MOST_ROWS]:
        if not line:
            if gap:
                return
            gap = True
            continue
        if head[0].ruled:
            if not line[0].ruled:
                return
        elif not _is_row(line, head) or (gap and not any(is_figure(cell.text) for cell in line)):
            return
        gap = False
        yield line


def _is_row(line: Sequence[Cell], head: Sequence[Cell]) -> bool:
    return sum(any(_shares(cell, other) for cell in line) for other in head) >= _FEWEST
