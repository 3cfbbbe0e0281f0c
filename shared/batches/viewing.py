"""What a person looks at: a page of batches with how far each is, the failures and the files of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from shared.batches import board, explain, repository, soundings
from shared.batches.board import FailureGroup, FileFilters, FileRow
from shared.batches.repository import BatchFilters, BatchView
from shared.batches.soundings import Progress
from shared.db.unit_of_work import UnitOfWork

__all__ = [
    "BatchLook",
    "FailureGroup",
    "FileFilters",
    "FilePage",
    "FileRow",
    "failures_of",
    "files_of",
    "look_at",
    "look_at_page",
]

WINDOW: Final = 50_000
"""Files that one request looks through for a status or a part of a name."""
WINDOW_OF_FAILURES: Final = 500_000


@dataclass(frozen=True, slots=True)
class BatchLook:
    """A batch, how far it is, and why it waits."""

    batch: BatchView
    progress: Progress
    waiting: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class FilePage:
    """Some files of a batch. The next page begins after the file `after`; None: these were the last.
    `searched` is how far the list was looked through, when fewer were found than asked for and it goes on."""

    files: Sequence[FileRow]
    after: int | None
    searched: int | None


async def look_at_page(
    uow: UnitOfWork, project_id: UUID, *, filters: BatchFilters, size: int, after: UUID | None
) -> tuple[list[BatchLook], UUID | None]:
    """A page of the project's batches, newest first, and after which one the next begins. As many statements
    for a full page as for one batch."""
    page = await repository.page(uow.session, project_id, filters, size=size, after=after, count=False)
    return await _look(uow, page.items), page.next_after


async def look_at(uow: UnitOfWork, batch: BatchView) -> BatchLook:
    """One batch."""
    return (await _look(uow, [batch]))[0]


async def _look(uow: UnitOfWork, batches: Sequence[BatchView]) -> list[BatchLook]:
    if not batches:
        return []
    progresses = await soundings.progresses(uow.session, [one.id for one in batches])
    waiting = await explain.waiting_of_each(uow, batches)
    # Between two statements retention may take a batch away.
    return [
        BatchLook(one, progresses[one.id], waiting.get(one.id)) for one in batches if one.id in progresses
    ]


async def failures_of(uow: UnitOfWork, batch: BatchView) -> Sequence[FailureGroup]:
    """The failed files by code, the most frequent first."""
    return await board.failures(uow.session, batch.id)


async def files_of(
    uow: UnitOfWork, batch: BatchView, filters: FileFilters, *, total: int, after: int, size: int
) -> FilePage:
    """Files of the batch, which has `total`, in the order of its list. However few are left by the filters, a
    request looks through a window of the list, and says how far it came."""
    to = total if filters == FileFilters() else after + _window(filters)
    rows = await board.files(uow.session, batch.id, filters, after=after, to=to, size=size + 1)
    if len(rows) > size:
        return FilePage(rows[:size], rows[size - 1].seq, None)
    return FilePage(rows, to, to) if to < total else FilePage(rows, None, None)


def _window(filters: FileFilters) -> int:
    return WINDOW_OF_FAILURES if filters.of_failures else WINDOW
