"""Documents that are text already: plain text, Markdown, HTML, CSV and TSV, JSON, XML. One page each."""

import csv
import io
import platform
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.worker.engines.blocks import Code, Table, fenced, items_of, table_lines
from services.worker.engines.encoding import decode, looks_like_text
from services.worker.engines.loose_ends import tied
from services.worker.engines.markdown import outline
from services.worker.engines.markup import UNSEEN, blocks_of
from services.worker.engines.options import select_pages, tier_of
from services.worker.engines.port import Refused, Source
from shared.jobs.codes import FailureCode
from shared.jobs.result import Page, ResultDocument

_ENGINE: Final = f"text 1 (python {platform.python_version()})"
_MOST_BYTES: Final = {"html": 16 * 2**20, "csv": 64 * 2**20, "tsv": 64 * 2**20}
_MOST_BYTES_ELSE: Final = 128 * 2**20
_MOST_WITH_ITEMS: Final = 4 * 2**20
"""Characters. A larger text has no items: they say everything four times more."""
_MANY_BLANK_LINES: Final = re.compile(r"\n[ \t]*\n[ \t]*(?:\n[ \t]*)+")


def parse(source: Source, options: Mapping[str, Any]) -> ResultDocument:
    """The text of the document and, unless the tier is `fast`, its markdown and its items.

    Refuses: nothing but blanks (NO_DATA_FOUND_IN_FILE), binary content (UNSUPPORTED_FILE_TYPE), more bytes
    than the memory of a sandbox can hold in its parsed form (DOCUMENT_TOO_LARGE).
    """
    started = time.perf_counter()
    tier = tier_of(options)
    select_pages(options, total=1, limit=source.max_pages)
    raw, codec = _read(source)
    page = _page(source.kind, raw, rich=tier.markdown)
    return ResultDocument(
        engine=_ENGINE,
        pages=(page,),
        document={"kind": source.kind, "encoding": codec},
        job_metadata=tier.describe(_ENGINE, pages=1, ocr_pages=0, seconds=time.perf_counter() - started),
    )


def _read(source: Source) -> tuple[str, str]:
    most = _MOST_BYTES.get(source.kind, _MOST_BYTES_ELSE)
    with source.path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Refused(
            FailureCode.DOCUMENT_TOO_LARGE,
            f"A {source.kind} file of more than {most // 2**20} MB is not read.",
        )
    if not looks_like_text(data):
        raise Refused(
            FailureCode.UNSUPPORTED_FILE_TYPE,
            f"The file is named like {source.kind}, but its content is binary.",
        )
    text, codec = decode(data)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise Refused(FailureCode.NO_DATA_FOUND_IN_FILE, "The file holds nothing but blanks.")
    return text, codec


def _page(kind: str, raw: str, *, rich: bool) -> Page:
    """The one page; `rich`: with markdown, and with items where the format tells a structure."""
    if kind == "html":
        return _html_page(raw, rich=rich)
    if not rich:
        return Page(1, raw)
    return Page(1, raw, _markdown(kind, raw), items=_items(kind, raw) if _is_small(raw) else None)


def _markdown(kind: str, raw: str) -> str:
    if kind in ("csv", "tsv"):
        return _table(raw, kind)
    return fenced(raw, kind) if kind in ("json", "xml") else raw


def _items(kind: str, raw: str) -> tuple[dict[str, Any], ...] | None:
    if kind in ("csv", "tsv"):
        return tuple(items_of([Table([row for row in _rows(raw, _delimiter(raw, kind)) if row])]))
    if kind in ("json", "xml"):
        return tuple(items_of([Code(raw.rstrip(), kind)]))
    return tuple(items_of(outline(raw))) if kind == "markdown" else None


def _is_small(raw: str) -> bool:
    return len(raw) <= _MOST_WITH_ITEMS


def _html_page(raw: str, *, rich: bool) -> Page:
    # Only now: a tenth of a second that most text files never need.
    from bs4 import BeautifulSoup  # noqa: PLC0415

    soup = BeautifulSoup(tied(raw), "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in soup.find_all(UNSEEN):
        tag.decompose()
    text = _squeeze(soup.get_text("\n", strip=True)) or title
    if not rich:
        return Page(1, text)
    from markdownify import MarkdownConverter  # noqa: PLC0415

    try:
        # First: the converter writes into the tree.
        items = tuple(items_of(blocks_of(soup))) if _is_small(raw) else None
        converted: str = MarkdownConverter(heading_style="ATX", bullets="-").convert_soup(soup)
    except RecursionError:
        # Tags nested a thousand deep: its words are worth more than its shape.
        return Page(1, text, text)
    return Page(1, text, _squeeze(converted) or text, items=items)


def _squeeze(text: str) -> str:
    return _MANY_BLANK_LINES.sub("\n\n", text).strip()


def _table(raw: str, kind: str) -> str:
    # Not by way of a list of all rows, which takes many times the memory of the text.
    delimiter = _delimiter(raw, kind)
    width = max((len(row) for row in _rows(raw, delimiter)), default=0)
    rows = (row for row in _rows(raw, delimiter) if row)
    return table_lines(rows, width)


def _rows(raw: str, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(max(csv.field_size_limit(), len(raw) + 1))
    return iter(csv.reader(io.StringIO(raw, newline=""), delimiter=delimiter))


def _delimiter(raw: str, kind: str) -> str:
    if kind == "tsv":
        return "\t"
    try:
        return csv.Sniffer().sniff(raw[:4096], ",;\t|").delimiter
    except csv.Error:
        return ","
