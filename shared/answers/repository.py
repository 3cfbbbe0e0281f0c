"""The statements on kept answers. Locks are advisory and end with the transaction; all times are the
database's."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given."""

    fingerprint: bytes
    status: int
    body: str


async def lock(session: AsyncSession, number: int) -> bool:
    """Hold `number` alone; False when somebody holds it already."""
    found = await session.execute(text("SELECT pg_try_advisory_xact_lock(:n)"), {"n": number})
    return bool(found.scalar_one())


async def share(session: AsyncSession, number: int) -> None:
    """Hold `number` beside others who share it."""
    await session.execute(text("SELECT pg_advisory_xact_lock_shared(:n)"), {"n": number})


async def of_key(session: AsyncSession, project_id: UUID, idempotency_key: str) -> Kept | None:
    """The answer that the key stands for, while it does."""
    found = await session.execute(
        text(
            "SELECT fingerprint, status, body FROM answers WHERE project_id = :p AND idempotency_key = :i"
            " AND expires_at > now()"
        ),
        {"p": project_id, "i": idempotency_key},
    )
    return _kept(found.one_or_none())


async def take(
    session: AsyncSession, project_id: UUID, key_id: UUID, fingerprint: bytes, *, sending: int
) -> Kept | None:
    """An answer to this request: the oldest that no sending of this number was given yet, which is noted,
    else the oldest. The caller holds the request's lock alone."""
    found = await session.execute(
        text(
            "UPDATE answers SET taken = greatest(taken, :n) WHERE id = (SELECT id FROM answers"
            "  WHERE project_id = :p AND fingerprint = :f AND key_id = :k AND idempotency_key IS NULL"
            "  AND expires_at > now() ORDER BY taken >= :n, id LIMIT 1)"
            " RETURNING fingerprint, status, body"
        ),
        {"p": project_id, "f": fingerprint, "k": key_id, "n": sending},
    )
    return _kept(found.one_or_none())


async def add(
    session: AsyncSession,
    kept: Kept,
    *,
    project_id: UUID,
    key_id: UUID,
    idempotency_key: str | None,
    sending: int,
    for_s: float,
) -> bool:
    """Keep an answer for so many seconds, in the place of one that is over; False when the key stands for
    another one."""
    found = await session.execute(
        text(
            "INSERT INTO answers (project_id, key_id, idempotency_key, fingerprint, taken, status, body,"
            "  expires_at) VALUES (:p, :k, :i, :f, :n, :s, :b,"
            "  now() + make_interval(secs => CAST(:for AS float8)))"
            " ON CONFLICT (project_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO UPDATE SET"
            "  key_id = excluded.key_id, fingerprint = excluded.fingerprint, taken = excluded.taken,"
            "  status = excluded.status, body = excluded.body, created_at = now(),"
            "  expires_at = excluded.expires_at WHERE answers.expires_at <= now() RETURNING 1"
        ),
        {
            "p": project_id,
            "k": key_id,
            "i": idempotency_key,
            "f": kept.fingerprint,
            "n": sending,
            "s": kept.status,
            "b": kept.body,
            "for": for_s,
        },
    )
    return found.one_or_none() is not None


def _kept(row: Any) -> Kept | None:
    return None if row is None else Kept(row.fingerprint, row.status, row.body)
