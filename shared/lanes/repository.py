"""The statements on lanes. Whoever decides for a lane holds its row lock first."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A locked lane: its limits, and the virtual time its next chunk starts at."""

    project_id: UUID
    job_type: str
    max_files: int
    weight: float
    vtime: float


async def ensure(session: AsyncSession, project_id: UUID, job_type: str) -> None:
    """The lane exists afterwards; an existing one is not touched."""
    await session.execute(
        text("INSERT INTO lanes (project_id, job_type) VALUES (:p, :t) ON CONFLICT DO NOTHING"),
        {"p": project_id, "t": job_type},
    )


async def read(session: AsyncSession, project_id: UUID, job_type: str) -> LaneRow | None:
    """The lane without a lock."""
    return await _one(session, project_id, job_type, "")


async def lock(session: AsyncSession, project_id: UUID, job_type: str) -> LaneRow | None:
    """Wait for the lane's row and hold it to the end of the transaction."""
    return await _one(session, project_id, job_type, "FOR NO KEY UPDATE")


async def _one(session: AsyncSession, project_id: UUID, job_type: str, how: str) -> LaneRow | None:
    row = (
        await session.execute(
            text(
                "SELECT project_id, job_type, max_files, weight, vtime FROM lanes "
                f"WHERE project_id = :p AND job_type = :t {how}"
            ),
            {"p": project_id, "t": job_type},
        )
    ).one_or_none()
    return None if row is None else LaneRow(*row)


async def virtual_now(session: AsyncSession, queue: str, job_type: str) -> float:
    """The queue's virtual time: the start tag in service, or where an idle queue left off.

    Start-time fair queueing: a lane that slept may not bring the time it slept as a credit. A chunk that
    runs for long keeps an old tag, so the next one to be taken counts too.
    """
    found = await session.execute(
        text(
            "SELECT coalesce("
            " greatest((SELECT max(rank) FROM chunks WHERE queue = :q AND state = 'TAKEN'),"
            "  (SELECT min(rank) FROM chunks WHERE queue = :q AND state = 'READY')),"
            " (SELECT max(vtime) FROM lanes WHERE job_type = :t), 0)"
        ),
        {"q": queue, "t": job_type},
    )
    return float(found.scalar_one())


async def charge(session: AsyncSession, lane: LaneRow, *, vtime: float, wake_in: float | None) -> None:
    """Write back what a grant used; `wake_in` seconds from now the lane is looked at again, or never."""
    await session.execute(
        text(
            "UPDATE lanes SET vtime = :v,"
            " wake_at = now() + make_interval(secs => CAST(:w AS float8))"
            " WHERE project_id = :p AND job_type = :t"
        ),
        {"p": lane.project_id, "t": lane.job_type, "v": vtime, "w": wake_in},
    )


async def charge_one(session: AsyncSession, project_id: UUID, job_type: str, *, now: float) -> float:
    """Charge a job that came alone; answers the start tag of its chunk."""
    found = await session.execute(
        text(
            "UPDATE lanes SET vtime = greatest(vtime, CAST(:now AS float8)) + 1 / weight"
            " WHERE project_id = :p AND job_type = :t RETURNING vtime - 1 / weight"
        ),
        {"p": project_id, "t": job_type, "now": now},
    )
    return float(found.scalar_one())


async def may_ring(session: AsyncSession, project_id: UUID, job_type: str, *, spacing: float) -> bool:
    """Did this call win the right to ring the lane? At most one does every `spacing` seconds, and nobody
    waits for it: who holds the row decides for the lane right now."""
    won = await session.execute(
        text(
            "UPDATE lanes SET rung_at = now() WHERE (project_id, job_type) IN ("
            " SELECT project_id, job_type FROM lanes WHERE project_id = :p AND job_type = :t"
            " AND rung_at < now() - make_interval(secs => CAST(:s AS float8))"
            " FOR NO KEY UPDATE SKIP LOCKED) RETURNING true"
        ),
        {"p": project_id, "t": job_type, "s": spacing},
    )
    return won.scalar_one_or_none() is True


async def take_due(session: AsyncSession, *, again_in: float, limit: int) -> list[tuple[UUID, str]]:
    """Lanes whose time has come; their next look is moved before anybody is told (protocol rule 14b)."""
    rows: Any = await session.execute(
        text(
            "WITH due AS MATERIALIZED (SELECT project_id, job_type FROM lanes WHERE wake_at < now()"
            "  ORDER BY wake_at LIMIT :n FOR NO KEY UPDATE SKIP LOCKED)"
            " UPDATE lanes l SET wake_at = now() + make_interval(secs => CAST(:a AS float8) *"
            "  (0.8 + 0.4 * random())) FROM due WHERE l.project_id = due.project_id"
            "  AND l.job_type = due.job_type RETURNING l.project_id, l.job_type"
        ),
        {"a": again_in, "n": limit},
    )
    return [(row.project_id, row.job_type) for row in rows]
