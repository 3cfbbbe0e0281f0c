"""The statements on batches that requests need: open, read, list, results."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Select, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.batches.lifecycle import BATCH_MOVES
from shared.batches.model import Batch
from shared.batches.threshold import Threshold
from shared.db.reader import Reader
from shared.db.repository import Page, count_of, ids_born


@dataclass(frozen=True, slots=True)
class BatchFilters:
    """What a list of batches is narrowed by; times are inclusive, None leaves a filter out."""

    created_at_on_or_after: datetime | None = None
    created_at_on_or_before: datetime | None = None
    source_directory_id: UUID | None = None
    status: str | None = None


class BatchView(NamedTuple):
    """What readers need of a batch: its columns without the configuration, which may be large."""

    id: UUID
    project_id: UUID
    source_directory_id: UUID
    job_type: str
    configuration_id: str
    status: str
    created_at: datetime
    updated_at: datetime
    failure_code: str | None
    failure_message: str | None
    fail_limit: int | None
    fail_percent: float | None
    fail_after: int | None
    paused_at: datetime | None
    paused_by: str | None
    redrive_of: UUID | None
    stop_at: datetime | None
    spread_done: bool
    total: int
    wait: dict[str, Any] | None


_TABLE: Final = Batch.__table__.c
_VIEWED: Final = [_TABLE[name] for name in BatchView._fields]
_READ: Final = (
    f"SELECT {', '.join(BatchView._fields)} FROM batches WHERE project_id = $1 AND deleted_at IS NULL"
)
_VIEW_ONE: Final = select(*_VIEWED).where(
    _TABLE.project_id == bindparam("p"), _TABLE.id == bindparam("b"), _TABLE.deleted_at.is_(None)
)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One source file of a batch and what became of it. `job_id` is None for a file without a job,
    `result_key` where there is no result, or it was taken away."""

    seq: int
    directory_file_id: UUID
    external_file_id: str | None
    name: str
    job_id: UUID | None
    status: str
    error_code: str | None
    error_message: str | None
    pages: int | None
    seconds: float | None
    reused: bool
    result_key: str | None


async def too_many_files(session: AsyncSession, directory_id: UUID, cap: int) -> bool:
    """Does the directory hold more than `cap` files?

    Positions are unique, so their span tells at once of most directories that it does not. Else at most
    `cap + 1` index entries are read, and rows only where there are so many, of which some were deleted.
    """
    found = await session.execute(
        text(
            "SELECT CASE"
            " WHEN (SELECT max(pos) - min(pos) FROM directory_files WHERE directory_id = :d)"
            "  < CAST(:cap AS bigint) THEN false"
            " WHEN NOT EXISTS (SELECT FROM directory_files WHERE directory_id = :d"
            "  ORDER BY pos OFFSET :cap LIMIT 1) THEN false"
            " ELSE EXISTS (SELECT FROM directory_files WHERE directory_id = :d AND deleted_at IS NULL"
            "  ORDER BY pos OFFSET :cap LIMIT 1) END"
        ),
        {"d": directory_id, "cap": cap},
    )
    return bool(found.scalar_one())


async def reads(session: AsyncSession, directory_id: UUID) -> UUID | None:
    """A batch over the directory that is not final, if there is one."""
    found = await session.execute(
        text("SELECT id FROM batches WHERE source_directory_id = :d AND wake_at IS NOT NULL LIMIT 1"),
        {"d": directory_id},
    )
    return found.scalar_one_or_none()


async def add(
    session: AsyncSession,
    *,
    project_id: UUID,
    directory_id: UUID,
    job_type: str,
    configuration_id: str,
    parameters: dict[str, Any],
    threshold: Threshold | None = None,
) -> Batch:
    """Insert a PENDING batch. Its file list is what was acknowledged before this statement, and its
    virtual time starts where the lane's least served batch stands."""
    made = await session.execute(
        text(
            "INSERT INTO batches (project_id, source_directory_id, job_type, configuration_id, config,"
            "  fail_limit, fail_percent, fail_after, last_pos, vtime)"
            " SELECT :p, :d, :t, :cid, CAST(:config AS jsonb), :count, :percent, :after,"
            "  coalesce((SELECT max(pos) FROM directory_files WHERE directory_id = :d), 0),"
            "  coalesce((SELECT min(vtime) FROM batches WHERE project_id = :p AND job_type = :t"
            "    AND wake_at IS NOT NULL), 0)"
            " RETURNING id"
        ),
        {
            "p": project_id,
            "d": directory_id,
            "t": job_type,
            "cid": configuration_id,
            "config": json.dumps({"parameters": parameters}),
            **(threshold or Threshold()).columns(),
        },
    )
    found = await session.scalars(select(Batch).where(Batch.id == made.scalar_one()))
    return found.one()


async def get(session: AsyncSession, project_id: UUID, batch_id: UUID) -> Batch | None:
    """A batch of this project."""
    rows = select(Batch).where(
        Batch.project_id == project_id, Batch.id == batch_id, Batch.deleted_at.is_(None)
    )
    return (await session.scalars(rows)).one_or_none()


async def view(session: AsyncSession, project_id: UUID, batch_id: UUID) -> BatchView | None:
    """The same as readers see it: one statement that is not put together anew, and no entity."""
    found = await session.execute(_VIEW_ONE, {"p": project_id, "b": batch_id})
    row = found.one_or_none()
    return None if row is None else BatchView._make(row)


async def read(reader: Reader, project_id: UUID, batch_id: UUID) -> BatchView | None:
    """The same, by the driver."""
    found = await reader.fetch(f"{_READ} AND id = $2", project_id, batch_id)
    return BatchView._make(found[0]) if found else None


async def read_page(reader: Reader, project_id: UUID, *, size: int, after: UUID | None) -> Page[BatchView]:
    """A page without filters, by the driver."""
    if after is None:
        found = await reader.fetch(f"{_READ} ORDER BY id DESC LIMIT $2", project_id, size + 1)
    else:
        found = await reader.fetch(
            f"{_READ} AND id < $3 ORDER BY id DESC LIMIT $2", project_id, size + 1, after
        )
    items = [BatchView._make(row) for row in found[:size]]
    return Page(items, items[-1].id if len(found) > size else None)


async def reread(session: AsyncSession, batch: Batch) -> Batch:
    """The same row as it is now."""
    await session.refresh(batch)
    return batch


async def page(
    session: AsyncSession,
    project_id: UUID,
    filters: BatchFilters,
    *,
    size: int,
    after: UUID | None,
    count: bool,
) -> Page[BatchView]:
    """One page of batches, newest first."""
    rows = _filtered(project_id, filters)
    total = await count_of(session, rows) if count else None
    if after is not None:
        rows = rows.where(_TABLE.id < after)
    found = (await session.execute(rows.order_by(_TABLE.id.desc()).limit(size + 1))).all()
    items = [BatchView._make(row) for row in found[:size]]
    return Page(items, items[-1].id if len(found) > size else None, total)


def _filtered(project_id: UUID, filters: BatchFilters) -> Select[Any]:
    rows = select(*_VIEWED).where(_TABLE.project_id == project_id, _TABLE.deleted_at.is_(None))
    first, last = ids_born(filters.created_at_on_or_after, filters.created_at_on_or_before)
    if first is not None:
        rows = rows.where(_TABLE.created_at >= filters.created_at_on_or_after, _TABLE.id >= first)
    if last is not None:
        rows = rows.where(_TABLE.created_at <= filters.created_at_on_or_before, _TABLE.id <= last)
    if filters.source_directory_id is not None:
        rows = rows.where(_TABLE.source_directory_id == filters.source_directory_id)
    if filters.status is not None:
        # Each half has an index: those that ended, and those with a due time, which are few.
        ended = filters.status in BATCH_MOVES.final
        due = _TABLE.wake_at.is_(None) if ended else _TABLE.wake_at.is_not(None)
        rows = rows.where(_TABLE.status == filters.status, due)
    return rows


async def results(
    session: AsyncSession,
    batch_id: UUID,
    *,
    after_seq: int,
    size: int,
    job_ids: Sequence[UUID] | None = None,
) -> Sequence[BatchResult]:
    """The files with a place after `after_seq`, in the order of the directory, at most `size`; of these jobs
    only when `job_ids` are given."""
    # Two statements: one that serves both would walk the whole batch for a few ids.
    narrowed = "" if job_ids is None else " AND j.id = ANY(:ids) AND j.status <> 'UNMAPPED'"
    rows = await session.execute(
        text(
            "SELECT j.seq, j.directory_file_id, d.external_file_id, j.name,"
            "  CASE WHEN j.status = 'UNMAPPED' THEN NULL ELSE j.id END,"
            "  CASE WHEN j.status = 'PENDING' AND EXISTS (SELECT 1 FROM chunks c"
            "    WHERE c.batch_id = j.batch_id AND c.state = 'TAKEN' AND j.seq BETWEEN c.lo AND c.hi)"
            "   THEN 'RUNNING' ELSE j.status END,"
            "  j.error_code, j.error_message, j.pages, j.seconds, j.reused_from IS NOT NULL,"
            "  CASE WHEN j.status = 'COMPLETED' AND j.deleted_at IS NULL AND j.purged_at IS NULL"
            "   THEN j.result_key END"
            # The source may be gone by the project's retention; what became of it is still told.
            " FROM jobs j LEFT JOIN directory_files d ON d.id = j.directory_file_id"
            f" WHERE j.batch_id = :b AND j.seq > :after{narrowed} ORDER BY j.seq LIMIT :n"
        ),
        {"b": batch_id, "after": after_seq, "n": size} | ({} if job_ids is None else {"ids": job_ids}),
    )
    return [BatchResult(*row) for row in rows]
