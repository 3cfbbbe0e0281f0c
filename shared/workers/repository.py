"""The statements on worker rows and sweep marks."""

from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.workers.model import Worker


async def add(session: AsyncSession, worker: Worker) -> None:
    """A worker, seen now; one that is there already is only seen."""
    names = ("id", "queues", "slots", "side_by_side", "version", "engine", "host", "pid")
    await session.execute(
        insert(Worker)
        .values({name: getattr(worker, name) for name in names})
        .on_conflict_do_update(index_elements=["id"], set_={"seen_at": text("now()")})
    )


async def seen(session: AsyncSession, worker_id: UUID) -> bool | None:
    """Mark it alive; answers its drain flag, or None when the row is gone."""
    # Losing a heartbeat costs nothing, so it need not wait for the disk (protocol rule 49). Set on the way:
    # it comes from every process every few seconds, and a SET of its own would be one question more.
    found = await session.execute(
        text(
            "UPDATE workers SET seen_at = now()"
            " FROM (SELECT set_config('synchronous_commit', 'off', true)) AS quick"
            " WHERE id = :w RETURNING drain"
        ),
        {"w": worker_id},
    )
    return found.scalar_one_or_none()


async def remove(session: AsyncSession, worker_id: UUID) -> None:
    """It left in order."""
    await session.execute(delete(Worker).where(Worker.id == worker_id))


async def remove_silent(session: AsyncSession, *, after_s: float) -> int:
    """Forget workers that were not seen for `after_s` seconds; answers how many."""
    gone = await session.execute(
        text("DELETE FROM workers WHERE seen_at < now() - make_interval(secs => CAST(:s AS float8))"),
        {"s": after_s},
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]


async def slots(session: AsyncSession, queue: str, *, fresh_s: float) -> int:
    """Slots of living, undrained workers on this queue; of extract work each slot takes several."""
    found = await session.execute(
        text(
            "SELECT coalesce(sum(slots * CASE WHEN :q = 'extract' THEN side_by_side ELSE 1 END), 0)"
            " FROM workers WHERE :q = ANY(queues) AND NOT drain"
            " AND seen_at > now() - make_interval(secs => CAST(:s AS float8))"
        ),
        {"q": queue, "s": fresh_s},
    )
    return int(found.scalar_one())


async def engines(session: AsyncSession, queue: str, *, fresh_s: float) -> set[str | None]:
    """What the living, undrained workers of the queue read documents with, each version once."""
    found = await session.scalars(
        text(
            "SELECT DISTINCT engine FROM workers WHERE :q = ANY(queues) AND NOT drain"
            " AND seen_at > now() - make_interval(secs => CAST(:s AS float8))"
        ),
        {"q": queue, "s": fresh_s},
    )
    return set(found.all())


async def open_sweep(session: AsyncSession, name: str) -> float | None:
    """Seconds since this sweep last went well; None when another process sweeps right now.

    The mark's row lock is held to the end of the transaction: one sweeper at a time. The mark is set anew,
    which holds only if the transaction does.
    """
    gap = await _marked(session, name)
    if gap is None:
        await session.execute(
            text("INSERT INTO sweeps (name) VALUES (:n) ON CONFLICT DO NOTHING"), {"n": name}
        )
        gap = await _marked(session, name)
    return gap


async def _marked(session: AsyncSession, name: str) -> float | None:
    found = await session.execute(
        text(
            "UPDATE sweeps s SET last_ok_at = clock_timestamp() FROM (SELECT name, last_ok_at FROM sweeps"
            "  WHERE name = :n FOR NO KEY UPDATE SKIP LOCKED) before WHERE s.name = before.name"
            " RETURNING extract(epoch FROM clock_timestamp() - before.last_ok_at)"
        ),
        {"n": name},
    )
    gap = found.scalar_one_or_none()
    return None if gap is None else float(gap)


async def mark_sweep(session: AsyncSession, name: str) -> None:
    """This sweep went well, now."""
    await session.execute(
        text("UPDATE sweeps SET last_ok_at = clock_timestamp() WHERE name = :n"), {"n": name}
    )
