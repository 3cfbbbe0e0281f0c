"""Where the results of a chunk's files lie, and what an earlier holder of a file left there.

A holder that dies after it stored a result and before the row said so leaves a good result that nobody knows
of. Whoever takes the file next copies it under a token of its own instead of reading the document again: the
earlier holder may come back and write to its own blob, which changes nothing (law 3).
"""

import asyncio
import time
from pathlib import Path
from typing import Final
from uuid import uuid4

from services.worker.engines.port import Done
from shared.jobs.result import SUFFIX, ResultDocument, ResultUnreadable, decode
from shared.jobs.running import FileToRun, TakenChunk
from shared.storage.port import BlobLister, BlobMissing, BlobStorage, Listed
from shared.telemetry import logger

log = logger(__name__)

MOST_BYTES: Final = 4 * 2**20
MOST_JSON_BYTES: Final = 64 * 2**20
"""A result that is larger, packed or as JSON, is made again: to be checked it has to be in memory as a
whole."""


class Keys:
    """Where the results of this take of a chunk lie. The token in the path keeps a worker back from the dead
    off its successor's blob (law 3)."""

    def __init__(self, chunk: TakenChunk) -> None:
        # Put together once: a chunk has thousands of files that may be very short.
        self._before = f"p/{chunk.project_id}/r/"
        self._behind = f"/{chunk.token}{SUFFIX}"

    def of(self, file: FileToRun) -> str:
        """The key of the file's result."""
        return f"{self._before}{file.job_id}{self._behind}"


def may_be_lost(chunk: TakenChunk) -> bool:
    """Whether an earlier holder may have been lost: a chunk of several whose holder died is split into chunks
    of one, which begin to count anew."""
    return chunk.losses > 0 or (chunk.batch_id is not None and chunk.size == 1)


async def left_behind(
    storage: BlobStorage,
    lister: BlobLister,
    chunk: TakenChunk,
    file: FileToRun,
    *,
    engine: str,
    scratch: Path,
) -> Done | None:
    """The newest result that an earlier holder stored of this file with engines of the same version, as a
    file in `scratch`; None when there is none that can be trusted. Raises `StorageDown` and `OSError`."""
    started = time.monotonic()
    folder = _folder(chunk, file)
    stored = [one async for page in lister.list_pages(folder) for one in page]
    for one in sorted(stored, key=_newest_first):
        if not one.key.endswith(SUFFIX) or one.size_bytes > MOST_BYTES:
            continue
        try:
            packed = await storage.read(one.key)
            document = await asyncio.to_thread(decode, packed, max_bytes=MOST_JSON_BYTES)
        except (BlobMissing, ResultUnreadable) as error:
            log.warning("result left behind is of no use", job=str(file.job_id), error=repr(error)[:200])
            continue
        if document.version != engine:
            continue
        log.info("result left behind is taken", job=str(file.job_id))
        copy = scratch / f"{uuid4().hex}{SUFFIX}"
        await asyncio.to_thread(copy.write_bytes, packed)
        return _done(document, copy, time.monotonic() - started)
    return None


def _folder(chunk: TakenChunk, file: FileToRun) -> str:
    return f"p/{chunk.project_id}/r/{file.job_id}/"


def _newest_first(one: Listed) -> float:
    return -one.modified.timestamp()


def _done(document: ResultDocument, result: Path, seconds: float) -> Done:
    engine = document.engine if document.extraction is None else document.extraction.engine
    return Done(
        code=None,
        message=None,
        retryable=False,
        pages=len(document.pages),
        engine=engine,
        result=result,
        seconds=seconds,
    )
