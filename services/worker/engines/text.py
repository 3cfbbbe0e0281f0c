"""Documents that are text already: plain text, Markdown, HTML, CSV and TSV, JSON, XML. One page each."""

import csv
import io
import platform
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.worker.engines.encoding import decode, looks_like_text
from services.worker.engines.options import select_pages, tier_of
from services.worker.engines.port import Refused, Source
from shared.jobs.codes import FailureCode
from shared.jobs.result import Page, ResultDocument

_ENGINE: Final = f"text 1 (python {platform.python_version()})"
_MOST_BYTES: Final = {"html": 16 * 2**20, "csv": 64 * 2**20, "tsv": 64 * 2**20}
_MOST_BYTES_ELSE: Final = 128 * 2**20
_UNSEEN: Final = ("script", "style", "template", "noscript", "head")
_MANY_BLANK_LINES: Final = re.compile(r"\n[ \t]*\n[ \t]*(?:\n[ \t]*)+")


def parse(source: Source, options: Mapping[str, Any]) -> ResultDocument:
    """The text of the document and, unless the tier is `fast`, its markdown.

    Refuses: nothing but blanks (NO_DATA_FOUND_IN_FILE), binary content (UNSUPPORTED_FILE_TYPE), more bytes
    than the memory of a sandbox can hold in its parsed form (DOCUMENT_TOO_LARGE).
    """
    started = time.perf_counter()
    tier = tier_of(options)
    select_pages(options, total=1, limit=source.max_pages)
    raw, codec = _read(source)
    text, markdown = _convert(source.kind, raw, markdown=tier.markdown)
    page = Page(page_number=1, text=text, markdown=markdown)
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


def _convert(kind: str, raw: str, *, markdown: bool) -> tuple[str, str | None]:
    if kind == "html":
        return _convert_html(raw, markdown=markdown)
    if not markdown:
        return raw, None
    if kind in ("csv", "tsv"):
        return raw, _table(raw, kind)
    if kind in ("json", "xml"):
        return raw, _fenced(raw, kind)
    return raw, raw


def _convert_html(raw: str, *, markdown: bool) -> tuple[str, str | None]:
    # Only now: a tenth of a second that most text files never need.
    from bs4 import BeautifulSoup  # noqa: PLC0415

    soup = BeautifulSoup(raw, "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in soup.find_all(_UNSEEN):
        tag.decompose()
    text = _squeeze(soup.get_text("\n", strip=True)) or title
    if not markdown:
        return text, None
    from markdownify import MarkdownConverter  # noqa: PLC0415

    try:
        converted: str = MarkdownConverter(heading_style="ATX", bullets="-").convert_soup(soup)
    except RecursionError:
        # Tags nested a thousand deep: its words are worth more than its shape.
        return text, text
    return text, _squeeze(converted) or text


def _squeeze(text: str) -> str:
    return _MANY_BLANK_LINES.sub("\n\n", text).strip()


def _table(raw: str, kind: str) -> str:
    delimiter = "\t" if kind == "tsv" else _delimiter(raw)
    width = max((len(row) for row in _rows(raw, delimiter)), default=0)
    # Only the head is filled up to the widest row: readers fill the others, and one wide row of a long
    # table would make it a thousand times as large.
    lines = [_line(row) for row in _rows(raw, delimiter) if row]
    head = next(row for row in _rows(raw, delimiter) if row)
    lines[0] = _line(head + [""] * (width - len(head)))
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def _rows(raw: str, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(len(raw) + 1)
    return iter(csv.reader(io.StringIO(raw, newline=""), delimiter=delimiter))


def _line(row: list[str]) -> str:
    return "| " + " | ".join(map(_cell, row)) + " |"


def _delimiter(raw: str) -> str:
    try:
        return csv.Sniffer().sniff(raw[:4096], ",;\t|").delimiter
    except csv.Error:
        return ","


def _cell(value: str) -> str:
    return value.strip().replace("\\", "\\\\").replace("|", "\\|").replace("\n", "<br>")


def _fenced(raw: str, language: str) -> str:
    fence = "```"
    while fence in raw:
        fence += "`"
    return f"{fence}{language}\n{raw.rstrip()}\n{fence}"
