"""The statements on lanes. Whoever decides for a lane holds its row lock first."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.lanes.budget import Terms
from shared.lanes.limits import Hold, LaneLimits, Waiting
from shared.lanes.model import Lane


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A locked lane: its limits, the virtual times of its next chunk and of its queue, and that with which a
    batch comes into it."""

    project_id: UUID
    job_type: str
    max_batches: int | None
    weight: float
    vtime: float
    entry: float
    terms: Terms
    virtual_now: float = 0.0


async def ensure(session: AsyncSession, project_id: UUID, job_type: str) -> None:
    """The lane exists afterwards; an existing one is not touched."""
    await session.execute(
        text("INSERT INTO lanes (project_id, job_type) VALUES (:p, :t) ON CONFLICT DO NOTHING"),
        {"p": project_id, "t": job_type},
    )


async def read(session: AsyncSession, project_id: UUID, job_type: str) -> Lane | None:
    """The lane without a lock, as it is now."""
    found = await session.scalars(
        select(Lane).where(Lane.project_id == project_id, Lane.job_type == job_type),
        execution_options={"populate_existing": True},
    )
    return found.one_or_none()


async def hold_of(session: AsyncSession, project_id: UUID, job_type: str) -> Hold | None:
    """The hold in force now; None when there is none, or it is over."""
    row = (
        await session.execute(
            text(
                "SELECT hold_reason, CASE WHEN isfinite(hold_until) THEN hold_until END FROM lanes"
                " WHERE project_id = :p AND job_type = :t AND hold_until > now()"
            ),
            {"p": project_id, "t": job_type},
        )
    ).one_or_none()
    return None if row is None else Hold(row[0] or "", row[1])


async def lock(session: AsyncSession, project_id: UUID, job_type: str) -> LaneRow | None:
    """Wait for the lane's row and hold it to the end of the transaction."""
    row = (
        await session.execute(
            text(
                "SELECT project_id, job_type, max_batches, weight, vtime, entry_vtime,"
                " jobs_per_minute, burst, max_jobs,"
                " CASE WHEN hold_until > now() THEN extract(epoch FROM hold_until - now()) END,"
                " hold_reason, extract(epoch FROM greatest(tat, now()) - now())"
                " FROM lanes WHERE project_id = :p AND job_type = :t FOR NO KEY UPDATE"
            ),
            {"p": project_id, "t": job_type},
        )
    ).one_or_none()
    if row is None:
        return None
    (
        project,
        kind,
        max_batches,
        weight,
        vtime,
        entry,
        per_minute,
        burst,
        max_jobs,
        held_for,
        reason,
        tat_in,
    ) = row
    terms = Terms(
        jobs_per_minute=per_minute,
        burst=burst,
        max_jobs=max_jobs,
        held_for=None if held_for is None else float(held_for),
        hold_reason=reason,
        tat_in=float(tat_in),
    )
    return LaneRow(project, kind, max_batches, weight, vtime, entry, terms)


async def set_limits(
    session: AsyncSession, project_id: UUID, job_type: str, limits: LaneLimits, *, restart_rate: bool
) -> None:
    """Replace the limits of a lane that the caller has locked; it is due at once."""
    hold = limits.hold
    await session.execute(
        text(
            "UPDATE lanes SET jobs_per_minute = :jpm, burst = :burst, max_jobs = :jobs,"
            " max_batches = :batches, max_files = :files, weight = :weight,"
            " hold_until = CASE WHEN CAST(:held AS bool)"
            "  THEN coalesce(CAST(:until AS timestamptz), 'infinity') END,"
            " hold_reason = :reason, wake_at = now(), tat = CASE WHEN :restart THEN now() ELSE tat END"
            " WHERE project_id = :p AND job_type = :t"
        ),
        {
            "p": project_id,
            "t": job_type,
            "jpm": limits.jobs_per_minute,
            "burst": limits.burst,
            "jobs": limits.max_jobs,
            "batches": limits.max_batches,
            "files": limits.max_files,
            "weight": limits.weight,
            "held": hold is not None,
            "until": hold.until if hold else None,
            "reason": hold.reason if hold else None,
            "restart": restart_rate,
        },
    )


async def lengthen_hold(
    session: AsyncSession, project_id: UUID, job_type: str, *, reason: str, seconds: float
) -> bool:
    """Hold the lane for so long, unless it is held for longer already. Answers whether the hold is new."""
    won = await session.execute(
        text(
            "UPDATE lanes SET hold_reason = :r,"
            " hold_until = now() + make_interval(secs => CAST(:s AS float8))"
            " WHERE project_id = :p AND job_type = :t AND (hold_until IS NULL"
            "  OR hold_until < now() + make_interval(secs => CAST(:s AS float8))) RETURNING true"
        ),
        {"p": project_id, "t": job_type, "r": reason, "s": seconds},
    )
    return won.scalar_one_or_none() is True


async def look_in(session: AsyncSession, project_id: UUID, job_type: str, *, seconds: float) -> None:
    """The lane is looked at in so many seconds, or sooner. Its row stays locked, so that no dispatch that
    has not seen what the caller is about to do takes this back."""
    await session.execute(
        text(
            "UPDATE lanes SET wake_at = least(coalesce(wake_at, 'infinity'),"
            " now() + make_interval(secs => CAST(:s AS float8))) WHERE project_id = :p AND job_type = :t"
        ),
        {"p": project_id, "t": job_type, "s": seconds},
    )


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


async def charge(
    session: AsyncSession,
    lane: LaneRow,
    *,
    vtime: float,
    entry: float,
    tat_in: float,
    wait: Waiting | None,
    wake_in: float | None,
) -> None:
    """Write back what a dispatch used and refused; in `wake_in` seconds the lane is looked at again, or
    never."""
    await session.execute(
        text(
            "UPDATE lanes SET vtime = :v, entry_vtime = :e, rung_at = '-infinity',"
            " tat = CASE WHEN jobs_per_minute IS NULL THEN tat"
            "  ELSE now() + make_interval(secs => CAST(:tat AS float8)) END,"
            " wake_at = now() + make_interval(secs => CAST(:w AS float8)),"
            " wait = CAST(:wait AS jsonb) || jsonb_build_object('until',"
            "  now() + make_interval(secs => CAST(:until AS float8)))"
            " WHERE project_id = :p AND job_type = :t"
        ),
        {
            "p": lane.project_id,
            "t": lane.job_type,
            "v": vtime,
            "e": entry,
            "tat": tat_in,
            "w": wake_in,
            "wait": None if wait is None else json.dumps(wait.as_json()),
            "until": None if wait is None else wait.until_in,
        },
    )


async def charge_one(
    session: AsyncSession, project_id: UUID, job_type: str, *, now: float
) -> tuple[float, bool]:
    """Charge a job that came alone; answers the start tag of its chunk, and whether the lane has limits that
    a dispatch must ask first: then the lane is due."""
    found = await session.execute(
        text(
            "UPDATE lanes SET vtime = greatest(vtime, CAST(:now AS float8)) + 1 / weight,"
            " wake_at = CASE WHEN jobs_per_minute IS NOT NULL OR max_jobs IS NOT NULL OR hold_until > now()"
            "  THEN least(coalesce(wake_at, 'infinity'), now() + interval '1 s') ELSE wake_at END"
            " WHERE project_id = :p AND job_type = :t RETURNING vtime - 1 / weight,"
            " jobs_per_minute IS NOT NULL OR max_jobs IS NOT NULL OR coalesce(hold_until > now(), false)"
        ),
        {"p": project_id, "t": job_type, "now": now},
    )
    rank, limited = found.one()
    return float(rank), bool(limited)


async def may_ring(
    session: AsyncSession, project_id: UUID, job_type: str, *, patience: float, only_waiting: bool
) -> bool:
    """Is a bell to the lane needed? One is out at a time: a dispatch clears the mark when it commits, and a
    bell that was not heard for `patience` seconds counts as lost.

    While somebody holds the row it is always needed: a dispatch may have read before the caller committed.
    With `only_waiting`, a lane whose last dispatch refused nothing needs none.
    """
    row = (
        await session.execute(
            text(
                "SELECT rung_at < now() - make_interval(secs => CAST(:s AS float8)), wait IS NOT NULL"
                " FROM lanes WHERE project_id = :p AND job_type = :t FOR NO KEY UPDATE SKIP LOCKED"
            ),
            {"p": project_id, "t": job_type, "s": patience},
        )
    ).one_or_none()
    if row is None:
        return True
    none_out, waiting = row
    if not none_out or (only_waiting and not waiting):
        return False
    await session.execute(
        text("UPDATE lanes SET rung_at = now() WHERE project_id = :p AND job_type = :t"),
        {"p": project_id, "t": job_type},
    )
    return True


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
