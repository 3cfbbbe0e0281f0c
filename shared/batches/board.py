"""The statements behind what a person looks at: the files of a batch by filters, and its failures in groups.

Each is bounded, however large the batch is: failed files have an index, and others are looked for in a window
of the list that the caller moves on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.jobs.lifecycle import JobStatus

_TAKEN: Final = (
    "EXISTS (SELECT 1 FROM chunks c WHERE c.batch_id = j.batch_id AND c.state = 'TAKEN'"
    " AND j.seq BETWEEN c.lo AND c.hi)"
)
_STATUS: Final = f"CASE WHEN j.status = 'PENDING' AND {_TAKEN} THEN 'RUNNING' ELSE j.status END"
RUNNING: Final = "RUNNING"


@dataclass(frozen=True, slots=True)
class FileFilters:
    """What the files of a batch are narrowed by; None leaves a filter out. `status` may be RUNNING, which no
    row stores; `name` is part of a name, in whatever case."""

    status: str | None = None
    code: str | None = None
    name: str | None = None

    @property
    def of_failures(self) -> bool:
        """Are only files wanted that an index finds?"""
        return self.code is not None or self.status == JobStatus.FAILED


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file of a batch. `has_result` is False where there is none, or none any more."""

    seq: int
    name: str
    status: str
    error_code: str | None
    error_message: str | None
    pages: int | None
    seconds: float | None
    reused: bool
    has_result: bool


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """The files of a batch that ended with the same code, and the first of them."""

    code: str
    files: int
    seq: int
    name: str
    message: str | None


async def files(
    session: AsyncSession, batch_id: UUID, filters: FileFilters, *, after: int, to: int, size: int
) -> Sequence[FileRow]:
    """The files with a place after `after` and not after `to` that the filters leave, at most `size`."""
    wanted, values = _narrowed(filters)
    rows = await session.execute(
        text(
            f"SELECT j.seq, j.name, {_STATUS}, j.error_code, j.error_message, j.pages, j.seconds,"
            "  j.reused_from IS NOT NULL,"
            "  j.status = 'COMPLETED' AND j.deleted_at IS NULL AND j.purged_at IS NULL"
            f" FROM jobs j WHERE j.batch_id = :b AND j.seq > :after AND j.seq <= :to{wanted}"
            " ORDER BY j.seq LIMIT :n"
        ),
        {"b": batch_id, "after": after, "to": to, "n": size} | values,
    )
    return [FileRow(*row) for row in rows]


def _narrowed(filters: FileFilters) -> tuple[str, dict[str, Any]]:
    wanted = ""
    values: dict[str, Any] = {}
    if filters.of_failures:
        wanted += " AND j.error_code IS NOT NULL"
    if filters.code is not None:
        wanted += " AND j.error_code = :code"
        values["code"] = filters.code
    if filters.name is not None:
        wanted += " AND strpos(lower(j.name), lower(:name)) > 0"
        values["name"] = filters.name
    if filters.status == RUNNING:
        wanted += f" AND j.status = 'PENDING' AND {_TAKEN}"
    elif filters.status is not None:
        not_taken = f" AND NOT {_TAKEN}" if filters.status == JobStatus.PENDING else ""
        wanted += f" AND j.status = :status{not_taken}"
        values["status"] = filters.status
    return wanted, values


async def failures(session: AsyncSession, batch_id: UUID) -> Sequence[FailureGroup]:
    """The failed files by code, the most frequent first; read from an index that has nothing else in it."""
    rows = await session.execute(
        text(
            "WITH g AS (SELECT error_code, count(*) AS files, min(seq) AS seq FROM jobs"
            "  WHERE batch_id = :b AND error_code IS NOT NULL GROUP BY error_code)"
            " SELECT g.error_code, g.files, g.seq, j.name, j.error_message FROM g"
            " JOIN jobs j ON j.batch_id = :b AND j.seq = g.seq ORDER BY g.files DESC, g.error_code"
        ),
        {"b": batch_id},
    )
    return [FailureGroup(*row) for row in rows]
