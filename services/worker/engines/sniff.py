"""What a document is: its bytes first, its name second.

A signature in the bytes is believed whatever the name says. Text has no signature, so there the extension
decides, and an unknown extension is refused rather than guessed at.
"""

import re
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from services.worker.engines import encoding
from services.worker.engines.port import Refused
from shared.jobs.codes import FailureCode

HEAD_BYTES: Final = 4096
"""How much of the start of a file `kind_of` wants to see."""


class Kind(StrEnum):
    """What an engine can read."""

    PDF = "pdf"
    PNG = "png"
    JPEG = "jpeg"
    TIFF = "tiff"
    WEBP = "webp"
    BMP = "bmp"
    GIF = "gif"
    HTML = "html"
    MARKDOWN = "markdown"
    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    XML = "xml"
    PLAIN = "plain"
    PACKAGE = "package"
    """A zip archive: which Office document it is, is told by its parts."""
    COMPOUND = "compound"
    """The container of the old Office formats, and of encrypted documents of the new ones."""
    EML = "eml"


PAGED: Final = frozenset((Kind.PDF, Kind.PNG, Kind.JPEG, Kind.TIFF, Kind.WEBP, Kind.BMP, Kind.GIF))
"""The kinds that have pages to look at."""
OFFICE: Final = frozenset((Kind.PACKAGE, Kind.COMPOUND, Kind.EML))
"""Office documents and e-mails; what is neither of these nor has pages is text."""

_SUPPORTED: Final = (
    "PDF, PNG, JPEG, TIFF, WebP, BMP, GIF, Word (docx), Excel (xlsx), PowerPoint (pptx),"
    " OpenDocument (odt, ods, odp), e-mail (eml), HTML, Markdown, CSV, TSV, JSON, XML and plain text"
)
_PLAIN: Final = (
    "txt text log out err rst adoc org tex bib srt vtt eml mbox ics vcf ini cfg conf toml yaml yml properties"
    " env diff patch sql py js mjs ts tsx jsx java kt c h cc cpp hpp cs go rs rb php pl lua r jl scala swift"
    " sh bash zsh bat ps1 css scss less gitignore dockerfile makefile asc prn"
)
_BY_NAME: Final = {
    **dict.fromkeys(_PLAIN.split(), Kind.PLAIN),
    **dict.fromkeys(("md", "markdown", "mdx", "mkd"), Kind.MARKDOWN),
    **dict.fromkeys(("html", "htm", "xhtml", "xhtm"), Kind.HTML),
    **dict.fromkeys(("json", "jsonl", "ndjson", "geojson", "ipynb"), Kind.JSON),
    **dict.fromkeys(("xml", "svg", "xsl", "xsd", "rss", "atom", "kml", "gpx"), Kind.XML),
    "csv": Kind.CSV,
    "tsv": Kind.TSV,
    "tab": Kind.TSV,
}
_IMAGE_NAMES: Final = frozenset(("png", "jpg", "jpeg", "tif", "tiff", "webp", "bmp", "gif"))
_SIGNATURES: Final = (
    (b"%PDF-", Kind.PDF),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"II*\0", Kind.TIFF),
    (b"MM\0*", Kind.TIFF),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
    (b"PK\x03\x04", Kind.PACKAGE),
    (b"PK\x05\x06", Kind.PACKAGE),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind.COMPOUND),
)
_FOREIGN: Final = (
    (b"{\\rtf", "a Rich Text document"),
    (b"%!PS", "a PostScript document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"ID3", "a sound file"),
    (b"OggS", "a sound file"),
    (b"fLaC", "a sound file"),
    (b"RIFF", "a sound or video file"),
)
_HEADER_FIELD: Final = re.compile(
    rb"^(?:from|to|subject|date|message-id|mime-version|received|return-path|content-type):",
    re.IGNORECASE | re.MULTILINE,
)
_FEWEST_HEADER_FIELDS: Final = 2
_BMP_HEADERS: Final = frozenset((12, 16, 40, 52, 56, 64, 108, 124))
_PDF_SEARCH: Final = 1024
_WEAK: Final = 3


def kind_of(head: bytes, name: str) -> Kind:
    """The kind of a document, from its first `HEAD_BYTES` and its name.

    Refuses: an empty one (NO_DATA_FOUND_IN_FILE), and one that no engine reads (UNSUPPORTED_FILE_TYPE, which
    says what it is and what is supported).
    """
    if not head:
        raise Refused(FailureCode.NO_DATA_FOUND_IN_FILE, "The file is empty.")
    extension = PurePath(name).suffix[1:].lower()
    return _by_signature(head) or _pdf_after_junk(head, extension) or _as_text(head, extension)


def _by_signature(head: bytes) -> Kind | None:
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Kind.WEBP
    # "BM" alone is how a text may well begin.
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return Kind.BMP
    return None


def _pdf_after_junk(head: bytes, extension: str) -> Kind | None:
    """Readers accept a header within the first kilobyte; a text that speaks of PDF is still a text."""
    found = b"%PDF-" in head[: _PDF_SEARCH + 5]
    return Kind.PDF if found and extension not in _BY_NAME else None


def _as_text(head: bytes, extension: str) -> Kind:
    is_text = encoding.looks_like_text(head)
    if extension == "eml" and _has_header_of_mail(head):
        return Kind.EML
    for signature, what in _FOREIGN:
        # Two or three letters are also how a text may begin.
        if head.startswith(signature) and (len(signature) > _WEAK or not is_text):
            raise _unsupported(f"The file is {what}")
    if is_text and extension in _BY_NAME:
        return _BY_NAME[extension]
    markup = _markup(head) if is_text else None
    if markup:
        return markup
    if extension == "pdf":
        return Kind.PDF
    if not is_text:
        raise _unsupported(f"The content is binary and of no known type{_named(extension)}")
    if extension in _IMAGE_NAMES:
        raise _unsupported(f"The file is named .{extension}, but its content is text")
    if extension:
        raise _unsupported(f"Files of type .{extension[:20]} are not supported")
    return Kind.PLAIN


def _has_header_of_mail(head: bytes) -> bool:
    header = head.lstrip(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return len(_HEADER_FIELD.findall(header)) >= _FEWEST_HEADER_FIELDS


def _markup(head: bytes) -> Kind | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return Kind.HTML
    if start.startswith(b"<?xml"):
        return Kind.HTML if b"<html" in start else Kind.XML
    return None


def _named(extension: str) -> str:
    return f" (named .{extension[:20]})" if extension else ""


def _unsupported(what: str) -> Refused:
    return Refused(FailureCode.UNSUPPORTED_FILE_TYPE, f"{what}; supported are {_SUPPORTED}.")
