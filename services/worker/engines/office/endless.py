"""Parts of a workbook in which one row, or one string of the shared table, never ends.

They are found before the workbook is read: who builds such an element first holds all of it. Only bytes are
looked at, which takes little longer than to unpack them. A part that is written to deceive gets past; the
caps of the sandbox end that one.
"""

import re
from typing import Final

from services.worker.engines.office.package import Package
from services.worker.engines.office.pages import MOST_CELLS
from services.worker.engines.port import Refused
from shared.jobs.codes import FailureCode

_STRINGS_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
_BITE: Final = 2**20
_MOST_BYTES: Final = 32 * 2**20
"""Bytes of one row or string."""
_MOST_TAGS: Final = 1_000_000
"""Tags of one row or string, those that close an element among them. Excel's widest row has 16,384 cells."""
_MOST_STRINGS: Final = MOST_CELLS
_ROW: Final = (b"row>", b"<row ", b":row ")
_STRING: Final = (b"si>", b"<si ", b"si/>")
_ROWS_END: Final = re.compile(rb"/(?:[\w.-]+:)?sheetData>")
_STRING_BEGINS: Final = re.compile(rb"[<:]si[\s/>]")
_OVERLAP: Final = 64


def look(package: Package) -> None:
    """Refuse a workbook with such a row or string, or with more strings than cells are kept
    (DOCUMENT_TOO_LARGE)."""
    relations = package.relations(package.main_part("xl/workbook.xml")).values()
    for part in {part for kind, part in relations if kind == "worksheet" and part in package}:
        _look_at_rows(package, part)
    for part in package.parts_of_type(_STRINGS_TYPE):
        _look_at_strings(package, part)


def _look_at_rows(package: Package, part: str) -> None:
    stretch = _Stretch(_ROW, "A row of a sheet")
    for bite in package.bites(part, _BITE):
        # What comes behind the rows (merged cells, links, rules) may be long.
        if _ROWS_END.search(stretch.take(bite)):
            return


def _look_at_strings(package: Package, part: str) -> None:
    stretch = _Stretch(_STRING, "A string of the workbook")
    strings = 0
    for bite in package.bites(part, _BITE):
        stretch.take(bite)
        strings += len(_STRING_BEGINS.findall(bite))
        if strings > _MOST_STRINGS:
            raise Refused(
                FailureCode.DOCUMENT_TOO_LARGE,
                f"The workbook has more than {_MOST_STRINGS} strings; split it.",
            )


class _Stretch:
    """How much has come since the last mark."""

    def __init__(self, marks: tuple[bytes, ...], what: str) -> None:
        self._marks = marks
        self._what = what
        self._before = b""
        self._bytes = self._tags = 0

    def take(self, bite: bytes) -> bytes:
        """Count on; refuse what is too long. Answers the bite, and the end of the one before: a mark may lie
        across both."""
        seen = self._before + bite
        last = max(seen.rfind(mark) for mark in self._marks)
        if last >= 0:
            self._bytes = self._tags = 0
        start = max(last, len(self._before))
        self._bytes += len(seen) - start
        self._tags += seen.count(b"<", start)
        self._before = bite[-_OVERLAP:]
        if self._bytes > _MOST_BYTES or self._tags > _MOST_TAGS:
            raise Refused(
                FailureCode.DOCUMENT_TOO_LARGE,
                f"{self._what} is too large: {_MOST_BYTES // 2**20} MB or {_MOST_TAGS} tags are the most.",
            )
        return seen
