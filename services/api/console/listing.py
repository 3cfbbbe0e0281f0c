"""The files of a batch by filters, as an address asks for them."""

from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Depends, Query

from shared.batches import viewing
from shared.batches.service import BatchView
from shared.batches.viewing import FileFilters, FilePage
from shared.db.unit_of_work import UnitOfWork
from shared.jobs.lifecycle import JobStatus

SIZE: Final = 50
RUNNING: Final = "RUNNING"
STATUSES: Final = (
    *[status.value for status in JobStatus if status is not JobStatus.UNMAPPED],
    RUNNING,
    "UNMAPPED",
)
LARGEST_PLACE: Final = 2**31 - 1 - viewing.WINDOW_OF_FAILURES


@dataclass(frozen=True, slots=True)
class Asked:
    """Which files, and after which place of the list."""

    filters: FileFilters
    after: int

    def query(self, after: int | None = None) -> str:
        """The same filters, and another place, as they stand in an address; empty without any."""
        named = {
            "status": self.filters.status,
            "code": self.filters.code,
            "name": self.filters.name,
            "after": after or None,
        }
        return urlencode({name: value for name, value in named.items() if value is not None})


async def asked_of(
    status: Annotated[str | None, Query(max_length=20)] = None,
    code: Annotated[str | None, Query(max_length=80)] = None,
    name: Annotated[str | None, Query(max_length=500)] = None,
    after: Annotated[int, Query(ge=0, le=LARGEST_PLACE)] = 0,
) -> Asked:
    """What an address asks for; a status that there is not is one that no file has."""
    return Asked(FileFilters(status, code, name), after)


ListAsk = Annotated[Asked, Depends(asked_of)]


@dataclass(frozen=True, slots=True)
class Listed:
    """The files, and what was asked for."""

    asked: Asked
    page: FilePage
    total: int

    @property
    def statuses(self) -> tuple[str, ...]:
        """What may be chosen."""
        return STATUSES


async def list_files(uow: UnitOfWork, batch: BatchView, asked: Asked, *, total: int) -> Listed:
    """The page of files that is asked for."""
    found = await viewing.files_of(uow, batch, asked.filters, total=total, after=asked.after, size=SIZE)
    return Listed(asked, found, total)
