"""What the jobs of a page gave, beside the page's rows: one request instead of one for each file."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shared.batches.service import BatchResult
from shared.jobs import result as results
from shared.jobs.result import ResultDocument
from shared.storage.port import BlobMissing, BlobStorage

MOST_CHARACTERS: Final = 4 * 1024 * 1024
"""A page ends after the file that reaches this; a page of one huge file is as large as that."""
READ_AT_ONCE: Final = 16

CONTENTS: Final[Mapping[str, Callable[[ResultDocument], Any]]] = {
    "text_full": results.text_full,
    "markdown_full": results.markdown_full,
    "extract_result": lambda document: None if document.extraction is None else document.extraction.data,
}

Contents = dict[str, Any]


async def contents_of(
    storage: BlobStorage, rows: Sequence[BatchResult], wanted: frozenset[str]
) -> list[Contents]:
    """What is `wanted` of the rows, in their order; empty for a row without a result, or whose result is
    gone. It may be about fewer rows than were given, and is about one at least: it ends where enough was
    read for one answer."""
    found: list[Contents] = []
    size = 0
    for start in range(0, len(rows), READ_AT_ONCE):
        group = rows[start : start + READ_AT_ONCE]
        blobs = await asyncio.gather(*(_blob_of(storage, row) for row in group))
        size = await asyncio.to_thread(_open_all, blobs, wanted, found, size)
        if size >= MOST_CHARACTERS:
            break
    return found


async def _blob_of(storage: BlobStorage, row: BatchResult) -> bytes | None:
    if row.result_key is None:
        return None
    try:
        return await storage.read(row.result_key)
    except BlobMissing:
        # One result that the storage has lost must not hide those beside it.
        return None


def _open_all(blobs: Sequence[bytes | None], wanted: frozenset[str], found: list[Contents], size: int) -> int:
    # One after the other: a small blob may hold a large document.
    for blob in blobs:
        if size >= MOST_CHARACTERS:
            break
        contents: Contents = {}
        if blob is not None:
            document = results.decode(blob)
            contents = {name: make(document) for name, make in CONTENTS.items() if name in wanted}
            size += sum(len(page.text) + len(page.markdown or "") for page in document.pages)
        found.append(contents)
    return size
