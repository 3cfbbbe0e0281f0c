"""The parts of a parse result that `expand` names, and the same as files behind links (contract 2.5)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from services.api.downloads import Links
from services.api.parse_shape import ContentOut
from shared.jobs import result as results
from shared.jobs.result import ResultDocument

OF_CONTENT: Final = "_content_metadata"


def _pages(pages: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return None if pages is None else {"pages": pages}


EXPANDED: Final[Mapping[str, Callable[[ResultDocument], Any]]] = {
    "text": lambda document: _pages(results.text_pages(document)),
    "markdown": lambda document: _pages(results.markdown_pages(document)),
    "items": lambda document: _pages(results.item_pages(document)),
    "metadata": lambda document: {
        "pages": results.metadata_pages(document),
        "document": dict(document.document),
    },
    "text_full": results.text_full,
    "markdown_full": results.markdown_full,
    "job_metadata": lambda document: {"engine": document.engine, **document.job_metadata},
}
"""What our engines fill in, by its value of `expand`."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part as a file: its key in `result_content_metadata`, the `expand` it is made by, its type and the
    end of its name."""

    key: str
    made_by: str | None
    media_type: str = "application/json"
    suffix: str = "json"


PARTS: Final[Mapping[str, Part]] = {
    "text": Part("text", "text"),
    "markdown": Part("markdown", "markdown"),
    "items": Part("items", "items"),
    "metadata": Part("metadata", "metadata"),
    "text_full": Part("fullText", "text_full", "text/plain; charset=utf-8", "txt"),
    "markdown_full": Part("md", "markdown_full", "text/markdown; charset=utf-8", "md"),
    "forms": Part("forms", None),
    "raw_words": Part("raw_words", None),
    "xlsx": Part("xlsx", None),
    "output_pdf": Part("outputPDF", None),
    "stripped_markdown": Part("stripped_markdown", None),
    "concatenated_stripped_markdown": Part("concatenated_stripped_markdown", None),
}
"""By the word before `_content_metadata`; what no engine here makes has nothing that makes it."""

BY_KEY: Final = {part.key: part for part in PARTS.values() if part.made_by is not None}

PART: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {part.media_type.partition(";")[0]: {} for part in BY_KEY.values()}}
}
"""How the answer to a link reads in the OpenAPI document."""


def wanted_parts(expand: frozenset[str]) -> list[Part]:
    """The files that were asked for, in the order of the table."""
    return [part for name, part in PARTS.items() if name + OF_CONTENT in expand]


def needs_result(expand: frozenset[str]) -> bool:
    """Whether the result has to be read."""
    return bool(expand & EXPANDED.keys() or wanted_parts(expand))


def expanded(document: ResultDocument, expand: frozenset[str]) -> dict[str, Any]:
    """What was asked for, by its field of the answer."""
    return {name: make(document) for name, make in EXPANDED.items() if name in expand}


def file_of(document: ResultDocument, part: Part) -> bytes | None:
    """The part as the bytes of a file; None when this result has none."""
    made = None if part.made_by is None else EXPANDED[part.made_by](document)
    if made is None:
        return None
    text = made if isinstance(made, str) else json.dumps(made, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate out of a damaged document has no UTF-8 form.
    return text.encode("utf-8", "replace")


def contents(
    document: ResultDocument, parts: list[Part], links: Links, project_id: UUID, job_id: UUID
) -> dict[str, ContentOut]:
    """`result_content_metadata`: size and link of each part; one that is not there does not exist."""
    found: dict[str, ContentOut] = {}
    for part in parts:
        raw = file_of(document, part)
        if raw is None:
            found[part.key] = ContentOut(size_bytes=0, exists=False)
        else:
            link = links.to_part(project_id, job_id, part.key)
            found[part.key] = ContentOut(size_bytes=len(raw), presigned_url=link.url)
    return found
