"""The statements that end a batch before its files do: the stop that was asked, and the drain behind it.

The caller holds the batch's row, except in `stop`, which is one conditional UPDATE (protocol rule 16).
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.batches.orchestration import OpenBatch
from shared.batches.telling import FAILURES, bound, telling
from shared.batches.threshold import CODE, Threshold

_STOPPING: Final = "'batch.stopping'"
_STOP: Final = text(
    telling(
        "UPDATE batches SET stop_as = :e, stop_at = now(), wake_at = now(), failure_code = :c,"
        " failure_message = :m, updated_at = now(), event_no = event_no + 1"
        " WHERE id = :b AND wake_at IS NOT NULL AND stop_at IS NULL",
        kind=_STOPPING,
    )
)
_STOP_IF_HOPELESS: Final = text(
    telling(
        "UPDATE batches SET stop_as = 'FAILED', stop_at = now(), wake_at = now(), updated_at = now(),"
        " failure_code = :code, failure_message = format('%s of %s files that were worked on failed; the"
        " threshold is %s. What finished keeps its results.', failed, ok - reused + failed,"
        "  concat_ws(' or ',"
        "  fail_limit || CASE fail_limit WHEN 1 THEN ' file' ELSE ' files' END,"
        "  fail_percent || ' % of ' || fail_after || ' or more')), event_no = event_no + 1"
        " WHERE id = :b AND wake_at IS NOT NULL AND stop_at IS NULL AND (failed >= fail_limit"
        "  OR ok - reused + failed >= fail_after"
        "   AND failed * 100.0 >= fail_percent * (ok - reused + failed))",
        kind=_STOPPING,
        data=FAILURES,
    )
)


async def stop(
    session: AsyncSession, batch_id: UUID, *, end: str, code: str | None, message: str | None
) -> bool:
    """Ask the batch to end as `end`; once accepted that is its end state. False: final or asked before."""
    found = await session.execute(_STOP, {"b": batch_id, "e": end, "c": code, "m": message})
    return found.scalar_one_or_none() is True


async def stop_if_hopeless(session: AsyncSession, batch_id: UUID, failures: Sequence[Any]) -> bool:
    """Ask the batch to end FAILED when its folded sums reach its threshold; the caller has folded them, these
    `failures` among them, and holds it since. Answers whether that stopped it."""
    found = await session.execute(_STOP_IF_HOPELESS, {"b": batch_id, "code": CODE, "f": bound(failures)})
    return found.scalar_one_or_none() is True


async def set_threshold(session: AsyncSession, batch_id: UUID, threshold: Threshold | None) -> None:
    """Replace the threshold of a batch that the caller holds, and look at it at once."""
    await session.execute(
        text(
            "UPDATE batches SET fail_limit = :count, fail_percent = :percent, fail_after = :after,"
            " wake_at = now(), updated_at = now() WHERE id = :b AND wake_at IS NOT NULL"
        ),
        {"b": batch_id, **(threshold or Threshold()).columns()},
    )


async def cancel_unfed(session: AsyncSession, batch: OpenBatch, *, slice_size: int) -> int:
    """For a stopped batch: end the next slice of files that were never granted; answers how many rows
    the slice had."""
    hi = min(batch.fed_seq + slice_size, batch.total)
    if hi <= batch.fed_seq:
        return 0
    part = {"b": batch.id, "lo": batch.fed_seq, "hi": hi}
    await session.execute(
        text(
            "UPDATE jobs SET status = 'CANCELLED', finished_at = now() WHERE batch_id = :b"
            " AND seq > :lo AND seq <= :hi AND status = 'PENDING'"
        ),
        part,
    )
    # Counted by the next statement: in the same one, a job that somebody else cancels meanwhile would be
    # seen by neither half (protocol rule 5).
    await session.execute(
        text(
            "UPDATE batches SET fed_seq = :hi, updated_at = now(), cancelled = cancelled + (SELECT count(*)"
            "  FROM jobs WHERE batch_id = :b AND seq > :lo AND seq <= :hi AND status = 'CANCELLED')"
            " WHERE id = :b"
        ),
        part,
    )
    return hi - batch.fed_seq


async def recount(session: AsyncSession, batch_id: UUID) -> None:
    """Take the sums of what was granted from the jobs themselves, and drop the counts nobody folded: they
    cannot be trusted where a fold throws again and again. Files of live chunks are left to their close; those
    that were reused are counted wherever they lie, since spread.

    The caller holds the batch. One statement, so one snapshot: a chunk that closes meanwhile is live in it.
    """
    await session.execute(
        text(
            "WITH gone AS (DELETE FROM chunks WHERE batch_id = :b AND state = 'DONE'),"
            " s AS (SELECT count(*) FILTER (WHERE j.status = 'COMPLETED' AND j.reused_from IS NULL) ok,"
            "  count(*) FILTER (WHERE j.status = 'FAILED') failed,"
            "  count(*) FILTER (WHERE j.status = 'CANCELLED') cancelled"
            "  FROM jobs j JOIN batches b ON b.id = j.batch_id WHERE b.id = :b AND j.seq <= b.fed_seq"
            "  AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.batch_id = :b AND c.state <> 'DONE'"
            "   AND j.seq BETWEEN c.lo AND c.hi))"
            " UPDATE batches b SET ok = b.reused + s.ok, failed = s.failed, cancelled = s.cancelled,"
            "  updated_at = now()"
            " FROM s WHERE b.id = :b"
        ),
        {"b": batch_id},
    )
