"""Reads what is exported: rows by short statements of their own, results a few at a time.

No transaction and no connection is held while the storage is read or the client takes its time. A result that
is not there, or is no result, is that file's own error; a storage that does not answer is asked again, and
then ends the export: the client goes on later where it was cut.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from shared.batches import service as batch_service
from shared.batches.service import ExportedFile
from shared.db.unit_of_work import UnitOfWorkFactory
from shared.jobs import result as results
from shared.jobs.lifecycle import JobStatus, JobType
from shared.jobs.result import ResultDocument, ResultUnreadable
from shared.storage.port import BlobMissing, BlobStorage, StorageDown

READ_AT_ONCE: Final = 16
MOST_PAGES_AT_ONCE: Final = 400
"""Of documents: what is read at once is held at once."""
ENOUGH_BYTES: Final = 2 << 20
"""What one visit to a thread makes, and the file that reaches it."""
AGAIN_AFTER_S: Final = (0.2, 1.0, 3.0)

GONE: Final = "RESULT_GONE"
UNREADABLE: Final = "RESULT_UNREADABLE"
MESSAGES: Final = {
    GONE: "The job was COMPLETED, and its result is no longer there.",
    UNREADABLE: "The job was COMPLETED, and its result cannot be read.",
}
M = TypeVar("M")


class ExportChanged(Exception):
    """What is being exported is not what it was when the export began; the client has to begin again."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a file that is COMPLETED has nothing to export."""

    code: str

    @property
    def message(self) -> str:
        """In words."""
        return MESSAGES[self.code]


Found = ResultDocument | Trouble | None
"""A file's result, what is wrong with it, or None when there is none to be expected."""
Make = Callable[[ExportedFile, Found], M]
_Blob = bytes | Trouble | None


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one batch and their results."""

    reading: UnitOfWorkFactory
    storage: BlobStorage
    batch_id: UUID
    kind: JobType
    files: int

    async def rows(self, first: int, last: int) -> Sequence[ExportedFile]:
        """The files from one place to another. `ExportChanged` when they are not all there."""
        async with self.reading() as uow:
            found = await batch_service.exported_files(uow, self.batch_id, first=first, last=last)
        if len(found) != last - first + 1:
            raise ExportChanged(f"files of the batch {self.batch_id} are gone")
        return found

    async def made(self, rows: Sequence[ExportedFile], make: Make[M]) -> AsyncGenerator[M]:
        """What `make` makes of each file and its result, in their order. It is called in a thread; results
        are read ahead meanwhile."""
        groups = list(_groups(rows))
        ahead = asyncio.create_task(self._blobs(groups[0])) if groups else None
        try:
            for number, group in enumerate(groups):
                assert ahead is not None
                blobs = await ahead
                following = groups[number + 1] if number + 1 < len(groups) else []
                ahead = asyncio.create_task(self._blobs(following))
                done = 0
                while done < len(group):
                    some = await asyncio.to_thread(_make_some, group[done:], blobs[done:], make)
                    done += len(some)
                    for one in some:
                        yield one
        finally:
            if ahead is not None:
                ahead.cancel()
                with suppress(asyncio.CancelledError, StorageDown):
                    await ahead

    async def _blobs(self, rows: Sequence[ExportedFile]) -> list[_Blob]:
        return list(await asyncio.gather(*(self._blob(row) for row in rows)))

    async def _blob(self, row: ExportedFile) -> _Blob:
        if row.result_key is None:
            return Trouble(GONE) if row.status == JobStatus.COMPLETED else None
        for pause in (*AGAIN_AFTER_S, None):
            try:
                return await self.storage.read(row.result_key)
            except BlobMissing:
                return Trouble(GONE)
            except StorageDown:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("the last pause is None")


def _groups(rows: Sequence[ExportedFile]) -> list[list[ExportedFile]]:
    found: list[list[ExportedFile]] = []
    pages = MOST_PAGES_AT_ONCE
    for row in rows:
        pages += row.pages or 1
        if pages > MOST_PAGES_AT_ONCE or len(found[-1]) == READ_AT_ONCE:
            found.append([])
            pages = row.pages or 1
        found[-1].append(row)
    return found


def _make_some(rows: Sequence[ExportedFile], blobs: list[_Blob], make: Make[M]) -> list[M]:
    # One after the other, and no more than is needed: a small blob may hold a large document.
    found: list[M] = []
    size = 0
    for row, blob in zip(rows, blobs, strict=True):
        found.append(_make_one(row, blob, make))
        size += len(blob) if isinstance(blob, bytes) else 0
        if size * 8 >= ENOUGH_BYTES:
            break
    return found


def _make_one(row: ExportedFile, blob: _Blob, make: Make[M]) -> M:
    if not isinstance(blob, bytes):
        return make(row, blob)
    try:
        return make(row, results.decode(blob))
    except (ResultUnreadable, ValueError, RecursionError):
        # Also what JSON can be read of and not written: not-a-number, and lists in lists in lists.
        return make(row, Trouble(UNREADABLE))
