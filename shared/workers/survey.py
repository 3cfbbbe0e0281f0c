"""The statements on workers, sweeps and tallies that operators and metrics read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.repository import Page, newest_first
from shared.workers.model import Worker


@dataclass(frozen=True, slots=True)
class HeldChunk:
    """A chunk in a worker's hands."""

    worker_id: UUID
    chunk_id: int
    batch_id: UUID | None
    job_id: UUID | None
    lease_ends_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """What workers brought to an end of one type since the database was made."""

    job_type: str
    status: str
    jobs: int
    seconds: float


async def page(
    session: AsyncSession, *, queue: str | None, size: int, after: UUID | None, count: bool
) -> Page[Worker]:
    """Worker rows by falling id."""
    rows = select(Worker)
    if queue is not None:
        rows = rows.where(Worker.queues.contains([queue]))
    return await newest_first(session, rows, Worker.id, size=size, after=after, count=count)


async def get(session: AsyncSession, worker_id: UUID) -> Worker | None:
    """One worker's row."""
    return await session.get(Worker, worker_id, populate_existing=True)


async def silence_of(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, float]:
    """Seconds since each was seen, by the database's clock."""
    rows = await session.execute(
        text(
            "SELECT id, extract(epoch FROM clock_timestamp() - seen_at) FROM workers"
            " WHERE id = ANY(CAST(:ids AS uuid[]))"
        ),
        {"ids": list(ids)},
    )
    return {worker_id: float(seconds) for worker_id, seconds in rows}


async def held_by(session: AsyncSession, ids: Sequence[UUID]) -> list[HeldChunk]:
    """The chunks in these workers' hands."""
    rows = await session.execute(
        text(
            "SELECT worker_id, id, batch_id, job_id, due_at FROM chunks"
            " WHERE state = 'TAKEN' AND worker_id = ANY(CAST(:ids AS uuid[])) ORDER BY id"
        ),
        {"ids": list(ids)},
    )
    return [HeldChunk(*row) for row in rows]


async def set_drain(session: AsyncSession, worker_id: UUID, *, drain: bool) -> bool:
    """Write the flag that the worker reads at its next heartbeat. False: there is no such worker."""
    done = await session.execute(
        text("UPDATE workers SET drain = :d WHERE id = :w RETURNING true"), {"w": worker_id, "d": drain}
    )
    return done.scalar_one_or_none() is True


async def slots_by_queue(session: AsyncSession, *, fresh_s: float) -> dict[str, int]:
    """Slots of living workers that take chunks, for each queue; of extract work each slot takes several."""
    rows = await session.execute(
        text(
            "SELECT q, sum(slots * CASE WHEN q = 'extract' THEN side_by_side ELSE 1 END)"
            " FROM workers, unnest(queues) q WHERE NOT drain"
            " AND seen_at > now() - make_interval(secs => CAST(:s AS float8)) GROUP BY q"
        ),
        {"s": fresh_s},
    )
    return {queue: int(slots) for queue, slots in rows}


async def count_alive(session: AsyncSession, *, fresh_s: float) -> tuple[int, int]:
    """Living worker processes: (all, those that drain)."""
    row = await session.execute(
        text(
            "SELECT count(*), count(*) FILTER (WHERE drain) FROM workers"
            " WHERE seen_at > now() - make_interval(secs => CAST(:s AS float8))"
        ),
        {"s": fresh_s},
    )
    alive, drained = row.one()
    return int(alive), int(drained)


async def sweep_gaps(session: AsyncSession) -> dict[str, float]:
    """Seconds since each sweep last went well."""
    rows = await session.execute(
        text("SELECT name, extract(epoch FROM clock_timestamp() - last_ok_at) FROM sweeps")
    )
    return {name: max(float(gap), 0.0) for name, gap in rows}


async def ended(session: AsyncSession) -> list[Ended]:
    """The tallies, by type and status."""
    rows = await session.execute(
        text("SELECT job_type, status, jobs, seconds FROM tallies ORDER BY job_type, status")
    )
    return [Ended(*row) for row in rows]


async def add_ended(session: AsyncSession, more: Sequence[Ended]) -> None:
    """Add to the tallies. Rows are touched in one order, so that two processes never wait in a circle; a
    process that is paused with a row in its hands costs the others half a second."""
    await session.execute(text("SET LOCAL synchronous_commit = off"))
    await session.execute(text("SET LOCAL lock_timeout = '500ms'"))
    await session.execute(
        text(
            "INSERT INTO tallies (job_type, status, jobs, seconds)"
            " SELECT * FROM unnest(CAST(:types AS text[]), CAST(:statuses AS text[]),"
            "  CAST(:jobs AS bigint[]), CAST(:seconds AS float8[])) u(t, s, j, x) ORDER BY t, s"
            " ON CONFLICT (job_type, status) DO UPDATE SET jobs = tallies.jobs + excluded.jobs,"
            "  seconds = tallies.seconds + excluded.seconds"
        ),
        {
            "types": [one.job_type for one in more],
            "statuses": [one.status for one in more],
            "jobs": [one.jobs for one in more],
            "seconds": [one.seconds for one in more],
        },
    )
