"""The statements on batches of all projects, for operators and metrics."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, exists, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.batches.lifecycle import BATCH_MOVES
from shared.batches.model import Batch
from shared.db.repository import Page, newest_first
from shared.lanes.model import Lane


@dataclass(frozen=True, slots=True)
class AnyBatchFilters:
    """What a list of batches of all projects is narrowed by; None leaves a filter out. `waiting` is the code
    of what a limit refused the batch or its lane, such as PROJECT_RATE."""

    project_id: UUID | None = None
    status: str | None = None
    waiting: str | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """How many batches that are not final have one status and one reason to wait."""

    status: str
    waiting: str | None
    batches: int


async def page(
    session: AsyncSession, filters: AnyBatchFilters, *, size: int, after: UUID | None, count: bool
) -> Page[Batch]:
    """Batches, newest first."""
    rows = select(Batch).where(Batch.deleted_at.is_(None))
    if filters.project_id is not None:
        rows = rows.where(Batch.project_id == filters.project_id)
    if filters.status is not None:
        ended = filters.status in BATCH_MOVES.final
        due = Batch.wake_at.is_(None) if ended else Batch.wake_at.is_not(None)
        rows = rows.where(Batch.status == filters.status, due)
    if filters.waiting is not None:
        # What waits is not final: the index on the due time leaves the many that are out.
        of_lane = exists().where(
            Lane.project_id == Batch.project_id,
            Lane.job_type == Batch.job_type,
            Lane.wait["code"].astext == filters.waiting,
            Batch.fed_seq < Batch.total,
        )
        own = and_(Batch.status == "THROTTLED", Batch.wait["code"].astext == filters.waiting)
        rows = rows.where(Batch.wake_at.is_not(None), or_(own, of_lane))
    return await newest_first(session, rows, Batch.id, size=size, after=after, count=count)


async def get(session: AsyncSession, batch_id: UUID) -> Batch | None:
    """One batch of any project, as it is now."""
    rows = select(Batch).where(Batch.id == batch_id, Batch.deleted_at.is_(None))
    return (await session.scalars(rows, execution_options={"populate_existing": True})).one_or_none()


async def open_counts(session: AsyncSession) -> list[Open]:
    """The batches that are not final, by status and by what they wait for."""
    rows = await session.execute(
        text(
            "SELECT status, wait ->> 'code', count(*) FROM batches WHERE wake_at IS NOT NULL"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        )
    )
    return [Open(status, waiting, int(batches)) for status, waiting, batches in rows]
