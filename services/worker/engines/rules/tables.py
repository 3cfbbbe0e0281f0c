"""Tables: a head whose cells are the properties of an item, and rows until the totals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from rapidfuzz import fuzz

from services.worker.engines.rules.columns import FAR, distance
from services.worker.engines.rules.layout import Cell, Grid
from services.worker.engines.rules.schema import Leaf
from services.worker.engines.rules.values import Habits, read
from services.worker.engines.rules.words import TOTALS, normal

_CLOSE: Final = 88
_MOST_EMPTY: Final = 2
_FEWEST: Final = 2
_FIGURES: Final = "0123456789 "
_WHOLE: Final = ("total", "subtotal", "sub total", "grand total")
_MOST_WORDS_OF_HEAD: Final = 5
_MOST_CELLS: Final = 60


@dataclass(slots=True)
class Row:
    """Cells by the leaf of their column; a wrapped text has several."""

    cells: dict[tuple[str, ...], list[Cell]] = field(default_factory=dict)


@dataclass(slots=True)
class Table:
    """The rows under one head, and the lines that head and rows take."""

    page: int
    leaves: tuple[Leaf, ...]
    rows: list[Row] = field(default_factory=list)
    lines: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Column:
    leaf: Leaf | None
    start: int
    end: int


def tables(grid: Grid, leaves: Sequence[Leaf], habits: Habits) -> list[Table]:
    """The tables of a page whose head names at least two of the leaves. Where there is but one, the source
    must have written the table out as such."""
    found: list[Table] = []
    at = 0
    while at < len(grid.lines):
        columns = _head(grid.lines[at], leaves)
        if columns is None:
            at += 1
            continue
        named = tuple(column.leaf for column in columns if column.leaf is not None)
        table = Table(grid.page, named, lines={at})
        at = _fill(table, grid, at + 1, columns, habits)
        if table.rows:
            found.append(table)
    return found


def _head(line: Sequence[Cell], leaves: Sequence[Leaf]) -> list[_Column] | None:
    if not 1 <= len(line) <= _MOST_CELLS or len(line) < min(_FEWEST, len(leaves)):
        return None
    if len(leaves) < _FEWEST and not line[0].ruled:
        return None  # one word over some lines is a heading as likely as a column
    names = [normal(cell.text) if len(cell.text.split()) <= _MOST_WORDS_OF_HEAD else "" for cell in line]
    likeness = [
        (-_likeness(name, leaf), place, at)
        for place, name in enumerate(names)
        if name
        for at, leaf in enumerate(leaves)
    ]
    scored = sorted(one for one in likeness if one[0] < 0)
    chosen: dict[int, Leaf] = {}
    for _, place, at in scored:
        if place not in chosen and leaves[at] not in chosen.values():
            chosen[place] = leaves[at]
    if len(chosen) < min(_FEWEST, len(leaves)) or len(chosen) * 2 < len(line):
        return None
    return [_Column(chosen.get(place), cell.start, cell.end) for place, cell in enumerate(line)]


def _likeness(name: str, leaf: Leaf) -> float:
    if name in leaf.phrases:
        return leaf.phrases[name]
    return 0.8 if _is_close(name, " ".join(leaf.words)) else 0.0


@lru_cache(maxsize=10_000)
def _is_close(name: str, own: str) -> bool:
    return bool(own) and fuzz.token_sort_ratio(name, own) >= _CLOSE


def _fill(table: Table, grid: Grid, at: int, columns: list[_Column], habits: Habits) -> int:
    """Takes rows from line `at` on and says where it stopped."""
    empty = 0
    while at < len(grid.lines):
        line = grid.lines[at]
        if not line:
            empty += 1
            if empty > _MOST_EMPTY:
                break
        elif _is_total(line) or not _take(table, line, columns, habits, after_gap=empty > 0):
            break
        else:
            empty = 0
            table.lines.add(at)
        at += 1
    return at


def _is_total(line: Sequence[Cell]) -> bool:
    """Whether a cell is the label of a sum; a sum of pieces may stand in it: `Total 8`."""
    names = [normal(cell.text.rstrip(":")) for cell in line]
    return any(name in TOTALS or (name.rstrip(_FIGURES) in _WHOLE and name[-1] in _FIGURES) for name in names)


def _take(
    table: Table, line: Sequence[Cell], columns: list[_Column], habits: Habits, *, after_gap: bool
) -> bool:
    if len(line) > _MOST_CELLS:
        return False
    placed = _placed(line, columns)
    if placed is None:
        return False
    if placed and all(cell.ruled for _, cell in placed):
        # Here the source says what a row is; one that cannot be read is not the end of the table.
        table.rows.append(Row({leaf.path: [cell] for leaf, cell in placed if leaf is not None}))
        return True
    good = [leaf for leaf, cell in placed if _fits(leaf, cell, habits)]
    wanted = [leaf for leaf in table.leaves if leaf.kind != "text"]
    if len(good) >= min(_FEWEST, len(table.leaves)) and (not wanted or any(leaf in wanted for leaf in good)):
        table.rows.append(Row({leaf.path: [cell] for leaf, cell in placed if leaf is not None}))
        return True
    return not after_gap and _continues(table, placed)


def _fits(leaf: Leaf | None, cell: Cell, habits: Habits) -> bool:
    return leaf is not None and (leaf.kind == "text" or read(leaf, cell.text, habits) is not None)


def _continues(table: Table, placed: list[tuple[Leaf | None, Cell]]) -> bool:
    """Whether the line is the rest of a wrapped text of the last row."""
    leaf = placed[0][0]
    if len(placed) != 1 or leaf is None or leaf.kind != "text" or not table.rows:
        return False
    cells = table.rows[-1].cells.get(leaf.path)
    if not cells or len(cells) > _MOST_WORDS_OF_HEAD or placed[0][1].text.endswith(":"):
        return False
    cells.append(placed[0][1])
    return True


def _placed(line: Sequence[Cell], columns: list[_Column]) -> list[tuple[Leaf | None, Cell]] | None:
    """Each cell with the leaf of its column; None when two cells fall into one column, or one into none."""
    used: set[int] = set()
    placed: list[tuple[Leaf | None, Cell]] = []
    for cell in line:
        far, place = min((distance(cell, one.start, one.end), at) for at, one in enumerate(columns))
        if far > FAR and cell.ruled:
            continue
        if far > FAR or place in used:
            return None
        used.add(place)
        placed.append((columns[place].leaf, cell))
    return placed


def texts_of(row: Row) -> Iterator[tuple[tuple[str, ...], str, list[Cell]]]:
    """Each field of a row with its whole text."""
    for path, cells in row.cells.items():
        yield path, " ".join(cell.text for cell in cells), cells
