"""How far batches are and how they stand, read from their sums and few chunks, and never from their files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is, counted in files. `total` grows until the directory was read; `reused` are
    among the `completed`."""

    total: int
    unmapped: int
    pending: int
    running: int
    completed: int
    failed: int
    cancelled: int
    reused: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What a batch has in the ledger, and what its lane says, in one snapshot.

    `ready` includes chunks that may start `later`, the first of them at `ready_at`; `unfed` is files not
    granted yet; `reason` is why a chunk was last given back. `hold_reason` is None without a hold,
    `hold_until` None for one without an end.
    """

    taken: int
    expired: int
    ready: int
    later: int
    waiting: int
    ready_at: datetime | None
    reason: str | None
    unfed: int
    lane_wait: dict[str, Any] | None
    hold_reason: str | None
    hold_until: datetime | None


async def standing(session: AsyncSession, batch_id: UUID) -> Standing:
    """How the batch stands; a few hundred rows are read at most."""
    return (await standings(session, [batch_id]))[batch_id]


async def standings(session: AsyncSession, batch_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """The same for each of these batches, in one statement."""
    found = await session.execute(
        text(
            "SELECT b.id, c.taken, c.expired, c.ready, c.later, c.waiting, c.ready_at, c.reason,"
            " b.total - b.fed_seq, l.wait,"
            " CASE WHEN l.hold_until > now() THEN coalesce(l.hold_reason, 'MAINTENANCE') END,"
            " CASE WHEN l.hold_until > now() AND isfinite(l.hold_until) THEN l.hold_until END"
            " FROM batches b LEFT JOIN lanes l ON l.project_id = b.project_id AND l.job_type = b.job_type,"
            " LATERAL (SELECT count(*) FILTER (WHERE state = 'TAKEN') AS taken,"
            "  count(*) FILTER (WHERE state = 'TAKEN' AND due_at < now()) AS expired,"
            "  count(*) FILTER (WHERE state = 'READY') AS ready,"
            "  count(*) FILTER (WHERE state = 'READY' AND due_at > now()) AS later,"
            "  count(*) FILTER (WHERE state = 'WAITING') AS waiting,"
            "  min(due_at) FILTER (WHERE state = 'READY' AND due_at > now()) AS ready_at,"
            "  max(reason) FILTER (WHERE state IN ('READY', 'WAITING')) AS reason"
            "  FROM chunks WHERE batch_id = b.id AND state <> 'DONE') c"
            " WHERE b.id = ANY(CAST(:b AS uuid[]))"
        ),
        {"b": list(batch_ids)},
    )
    return {batch_id: Standing(*columns) for batch_id, *columns in found}


async def progress(session: AsyncSession, batch_id: UUID) -> Progress:
    """The sums of the batch and of its chunks in one snapshot; nothing is counted over all files."""
    return (await progresses(session, [batch_id]))[batch_id]


async def progresses(session: AsyncSession, batch_ids: Sequence[UUID]) -> dict[UUID, Progress]:
    """The same for each of these batches, in one statement."""
    rows = await session.execute(
        text(
            "SELECT b.id,"
            " extract(epoch FROM coalesce(b.finished_at, now()) - coalesce(b.started_at, b.created_at)),"
            " b.total, b.unmapped,"
            " b.total - b.unmapped - b.ok - b.failed - b.cancelled - c.ended - c.held,"
            " c.held, b.ok + c.ok, b.failed + c.failed, b.cancelled + c.cancelled, b.reused"
            " FROM batches b, LATERAL (SELECT"
            "  coalesce(sum(ok + failed + cancelled), 0) AS ended, coalesce(sum(ok), 0) AS ok,"
            "  coalesce(sum(failed), 0) AS failed, coalesce(sum(cancelled), 0) AS cancelled,"
            "  coalesce(sum(size) FILTER (WHERE state = 'TAKEN'), 0) AS held"
            "  FROM chunks WHERE batch_id = b.id) c WHERE b.id = ANY(CAST(:b AS uuid[]))"
        ),
        {"b": list(batch_ids)},
    )
    return {
        batch_id: _progress(seconds, [int(count) for count in counts]) for batch_id, seconds, *counts in rows
    }


def _progress(seconds: float, counts: Sequence[int]) -> Progress:
    total, unmapped, pending, running, completed, failed, cancelled, reused = counts
    return Progress(
        total,
        unmapped,
        max(pending, 0),
        running,
        completed,
        failed,
        cancelled,
        reused,
        float(seconds),
    )
