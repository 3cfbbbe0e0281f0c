"""The statements that write down what is to be told, in the transaction of the move that is told of.

Each is one statement over all rows that moved. The same news twice is one row: the id of an event follows
from whom it is about and what happened, so a move that is repeated after a crash or a failover tells nothing
new.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.webhooks.events import BATCH_EVENT, JOB_ENDING
from shared.webhooks.model import WebhookEndpoint


def _case(column: str, names: Mapping[str, str]) -> str:
    return f"CASE {column} " + " ".join(f"WHEN '{k}' THEN '{v}'" for k, v in names.items()) + " END"


def _event_id(subject: str, name: str) -> str:
    """SQL: a UUID (version 8) that follows from the subject's id and the event's name."""
    hashed = f"left(encode(sha256(convert_to({subject} || ' ' || {name}, 'UTF8')), 'hex'), 32)"
    return f"overlay(overlay({hashed} placing '8' from 13 for 1) placing 'a' from 17 for 1)::uuid"


_INSERT: Final = (
    "INSERT INTO webhook_deliveries (project_id, endpoint_id, destination, event_id, event_type, subject_id,"
    " data) "
)
_ONCE: Final = " ON CONFLICT (endpoint_id, event_id) DO NOTHING"
_WANTED: Final = "(e.events IS NULL OR t.name = ANY(e.events))"
_OF_JOBS: Final = (
    f"{_INSERT} SELECT e.project_id, e.id, e.destination, {_event_id('j.id', 't.name')}, t.name, j.id,"
    " jsonb_build_object('id', t.shown, 'job_id', t.shown, 'status', t.status,"
    "  'project_id', 'prj-' || j.project_id, 'batch_id', 'bat-' || j.batch_id, 'error_code', j.error_code)"
    " FROM jobs j JOIN webhook_endpoints e ON e.owner_id = coalesce(j.batch_id, j.id) AND e.about = 'JOBS'"
    " CROSS JOIN LATERAL (SELECT coalesce(CAST(:as AS text), j.status) AS status) s"
    " CROSS JOIN LATERAL (SELECT s.status,"
    "  CASE j.job_type WHEN 'parse_v2' THEN 'pjb-' ELSE 'ext-' END || j.id AS shown,"
    "  split_part(j.job_type, '_', 1) || '.' || " + _case("s.status", JOB_ENDING) + " AS name) t"
    " WHERE {where} AND t.name IS NOT NULL AND " + _WANTED + " ORDER BY j.seq" + _ONCE
)
_OF_BATCH: Final = (
    f"{_INSERT} SELECT e.project_id, e.id, e.destination, {_event_id('b.id', 't.name')}, t.name, b.id,"
    " jsonb_build_object('id', 'bat-' || b.id, 'batch_id', 'bat-' || b.id, 'status', b.status,"
    "  'project_id', 'prj-' || b.project_id, 'source_directory_id', 'dir-' || b.source_directory_id,"
    "  'failure_code', CASE b.status WHEN 'FAILED' THEN b.failure_code END)"
    " FROM batches b JOIN webhook_endpoints e ON e.owner_id = b.id AND e.about = 'BATCH'"
    " CROSS JOIN LATERAL (SELECT " + _case("b.status", BATCH_EVENT) + " AS name) t"
    f" WHERE b.id = :b AND t.name IS NOT NULL AND {_WANTED}{_ONCE}"
)


async def attach(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert endpoints."""
    await session.execute(insert(WebhookEndpoint), [dict(row) for row in rows])


async def copy(session: AsyncSession, old: UUID, new: UUID, *, about: Sequence[str]) -> bool:
    """Give a batch or job the endpoints of another; answers whether there were any."""
    done = await session.execute(
        text(
            "INSERT INTO webhook_endpoints (project_id, owner_id, about, webhook_id, url, destination,"
            "  events, headers, output_format, secret)"
            " SELECT project_id, :new, about, webhook_id, url, destination, events, headers, output_format,"
            "  secret FROM webhook_endpoints WHERE owner_id = :old AND about = ANY(CAST(:about AS text[]))"
        ),
        {"old": old, "new": new, "about": list(about)},
    )
    return int(done.rowcount) > 0  # type: ignore[attr-defined]


async def tell_of_batch(session: AsyncSession, batch_id: UUID) -> None:
    """The state that the batch is in now."""
    await session.execute(text(_OF_BATCH), {"b": batch_id})


async def tell_of_jobs(session: AsyncSession, job_ids: Sequence[UUID]) -> None:
    """The states that these jobs are in now."""
    statement = _OF_JOBS.format(where="j.id = ANY(CAST(:ids AS uuid[]))")
    await session.execute(text(statement), {"ids": list(job_ids), "as": None})


async def tell_of_range(session: AsyncSession, batch_id: UUID, lo: int, hi: int) -> None:
    """The states that the files `lo` to `hi` of the batch are in now."""
    statement = _OF_JOBS.format(where="j.batch_id = :b AND j.seq BETWEEN :lo AND :hi")
    await session.execute(text(statement), {"b": batch_id, "lo": lo, "hi": hi, "as": None})


async def tell_that_run(session: AsyncSession, job_ids: Sequence[UUID]) -> None:
    """That these jobs run now; of extractions the contract has no such event."""
    where = "j.id = ANY(CAST(:ids AS uuid[])) AND j.status = 'PENDING' AND j.job_type = 'parse_v2'"
    await session.execute(text(_OF_JOBS.format(where=where)), {"ids": list(job_ids), "as": "RUNNING"})
