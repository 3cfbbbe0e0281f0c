"""The statements of a pause. The caller holds the batch since an earlier statement (protocol rule 5)."""

import json
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.batches.telling import telling
from shared.lanes.limits import Waiting, WaitingCode


async def begin(session: AsyncSession, batch_id: UUID, *, by: str) -> None:
    """The batch is granted nothing more from the commit on; `by` is whose word it was."""
    await session.execute(
        text(
            "UPDATE batches SET paused_at = now(), paused_by = :by, updated_at = now()"
            " WHERE id = :b AND wake_at IS NOT NULL"
        ),
        {"b": batch_id, "by": by},
    )


async def end(session: AsyncSession, batch_id: UUID) -> None:
    """The batch may be granted something again, and is due at once."""
    await session.execute(
        text(
            "UPDATE batches SET paused_at = NULL, paused_by = NULL, wait = NULL, updated_at = now(),"
            " status = CASE WHEN status = 'THROTTLED' THEN 'RUNNING' ELSE status END, wake_at = now()"
            " WHERE id = :b AND wake_at IS NOT NULL"
        ),
        {"b": batch_id},
    )


_THROTTLE_IF_IDLE: Final = text(
    telling(
        "UPDATE batches b SET status = 'THROTTLED', updated_at = now(), event_no = event_no + 1,"
        "  wait = CAST(:wait AS jsonb)"
        "  || jsonb_build_object('until', NULL, 'message',"
        "   'This batch was paused by ' || b.paused_by || '.')"
        " WHERE b.id = :b AND b.paused_at IS NOT NULL AND b.wake_at IS NOT NULL AND b.stop_at IS NULL"
        " AND (b.status = 'RUNNING' OR b.status = 'THROTTLED' AND b.wait->>'code' <> :code)"
        " AND (b.fed_seq < b.total OR EXISTS (SELECT 1 FROM chunks c WHERE c.batch_id = b.id"
        "  AND c.state = 'WAITING'))"
        " AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.batch_id = b.id"
        "  AND c.state IN ('READY', 'TAKEN'))",
        kind="'batch.throttled'",
    )
)


async def throttle_if_idle(session: AsyncSession, batch_id: UUID) -> None:
    """A paused batch that wants more and of which nothing runs is THROTTLED, whatever refused it before."""
    wait = Waiting(WaitingCode.PAUSED, "batch", "").as_json()
    await session.execute(
        _THROTTLE_IF_IDLE, {"b": batch_id, "wait": json.dumps(wait), "code": WaitingCode.PAUSED.value}
    )
