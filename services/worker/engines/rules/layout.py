"""The lines of a page as cells that know where they stand: what columns, labels and tables are seen in."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from shared.jobs.result import Page, ResultDocument

MOST_LINES: Final = 100_000
"""Lines of one document that are looked at; a longer one is read up to there."""
_LONGEST_LINE: Final = 1_000
_TABLE_COLUMN: Final = 1_000
"""Columns of a written-out table have no place on a page: each gets one of its own, this far apart."""
_TEXT_KINDS: Final = frozenset(
    (
        *("html", "markdown", "csv", "tsv", "text", "json", "xml"),
        *("docx", "xlsx", "pptx", "odt", "ods", "odp", "eml"),
    )
)
# Two blanks or a tab end a cell. Each character is looked at once.
_CELL: Final = re.compile(r"[^ \t]+(?: [^ \t]+)*")
_LEADER: Final = re.compile(r"\.{3,}|_{3,}|(?:\. ){3,}")
_SEPARATOR: Final = re.compile(r"[|:\- ]+")
_CELL_BREAK: Final = re.compile(r"(?<!\\)\|")
_LINE_MARK: Final = re.compile(r"(?:#{1,6}|[-*+]|>) +")


@dataclass(frozen=True, slots=True)
class Cell:
    """Words of one line that stand together, and their columns: from `start` up to `end`. `ruled` says that
    the source wrote it as a cell of a table (Markdown, HTML, CSV): nothing had to be seen in blanks."""

    text: str
    page: int
    line: int
    start: int
    end: int
    ruled: bool = False

    def overlaps(self, other: "Cell") -> bool:
        """Whether the two share a column."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Grid:
    """A page as cells. `trust` is how far its text can be believed: OCR reads worse than a text layer."""

    page: int
    lines: tuple[tuple[Cell, ...], ...]
    trust: float

    @property
    def cells(self) -> Iterator[Cell]:
        """Every cell, from the top."""
        for line in self.lines:
            yield from line


_OCR_TRUST: Final = 0.7


def grids(document: ResultDocument) -> list[Grid]:
    """The pages that could be read, up to `MOST_LINES` lines in all."""
    left, made = MOST_LINES, []
    kind = str(document.document.get("kind", ""))
    for page in document.pages:
        lines = _lines(page, kind, left)
        left -= len(lines)
        rows = tuple(tuple(_cells(line, page.page_number, at)) for at, line in enumerate(lines))
        made.append(Grid(page.page_number, rows, _OCR_TRUST if page.ocr else 1.0))
    return made


_Line = str | list[str]


def _lines(page: Page, kind: str, most: int) -> Sequence[_Line]:
    """The first lines as text, or as the cells of a table's row."""
    if kind in ("csv", "tsv") and page.markdown is None:
        csv.field_size_limit(max(csv.field_size_limit(), len(page.text) + 1))
        delimiter = "\t" if kind == "tsv" else _delimiter(page.text)
        return list(islice(csv.reader(io.StringIO(page.text), delimiter=delimiter), most))
    if page.markdown is None or (kind not in _TEXT_KINDS and page.text.strip()):
        return page.text.split("\n", most)[:most]
    return [_markdown_line(line[:_LONGEST_LINE]) for line in page.markdown.split("\n", most)[:most]]


def _delimiter(text: str) -> str:
    head = text[:_LONGEST_LINE].partition("\n")[0]
    return max(",;\t|", key=head.count)


def _markdown_line(line: str) -> _Line:
    plain = line.strip().replace("**", "").replace("__", "")
    if plain.startswith("|"):
        if _SEPARATOR.fullmatch(plain):
            return []
        return [_unescaped(part).strip() for part in _CELL_BREAK.split(plain.strip("|"))]
    return _unescaped(_LINE_MARK.sub("", plain, count=1) if _LINE_MARK.match(plain) else plain)


def _unescaped(words: str) -> str:
    return re.sub(r"\\([\\`*_{}\[\]()#+.!|<>-])", r"\1", words.replace("<br>", " "))


def _cells(line: _Line, page: int, at: int) -> Iterator[Cell]:
    if isinstance(line, list):
        for place, words in enumerate(line):
            clean = " ".join(words[:_LONGEST_LINE].split())
            if clean:
                start = place * _TABLE_COLUMN
                yield Cell(clean, page, at, start, start + min(len(clean), _TABLE_COLUMN - 1), ruled=True)
        return
    bounded = line[:_LONGEST_LINE].replace("\u00a0", " ").replace("\r", " ")
    bounded = _LEADER.sub(lambda found: " " * len(found[0]), bounded)
    for found in _CELL.finditer(bounded):
        yield Cell(found[0], page, at, found.start(), found.end())
