"""The one result object of a run: zstd-compressed JSON that holds every `expand` of a parse job.

The worker's sandbox writes it, the API reads it. What it holds came out of an untrusted document by way of a
process that may have been taken over, so `decode` believes nothing: size, shape and types are checked.
"""

import json
import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

import zstandard

from shared.jobs.items import are_items

FORMAT: Final = 1
SUFFIX: Final = ".json.zst"
MAX_BYTES: Final = 512 * 1024 * 1024
"""Most bytes of JSON, before compression. `encode` writes no more and `decode` reads no more."""
_LEVEL: Final = 3
_AT_ONCE: Final = 1 << 20
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_KEPT: Final = threading.local()
# A compressed byte can stand for 32 kB and more: fed in small bites, a bomb is noticed after 16 MB.
_BITE: Final = 512
_MOST_WINDOW: Final = 1 << 27
_BETWEEN_PAGES: Final = "\n\n"
_KEYS: Final = frozenset(
    ("page_number", "text", "markdown", "width", "height", "ocr", "label", "error", "items")
)


class ResultUnreadable(ValueError):
    """The bytes are not a result object of a format that this version knows."""


class ResultTooLarge(ValueError):
    """The result is over its limit, as JSON."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page. Sizes are in points (1/72 inch), None where the source has no pages. `markdown` is None
    when none was made (tier `fast`). `items` are those of contract 2.5, None where the engine knows of no
    structure. `ocr` says that OCR was run, even if it read nothing. `label` is the
    page number as printed. A page that could not be read has `error` and an empty text."""

    page_number: int
    text: str
    markdown: str | None = None
    width: float | None = None
    height: float | None = None
    ocr: bool = False
    label: str | None = None
    error: str | None = None
    items: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was taken out of a document by a schema.

    `data` has the shape of the schema, null where nothing was found: an object, or a list of objects for the
    targets `per_page` and `per_table_row`. `fields` is `field_metadata` of contract 2.6: for each field the
    page, the source text and the confidence. `missing_fields` are the paths (`vendor.name`, `items[0].price`)
    of fields that the schema requires and the document did not give.
    """

    data: Any
    fields: Mapping[str, Any]
    missing_fields: tuple[str, ...]
    engine: str


@dataclass(frozen=True, slots=True)
class ResultDocument:
    """What one run of one document gave. `document` and `job_metadata` are JSON objects; `extraction` is
    there when the job was an extraction; `version` is of the engines that made it, where they said so."""

    engine: str
    pages: tuple[Page, ...]
    document: Mapping[str, Any] = field(default_factory=dict)
    job_metadata: Mapping[str, Any] = field(default_factory=dict)
    extraction: Extraction | None = None
    version: str | None = None


_PAGE_FIELDS: Final = tuple(one.name for one in fields(Page))


def encode(doc: ResultDocument, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The object as stored. Raises `ResultTooLarge` when its JSON is over `max_bytes`."""
    packer = _packer()
    stream: Any = None
    packed: list[bytes] = []
    held: list[bytes] = []
    total = 0
    for piece in _json_pieces(doc):
        total += len(piece)
        if total > max_bytes:
            raise ResultTooLarge(f"the result is over {max_bytes} bytes")
        held.append(piece)
        if total > _AT_ONCE:
            stream = stream or packer.compressobj()
            packed.append(stream.compress(b"".join(held)))
            held.clear()
    if stream is None:
        # Of a known, small size: tables and window fit it, which takes a quarter of the time.
        return packer.compress(b"".join(held))
    return b"".join((*packed, stream.compress(b"".join(held)), stream.flush()))


def _packer() -> zstandard.ZstdCompressor:
    # Making one takes as long as packing a page. Two threads must not use the same.
    if not hasattr(_KEPT, "packer"):
        _KEPT.packer = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    made: zstandard.ZstdCompressor = _KEPT.packer
    return made


def _json_pieces(doc: ResultDocument) -> Iterator[bytes]:
    # A page at a time: the whole JSON of a large document beside its text would double the memory of the run.
    yield _dump({"format": FORMAT, "engine": doc.engine})[:-1] + b',"pages":['
    for number, page in enumerate(doc.pages):
        yield (b"," if number else b"") + _dump(_stored(page))
    rest: dict[str, Any] = {
        "metadata": {"document": dict(doc.document)},
        "job_metadata": dict(doc.job_metadata),
    }
    if doc.extraction is not None:
        rest["extraction"] = asdict(doc.extraction)
    if doc.version is not None:
        rest["version"] = doc.version
    yield b"]," + _dump(rest)[1:]


def _stored(page: Page) -> dict[str, Any]:
    # Not asdict: it would copy each cell of each table. A page without items has the form that it always had.
    found = {name: getattr(page, name) for name in _PAGE_FIELDS}
    if page.items is None:
        del found["items"]
    return found


def _dump(value: Any) -> bytes:
    # "replace": a lone surrogate out of a damaged document has no UTF-8 form.
    return _JSON.encode(value).encode("utf-8", "replace")


def decode(blob: bytes, *, max_bytes: int = MAX_BYTES) -> ResultDocument:
    """Read what `encode` wrote. Raises `ResultUnreadable` for anything else, and for more than `max_bytes`
    of JSON however small its compressed form is."""
    plain = _unpack(blob, max_bytes)
    try:
        tree = json.loads(plain)
    except (ValueError, RecursionError) as error:
        raise ResultUnreadable("the result object is not JSON") from error
    return _read_document(tree)


def _unpack(blob: bytes, max_bytes: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW).decompressobj()
    plain = bytearray()
    try:
        for at in range(0, len(blob), _BITE):
            plain += unpacker.decompress(blob[at : at + _BITE])
            if len(plain) > max_bytes:
                raise ResultUnreadable(f"the result object is over {max_bytes} bytes")
    except zstandard.ZstdError as error:
        raise ResultUnreadable("the result object is damaged") from error
    if not unpacker.eof or unpacker.unused_data:
        raise ResultUnreadable("the result object is damaged")
    return bytes(plain)


def _read_document(tree: Any) -> ResultDocument:
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise ResultUnreadable("the result object is of an unknown format")
    pages, metadata, job_metadata = tree.get("pages"), tree.get("metadata"), tree.get("job_metadata")
    if not (isinstance(pages, list) and isinstance(metadata, dict) and isinstance(job_metadata, dict)):
        raise ResultUnreadable("the result object lacks a part")
    engine, document, version = tree.get("engine"), metadata.get("document"), tree.get("version")
    if not (isinstance(engine, str) and isinstance(document, dict) and isinstance(version, str | None)):
        raise ResultUnreadable("the result object lacks a part")
    return ResultDocument(
        engine,
        tuple(_read_page(page) for page in pages),
        document,
        job_metadata,
        _read_extraction(tree.get("extraction")),
        version,
    )


def _read_extraction(raw: Any) -> Extraction | None:
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise ResultUnreadable("the extraction of the result object is not an object")
    data, fields, missing, engine = (raw.get(key) for key in ("data", "fields", "missing_fields", "engine"))
    if not (
        isinstance(data, dict | list)
        and isinstance(fields, dict)
        and isinstance(missing, list)
        and all(isinstance(path, str) for path in missing)
        and isinstance(engine, str)
    ):
        raise ResultUnreadable("the extraction of the result object has a value of the wrong type")
    return Extraction(data, fields, tuple(missing), engine)


def _read_page(raw: Any) -> Page:
    if not isinstance(raw, dict):
        raise ResultUnreadable("a page of the result object is not an object")
    known = {key: raw[key] for key in raw.keys() & _KEYS}
    number = known.get("page_number")
    good = (
        isinstance(number, int)
        and not isinstance(number, bool)
        and isinstance(known.get("text"), str)
        and isinstance(known.get("ocr", False), bool)
        and all(isinstance(known.get(key), str | None) for key in ("markdown", "label", "error"))
        and all(_is_size(known.get(key)) for key in ("width", "height"))
        and (known.get("items") is None or are_items(known["items"]))
    )
    if not good:
        raise ResultUnreadable("a page of the result object has a value of the wrong type")
    if known.get("items") is not None:
        known["items"] = tuple(known["items"])
    return Page(**known)


def _is_size(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def text_full(doc: ResultDocument) -> str:
    """The text of all pages, an empty line between two (expand `text_full`)."""
    return _BETWEEN_PAGES.join(page.text for page in doc.pages)


def markdown_full(doc: ResultDocument) -> str | None:
    """The markdown of all pages that have one (expand `markdown_full`); None when the tier makes none."""
    made = [page.markdown for page in doc.pages if page.markdown is not None]
    return _BETWEEN_PAGES.join(made) if made else None


def text_pages(doc: ResultDocument) -> list[dict[str, Any]]:
    """`text.pages` of contract 2.5."""
    return [{"page_number": page.page_number, "text": page.text} for page in doc.pages]


def markdown_pages(doc: ResultDocument) -> list[dict[str, Any]] | None:
    """`markdown.pages` of contract 2.5, a page that could not be read in its failed form; None when the
    tier makes no markdown."""
    if all(page.markdown is None and page.error is None for page in doc.pages):
        return None
    return [_markdown_page(page) for page in doc.pages]


def _markdown_page(page: Page) -> dict[str, Any]:
    if page.markdown is None:
        error = page.error or "no markdown was made of this page"
        return {"page_number": page.page_number, "success": False, "error": error}
    return {"page_number": page.page_number, "markdown": page.markdown, "success": True}


def item_pages(doc: ResultDocument) -> list[dict[str, Any]] | None:
    """`items.pages` of contract 2.5, a page that could not be read in its failed form; None when no page has
    items. A page that knows no size is 0 wide and high, since clients want a number."""
    if all(page.items is None for page in doc.pages):
        return None
    return [_item_page(page) for page in doc.pages]


def _item_page(page: Page) -> dict[str, Any]:
    if page.items is None:
        error = page.error or "no items were made of this page"
        return {"page_number": page.page_number, "success": False, "error": error}
    return {
        "page_number": page.page_number,
        "page_width": page.width or 0,
        "page_height": page.height or 0,
        "items": list(page.items),
        "success": True,
    }


def metadata_pages(doc: ResultDocument) -> list[dict[str, Any]]:
    """`metadata.pages` of contract 2.5. Beside its fields: page sizes in points, and whether OCR was run."""
    return [
        {
            "page_number": page.page_number,
            "printed_page_number": page.label,
            "page_width": page.width,
            "page_height": page.height,
            "ocr": page.ocr,
        }
        for page in doc.pages
    ]
