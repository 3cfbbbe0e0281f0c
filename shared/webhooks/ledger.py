"""The statements that take deliveries, settle them, and remove old ones: take, commit, talk, settle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.reader import Reader


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery in our hands: `token` is the fence, `attempts` counts this try. `secret` is sealed."""

    id: UUID
    token: UUID
    project_id: UUID
    destination: UUID
    event_id: UUID
    event_type: str
    data: dict[str, Any]
    created_at: datetime
    attempts: int
    url: str
    headers: dict[str, str] | None
    output_format: str
    secret: bytes | None


@dataclass(frozen=True, slots=True)
class End:
    """How a try ended. `status` is SENT, DEAD, or PENDING with `after` seconds to the next try."""

    id: UUID
    token: UUID
    status: str
    after: float
    code: int | None
    error: str | None
    answer: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Room:
    """How many may be taken: `all` in sum, of one destination `each` or what `destinations` says, of one
    project `per_project` less what `projects` says are in hand."""

    all: int
    each: int
    per_project: int
    destinations: Mapping[UUID, int]
    projects: Mapping[UUID, int]


# The destinations that have something pending, by hops over the index: few, whatever waits for each.
_DESTINATIONS = (
    "WITH RECURSIVE d AS ((SELECT destination FROM webhook_deliveries WHERE due_at IS NOT NULL"
    "   ORDER BY destination LIMIT 1)"
    "  UNION ALL SELECT (SELECT w.destination FROM webhook_deliveries w WHERE w.due_at IS NOT NULL"
    "   AND w.destination > d.destination ORDER BY w.destination LIMIT 1) FROM d"
    "   WHERE d.destination IS NOT NULL)"
)
_IS_ANYTHING_DUE = _DESTINATIONS + (  # noqa: S608 - constants
    " SELECT EXISTS (SELECT FROM d CROSS JOIN LATERAL (SELECT FROM webhook_deliveries w"
    "  WHERE w.destination = d.destination AND w.due_at <= now() LIMIT 1) x)"
)
_TAKE = _DESTINATIONS + (  # noqa: S608 - constants
    ", found AS MATERIALIZED (SELECT x.id, x.due_at, x.project_id FROM d"
    "  LEFT JOIN unnest(CAST(:destinations AS uuid[]), CAST(:free AS int[])) AS b(destination, free)"
    "   ON b.destination = d.destination"
    "  CROSS JOIN LATERAL (SELECT w.id, w.due_at, w.project_id FROM webhook_deliveries w"
    "   WHERE w.destination = d.destination AND w.due_at <= now() ORDER BY w.due_at, w.id"
    "   LIMIT coalesce(b.free, :each) FOR UPDATE SKIP LOCKED) x WHERE d.destination IS NOT NULL),"
    " placed AS (SELECT f.id, f.due_at, coalesce(p.busy, 0)"
    "   + row_number() OVER (PARTITION BY f.project_id ORDER BY f.due_at) AS place"
    "  FROM found f LEFT JOIN unnest(CAST(:projects AS uuid[]), CAST(:busy AS int[])) AS p(project_id, busy)"
    "   ON p.project_id = f.project_id),"
    " due AS MATERIALIZED (SELECT id FROM placed WHERE place <= :per_project ORDER BY due_at LIMIT :n)"
    " UPDATE webhook_deliveries w SET token = gen_random_uuid(), attempts = attempts + 1,"
    "  due_at = now() + make_interval(secs => CAST(:lease AS float8))"
    " FROM due, webhook_endpoints e WHERE w.id = due.id AND e.id = w.endpoint_id"
    " RETURNING w.id, w.token, w.project_id, w.destination, w.event_id, w.event_type, w.data, w.created_at,"
    "  w.attempts, e.url, e.headers, e.output_format, e.secret"
)


async def is_anything_due(reader: Reader) -> bool:
    """Whether any delivery is due, held by a sender that is late or not. Raises `NotNow`."""
    found = await reader.fetch(_IS_ANYTHING_DUE)
    return bool(found[0][0])


async def take(session: AsyncSession, room: Room, *, lease_s: float) -> list[Taken]:
    """Claim what is due, as far as there is room for it; who takes it has `lease_s` before others try."""
    rows = await session.execute(
        text(_TAKE),
        {
            "destinations": list(room.destinations),
            "free": list(room.destinations.values()),
            "projects": list(room.projects),
            "busy": list(room.projects.values()),
            "each": room.each,
            "per_project": room.per_project,
            "n": room.all,
            "lease": lease_s,
        },
    )
    return [Taken(*row) for row in rows]


async def settle(session: AsyncSession, ends: Sequence[End]) -> set[UUID]:
    """Write how tries ended, where the fence still fits; answers which were accepted."""
    found = await session.execute(
        text(
            "UPDATE webhook_deliveries w SET status = u.status, token = NULL, last_code = u.code,"
            " last_error = u.error, last_answer = u.answer, last_seconds = u.seconds,"
            " due_at = CASE u.status WHEN 'PENDING' THEN now() + make_interval(secs => u.after) END,"
            " finished_at = CASE u.status WHEN 'PENDING' THEN NULL ELSE now() END"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:tokens AS uuid[]), CAST(:statuses AS text[]),"
            "  CAST(:afters AS float8[]), CAST(:codes AS int[]), CAST(:errors AS text[]),"
            "  CAST(:answers AS text[]), CAST(:seconds AS float8[]))"
            "  AS u(id, token, status, after, code, error, answer, seconds)"
            " WHERE w.id = u.id AND w.token = u.token RETURNING w.id"
        ),
        {
            "ids": [end.id for end in ends],
            "tokens": [end.token for end in ends],
            "statuses": [end.status for end in ends],
            "afters": [end.after for end in ends],
            "codes": [end.code for end in ends],
            "errors": [end.error for end in ends],
            "answers": [end.answer for end in ends],
            "seconds": [end.seconds for end in ends],
        },
    )
    return set(found.scalars())


async def give_back(session: AsyncSession, tokens: Sequence[UUID]) -> None:
    """What was taken and not tried is due at once, and the try does not count."""
    await session.execute(
        text(
            "UPDATE webhook_deliveries SET token = NULL, due_at = now(), attempts = attempts - 1"
            " WHERE token = ANY(CAST(:tokens AS uuid[]))"
        ),
        {"tokens": list(tokens)},
    )


async def remove_old(session: AsyncSession, *, days: int, limit: int) -> int:
    """Remove a slice of the deliveries that ended so long ago; answers how many."""
    gone = await session.execute(
        text(
            "DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(SELECT id FROM webhook_deliveries"
            " WHERE finished_at < now() - make_interval(days => :days)"
            " ORDER BY finished_at LIMIT :n FOR UPDATE SKIP LOCKED))"
        ),
        {"days": days, "n": limit},
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]


async def remove_endpoints(session: AsyncSession, *, days: int, limit: int) -> int:
    """Remove a slice of the endpoints whose owner is gone, or is a job that ended, and which have nothing
    left to tell and nothing told; a batch keeps its own, for a redrive. Answers how many."""
    gone = await session.execute(
        text(
            "DELETE FROM webhook_endpoints WHERE id = ANY(ARRAY(SELECT e.id FROM webhook_endpoints e"
            " WHERE e.created_at < now() - make_interval(days => :days)"
            " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries w WHERE w.endpoint_id = e.id)"
            " AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.id = e.owner_id)"
            " AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = e.owner_id AND j.status = 'PENDING')"
            " LIMIT :n FOR UPDATE OF e SKIP LOCKED))"
        ),
        {"days": days, "n": limit},
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]
