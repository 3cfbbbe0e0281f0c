"""What happens to a batch, as rows that readers follow: one table, numbered by the batch's own count.

Each event is written by the statement that moves the batch, or under the lock that it holds, so that the
numbers become visible in their order (protocol rule 29). All kinds carry the same sums, and what they say of
the pace; `data` brings the rest. A batch keeps its last events only, so that many files are not many rows.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

KEPT: Final = 1_024
"""Events of a batch that a reader may be behind while it runs; up to `SLACK` more lie there."""
SLACK: Final = 128
KEPT_AFTER_END: Final = 256
OFTEN_S: Final = 0.5
"""Progress is told at most so often, except that of files that failed."""
MEMORY_S: Final = 10
"""The running rate looks back about so long."""

PROGRESS: Final = "batch.progress"
_SUMS: Final = ("total", "ok", "failed", "cancelled", "unmapped", "reused")
_STATE: Final = ("status", "wait", "stop_as", "failure_code", "failure_message", "paused_by", "spread_done")
_COLUMNS: Final = (
    "id, event_no, old.event_no AS was, old.status AS status_was, started_at,"
    f" {', '.join(_SUMS)}, {', '.join(_STATE)}"
)
_SAID_OF_B: Final = ", ".join(f"'{name}', b.{name}" for name in (*_SUMS, *_STATE))
_WORKED: Final = "(b.ok - b.reused + b.failed)"
_WORKED_THEN: Final = "((l.data->>'ok')::float8 - (l.data->>'reused')::float8 + (l.data->>'failed')::float8)"
_SINCE: Final = "greatest(extract(epoch FROM clock_timestamp() - {0})::float8, 0.001)"
# An exponential average; before the first file there is none, and the first value is the plain mean.
_RATE: Final = (
    "coalesce((l.data->>'rate')::float8 + (1 - exp(-least("
    f"{_SINCE.format('l.at')} / {MEMORY_S}, 100)))"
    f" * (greatest({_WORKED} - {_WORKED_THEN}, 0) / {_SINCE.format('l.at')} - (l.data->>'rate')::float8),"
    f" nullif({_WORKED}, 0) / {_SINCE.format('b.started_at')})"
)


def telling(update: str, *, kind: str, data: str = "NULL", answer: str = "true", final: bool = False) -> str:
    """The statement that makes the moves of `update`, an UPDATE of batches up to its RETURNING, and writes an
    event for each batch whose `event_no` it counted on.

    `kind` and `data` (jsonb or NULL) are SQL over `b`, the batch as it is now with its `status_was`; `answer`
    is what comes back for each batch that was moved, told or not.
    """
    every, keep = (1, KEPT_AFTER_END) if final else (SLACK, KEPT)
    return (
        f"WITH b AS ({update} RETURNING {_COLUMNS}),"
        " told AS (INSERT INTO batch_events (batch_id, n, at, kind, data)"
        f" SELECT b.id, b.event_no, clock_timestamp(), {kind}, jsonb_strip_nulls(jsonb_build_object("
        f"  {_SAID_OF_B}, 'rate', round(({_RATE})::numeric, 3)))"
        f"  || coalesce({data}, '{{}}'::jsonb)"
        " FROM b LEFT JOIN batch_events l ON l.batch_id = b.id AND l.n = b.was WHERE b.event_no > b.was),"
        " gone AS (DELETE FROM batch_events e USING b WHERE e.batch_id = b.id AND b.event_no > b.was"
        f"  AND b.event_no % {every} = 0 AND e.n <= b.event_no - {keep})"
        f" SELECT {answer} FROM b"
    )


_COUNT_ON: Final = "UPDATE batches SET event_no = event_no + 1 WHERE id = :b"
_GIVEN: Final = "CAST(:d AS jsonb)"
_TELL: Final = text(telling(_COUNT_ON, kind=":k", data=_GIVEN))
_TELL_END: Final = text(telling(_COUNT_ON, kind=":k", data=_GIVEN, final=True))
# Nothing new, or so soon after the last event that the next one may say it.
_NO_NEWS: Final = (
    "EXISTS (SELECT 1 FROM batch_events l WHERE l.batch_id = batches.id AND l.n = batches.event_no AND ("
    "l.data @> jsonb_build_object("
    + ", ".join(f"'{name}', {name}" for name in _SUMS)
    + f") OR l.at > clock_timestamp() - make_interval(secs => {OFTEN_S})))"
)
NEWS: Final = f"(CAST(:f AS jsonb) IS NOT NULL OR NOT {_NO_NEWS})"
"""Is there something to tell of a row of `batches` that the caller holds? `:f` are the files that failed."""
FAILURES: Final = (
    "CASE WHEN CAST(:f AS jsonb) IS NOT NULL THEN jsonb_build_object('failures', CAST(:f AS jsonb)) END"
)
_NOTE: Final = text(
    telling(
        f"UPDATE batches SET event_no = event_no + 1 WHERE id = :b AND wake_at IS NOT NULL AND {NEWS}",
        kind=f"'{PROGRESS}'",
        data=FAILURES,
    )
)


async def tell(session: AsyncSession, batch_id: UUID, kind: str, data: Mapping[str, Any]) -> None:
    """The batch's next event, with its sums beside `data`."""
    await session.execute(_TELL, {"b": batch_id, "k": kind, "d": json.dumps(data)})


async def tell_end(session: AsyncSession, batch_id: UUID, kind: str, data: Mapping[str, Any]) -> None:
    """The last event of a batch; most of what was told before goes with it."""
    await session.execute(_TELL_END, {"b": batch_id, "k": kind, "d": json.dumps(data)})


async def tell_progress(session: AsyncSession, batch_id: UUID, failures: Sequence[Any] = ()) -> None:
    """How far the batch is, where that is news; at most twice a second, or when files failed. The caller
    holds the batch."""
    await session.execute(_NOTE, {"b": batch_id, "f": bound(failures)})


def bound(failures: Sequence[Any]) -> str | None:
    """Failures as the parameter `:f` of a statement."""
    return json.dumps(failures) if failures else None
