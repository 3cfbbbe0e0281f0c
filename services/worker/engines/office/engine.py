"""Which reader a document of an office gets, and its pages as a result."""

import mmap
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.worker.engines.blocks import items_of, markdown_of, text_of
from services.worker.engines.office.package import Package, damaged, protected
from services.worker.engines.office.pages import Sheet, Sheets
from services.worker.engines.options import select_pages, tier_of
from services.worker.engines.port import Refused, Source
from shared.jobs.codes import FailureCode
from shared.jobs.result import Page, ResultDocument

_ENGINE: Final = f"office 1 (python {platform.python_version()})"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")


def parse(source: Source, options: Mapping[str, Any]) -> ResultDocument:
    """The text of the document and, unless the tier is `fast`, its markdown and its items.

    Refuses: an archive of another kind, the old binary formats, a document with a password
    (UNSUPPORTED_FILE_TYPE), a damaged one (ENGINE_ERROR), one without any text (NO_DATA_FOUND_IN_FILE), one
    too large to be held (DOCUMENT_TOO_LARGE), too many pages (TOO_MANY_PAGES).
    """
    started = time.perf_counter()
    tier = tier_of(options)
    sheets = _read(source, links=tier.markdown)
    wanted = select_pages(options, total=max(len(sheets.pages), 1), limit=source.max_pages)
    if not any(text_of(sheet.blocks) for sheet in sheets.pages):
        raise Refused(FailureCode.NO_DATA_FOUND_IN_FILE, "The document holds no text.")
    pages = tuple(_page(number, sheets.pages[number - 1], rich=tier.markdown) for number in wanted)
    return ResultDocument(
        engine=_ENGINE,
        pages=pages,
        document={"kind": sheets.kind, "pages": len(sheets.pages), **sheets.facts},
        job_metadata=tier.describe(
            _ENGINE, pages=len(pages), ocr_pages=0, seconds=time.perf_counter() - started
        ),
    )


def _read(source: Source, *, links: bool) -> Sheets:
    if source.kind == "eml":
        from services.worker.engines.office import mail  # noqa: PLC0415  (each reader when first needed)

        return mail.read(source.path)
    if source.kind == "compound":
        raise _of_old_form(source.path)
    package = Package(source.path)
    try:
        return _read_package(package, links=links)
    except RecursionError as error:
        raise damaged("its parts are nested too deep") from error


def _read_package(package: Package, *, links: bool) -> Sheets:
    # Each reader when first needed: what they import costs a tenth of a second and more.
    from services.worker.engines.office import opendocument, slides, word, workbook  # noqa: PLC0415

    if package.kind == "docx":
        return word.read(package, links=links)
    if package.kind == "xlsx":
        return workbook.read(package)
    if package.kind == "pptx":
        return slides.read(package, links=links)
    return opendocument.read(package, links=links)


def _page(number: int, sheet: Sheet, *, rich: bool) -> Page:
    return Page(
        page_number=number,
        text=text_of(sheet.blocks),
        markdown=markdown_of(sheet.blocks) if rich else None,
        width=sheet.width,
        height=sheet.height,
        items=tuple(items_of(sheet.blocks)) if rich else None,
    )


def _of_old_form(path: Path) -> Refused:
    """What the container of the old formats holds: Office puts encrypted documents into one too."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_ENCRYPTED) >= 0:
            return protected()
    return Refused(
        FailureCode.UNSUPPORTED_FILE_TYPE,
        "The file is an Office document of the old format (doc, xls, ppt), or an Outlook message. Save it in"
        " the new one: docx, xlsx, pptx, eml.",
    )
