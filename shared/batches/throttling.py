"""The statements of a lane's decision over its batches: which want something, which may, which are refused.

The caller holds the lane, so no other dispatch decides at the same time.
"""

import json
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.batches.telling import telling
from shared.lanes.limits import Waiting

_OPEN = "project_id = :p AND job_type = :t AND wake_at IS NOT NULL AND stop_at IS NULL AND paused_at IS NULL"
AT_ONCE = 500


async def active(session: AsyncSession, project_id: UUID, job_type: str, *, most: int) -> list[UUID]:
    """The batches that may be worked on when at most `most` may: those that were granted something before,
    then the oldest."""
    rows = await session.scalars(
        text(f"SELECT id FROM batches WHERE {_OPEN} ORDER BY fed_seq > 0 DESC, id LIMIT :n"),
        {"p": project_id, "t": job_type, "n": most},
    )
    return list(rows.all())


async def hungry(
    session: AsyncSession, project_id: UUID, job_type: str, *, limit: int, among: Sequence[UUID] | None
) -> list[UUID]:
    """Batches of the lane with files that were not granted yet, the least served first."""
    rows = await session.scalars(
        text(
            f"SELECT id FROM batches WHERE {_OPEN} AND fed_seq < total"
            " AND (CAST(:among AS uuid[]) IS NULL OR id = ANY(CAST(:among AS uuid[])))"
            " ORDER BY vtime, id LIMIT :n"
        ),
        {"p": project_id, "t": job_type, "n": limit, "among": None if among is None else list(among)},
    )
    return list(rows.all())


_THROTTLE: Final = text(
    telling(
        "UPDATE batches SET status = 'THROTTLED', updated_at = now(), event_no = event_no + 1,"
        " wait = CAST(:wait AS jsonb) || jsonb_build_object('until',"
        "  now() + make_interval(secs => CAST(:until AS float8)))"
        " WHERE id IN (SELECT b.id FROM batches b WHERE b.project_id = :p AND b.job_type = :t"
        "  AND b.wake_at IS NOT NULL AND b.stop_at IS NULL AND b.paused_at IS NULL"
        "  AND (b.status = 'RUNNING' OR b.status = 'THROTTLED' AND b.wait->>'code' <> :code)"
        "  AND (CAST(:among AS uuid[]) IS NULL OR b.id = ANY(CAST(:among AS uuid[])))"
        "  AND NOT b.id = ANY(CAST(:but AS uuid[]))"
        "  AND (b.fed_seq < b.total OR EXISTS (SELECT 1 FROM chunks c WHERE c.batch_id = b.id"
        "   AND c.state = 'WAITING'))"
        "  AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.batch_id = b.id"
        "   AND c.state IN ('READY', 'TAKEN'))"
        "  ORDER BY b.id LIMIT :n FOR NO KEY UPDATE SKIP LOCKED) AND status IN ('RUNNING', 'THROTTLED')",
        kind="'batch.throttled'",
    )
)
_RELEASE: Final = text(
    telling(
        "UPDATE batches SET status = 'RUNNING', wait = NULL, updated_at = now(), event_no = event_no + 1"
        " WHERE id IN (SELECT b.id"
        "  FROM batches b WHERE b.project_id = :p AND b.job_type = :t AND b.wake_at IS NOT NULL"
        "  AND b.status = 'THROTTLED' AND b.paused_at IS NULL"
        "  AND (EXISTS (SELECT 1 FROM chunks c WHERE c.batch_id = b.id AND c.state IN ('READY', 'TAKEN'))"
        "   OR NOT CAST(:refused AS bool) AND (CAST(:active AS uuid[]) IS NULL"
        "    OR b.id = ANY(CAST(:active AS uuid[]))))"
        "  ORDER BY b.id LIMIT :n FOR NO KEY UPDATE SKIP LOCKED) AND status = 'THROTTLED'",
        kind="'batch.running'",
    )
)


async def throttle(
    session: AsyncSession,
    project_id: UUID,
    job_type: str,
    wait: Waiting,
    *,
    among: Sequence[UUID] | None = None,
    but: Sequence[UUID] = (),
) -> None:
    """Batches that want more and have nothing granted become THROTTLED, with the reason; those that were
    for another reason get this one."""
    await session.execute(
        _THROTTLE,
        {
            "p": project_id,
            "t": job_type,
            "code": wait.code.value,
            "wait": json.dumps(wait.as_json()),
            "until": wait.until_in,
            "among": None if among is None else list(among),
            "but": list(but),
            "n": AT_ONCE,
        },
    )


async def release(
    session: AsyncSession,
    project_id: UUID,
    job_type: str,
    *,
    refused: bool,
    active: Sequence[UUID] | None,
) -> None:
    """THROTTLED batches with something granted are RUNNING; and so are all whose reason is over, when the
    lane is not `refused` and they are among the `active` ones. A paused one waits for its resume. One that
    somebody holds is left to the next dispatch: the caller holds chunks already, and a batch comes before its
    chunks."""
    await session.execute(
        _RELEASE,
        {
            "p": project_id,
            "t": job_type,
            "refused": refused,
            "active": None if active is None else list(active),
            "n": AT_ONCE,
        },
    )
