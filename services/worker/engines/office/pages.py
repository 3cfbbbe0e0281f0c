"""Blocks gathered into pages while a document is walked through."""

from dataclasses import dataclass, field
from typing import Final

from services.worker.engines.blocks import Block, Cell
from services.worker.engines.port import Refused
from shared.jobs.codes import FailureCode

MOST_CELLS: Final = 2_000_000
"""Cells of one document. Each is kept as text, markdown, HTML, CSV and value."""
_MOST_PAGES: Final = 100_000


@dataclass(slots=True)
class Sheet:
    """One page: its blocks, and its size in points where the document tells."""

    blocks: list[Block] = field(default_factory=list)
    width: float | None = None
    height: float | None = None


@dataclass(slots=True)
class Sheets:
    """The pages of a document; `facts` go into `metadata.document`."""

    kind: str
    pages: list[Sheet] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    _cells: int = 0

    def add(self, block: Block) -> None:
        """Put a block on the last page."""
        if not self.pages:
            self.pages.append(Sheet())
        self.pages[-1].blocks.append(block)

    def turn(self) -> None:
        """Begin a page. A document that begins with a break has an empty first page."""
        if not self.pages:
            self.pages.append(Sheet())
        self.begin()

    def begin(self, width: float | None = None, height: float | None = None) -> None:
        """Begin a page of this size."""
        if len(self.pages) >= _MOST_PAGES:
            raise Refused(FailureCode.TOO_MANY_PAGES, f"The document has more than {_MOST_PAGES} pages.")
        self.pages.append(Sheet(width=width, height=height))

    def count(self, row: list[Cell], times: int = 1) -> None:
        """Count cells that will be kept. Refuses more than `MOST_CELLS` (DOCUMENT_TOO_LARGE)."""
        self._cells += (len(row) + 1) * times
        if self._cells > MOST_CELLS:
            raise Refused(
                FailureCode.DOCUMENT_TOO_LARGE,
                f"The tables of the document have more than {MOST_CELLS} cells; split it.",
            )


def trimmed(row: list[Cell]) -> list[Cell]:
    """A row without the empty cells at its end."""
    end = len(row)
    while end and row[end - 1] in (None, ""):
        end -= 1
    return row[:end]
