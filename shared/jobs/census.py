"""The statements that count chunks: what of a lane, a batch or a queue stands where. They move nothing."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# Asked where a chunk starts, so that a hold or a stop is obeyed by the next take, whatever was granted.
MAY_START: Final = (
    "NOT c.stop AND NOT EXISTS (SELECT 1 FROM lanes l WHERE l.project_id = c.project_id"
    " AND l.job_type = c.job_type AND l.hold_until > now())"
)


@dataclass(frozen=True, slots=True)
class LaneUsage:
    """The chunks of a lane: `due` and `ahead` are READY (now, and at a later moment), `live` READY or TAKEN
    with `files` in them; `waiting` says that some ask for a grant (those of paused batches do not)."""

    due: int
    ahead: int
    live: int
    files: int
    waiting: bool


async def usage_of_lane(session: AsyncSession, project_id: UUID, job_type: str) -> LaneUsage:
    """What the lane has granted and what waits. Exact under the lane's lock: only its holder grants."""
    # clock_timestamp: now() is when this transaction began, maybe before the wait for the lock, and what a
    # rival granted meanwhile would seem to be due later.
    found = await session.execute(
        text(
            "SELECT count(*) FILTER (WHERE state = 'READY' AND due_at <= clock_timestamp()),"
            " count(*) FILTER (WHERE state = 'READY' AND due_at > clock_timestamp()),"
            " count(*), coalesce(sum(size), 0),"
            " EXISTS (SELECT 1 FROM chunks WHERE project_id = :p AND job_type = :t AND state = 'WAITING'"
            "  AND NOT paused)"
            " FROM chunks WHERE project_id = :p AND job_type = :t AND state IN ('READY', 'TAKEN')"
        ),
        {"p": project_id, "t": job_type},
    )
    return LaneUsage(*found.one())


async def wants_more(session: AsyncSession, batch_id: UUID) -> bool:
    """Has the batch files that were not granted, and none that stand ready?"""
    found = await session.execute(
        text(
            "SELECT fed_seq < total AND wake_at IS NOT NULL AND NOT EXISTS"
            " (SELECT FROM chunks WHERE batch_id = :b AND state = 'READY') FROM batches WHERE id = :b"
        ),
        {"b": batch_id},
    )
    return found.scalar_one_or_none() is True


async def live_of_batch(session: AsyncSession, batch_id: UUID) -> int:
    """How many chunks of the batch have no end, but for those that wait for its resume."""
    found = await session.execute(
        text(
            "SELECT count(*) FROM chunks WHERE batch_id = :b AND state <> 'DONE'"
            " AND NOT (state = 'WAITING' AND paused)"
        ),
        {"b": batch_id},
    )
    return int(found.scalar_one())


async def taken_of_queue(session: AsyncSession, queue: str) -> int:
    """How many chunks of the queue run now."""
    found = await session.execute(
        text("SELECT count(*) FROM chunks WHERE queue = :q AND state = 'TAKEN'"), {"q": queue}
    )
    return int(found.scalar_one())


async def next_due(session: AsyncSession, queue: str) -> float | None:
    """In how many seconds the next READY chunk of the queue may start; None when there is none."""
    found = await session.execute(
        text(
            "SELECT extract(epoch FROM min(c.due_at) - now()) FROM chunks c"
            f" WHERE c.queue = :q AND c.state = 'READY' AND {MAY_START}"
        ),
        {"q": queue},
    )
    seconds = found.scalar_one()
    return None if seconds is None else max(0.0, float(seconds))


async def bells_wanted(session: AsyncSession) -> list[tuple[str, int, int]]:
    """For each queue with due READY chunks: (queue, how many are due, how many are TAKEN)."""
    rows = await session.execute(
        text(
            "SELECT c.queue,"
            f" count(*) FILTER (WHERE c.state = 'READY' AND c.due_at <= now() AND {MAY_START}),"
            " count(*) FILTER (WHERE c.state = 'TAKEN') FROM chunks c WHERE c.state IN ('READY', 'TAKEN')"
            " GROUP BY c.queue"
        )
    )
    return [(queue, int(due), int(taken)) for queue, due, taken in rows if due]
