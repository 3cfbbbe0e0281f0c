"""The statements on organisations, projects and keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Select, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.repository import Page, newest_first
from shared.projects.model import ApiKey, Organization, Project, Role

# Asked by almost every request: no entity, and no statement that is put together each time.
_LIVE_KEY: Final = text(
    "SELECT id, project_id, role, CAST(extract(epoch FROM expires_at - now()) AS float8),"
    " requests_per_minute, request_burst FROM api_keys"
    " WHERE hash = :hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
)
_HOLDER: Final = text(
    "SELECT k.id, k.project_id, k.role, CAST(extract(epoch FROM k.expires_at - now()) AS float8),"
    " k.requests_per_minute, k.request_burst FROM console_sessions s JOIN api_keys k ON k.id = s.key_id"
    " WHERE s.hash = :hash AND s.expires_at > now()"
    " AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())"
)
_BOOTSTRAP_LOCK = 0x626D_6B79  # 'bmky': any constant does, as long as every bootstrap takes the same


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A key that opens something now; `ends_in_s` is None for one without an end."""

    id: UUID
    project_id: UUID | None
    role: str
    ends_in_s: float | None
    requests_per_minute: int | None
    request_burst: int | None


async def lock_bootstrap(session: AsyncSession) -> None:
    """Wait until no other transaction is bootstrapping; held to the end of this one."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _BOOTSTRAP_LOCK})


async def default_project(session: AsyncSession) -> Project | None:
    """The project that bootstrap made."""
    rows = select(Project).where(Project.is_default).order_by(Project.id).limit(1)
    return (await session.scalars(rows)).one_or_none()


async def add_organization(session: AsyncSession, name: str) -> Organization:
    """A new organisation."""
    made = Organization(name=name)
    session.add(made)
    await session.flush()
    return made


async def add_project(
    session: AsyncSession, organization_id: UUID, name: str, *, is_default: bool = False
) -> Project:
    """A new project."""
    made = Project(organization_id=organization_id, name=name, is_default=is_default)
    session.add(made)
    await session.flush()
    return made


async def add_key(session: AsyncSession, key: ApiKey) -> ApiKey:
    """A new key; its secret is not here, only the hash of it."""
    session.add(key)
    await session.flush()
    return key


async def has_key(session: AsyncSession, *, role: Role, project_id: UUID | None) -> bool:
    """Was such a key ever made? A revoked or expired one counts: it was taken away on purpose."""
    rows = select(ApiKey.id).where(ApiKey.role == role).limit(1)
    if project_id is not None:
        rows = rows.where(ApiKey.project_id == project_id)
    return (await session.execute(rows)).first() is not None


async def keys(session: AsyncSession) -> Sequence[ApiKey]:
    """Every key that was ever made, newest first."""
    return (await session.scalars(select(ApiKey).order_by(ApiKey.id.desc()))).all()


async def key(session: AsyncSession, key_id: UUID) -> ApiKey:
    """One key, which exists: rows of keys are never removed."""
    found = await session.scalars(select(ApiKey).where(ApiKey.id == key_id))
    return found.one()


async def live_key(session: AsyncSession, digest: bytes) -> LiveKey | None:
    """The key with this hash, unless revoked, or expired by the database's clock."""
    found = await session.execute(_LIVE_KEY, {"hash": digest})
    row = found.one_or_none()
    return None if row is None else LiveKey(*row)


async def add_session(session: AsyncSession, digest: bytes, key_id: UUID, *, lasts_s: float) -> None:
    """A session of the console, by the hash of its token."""
    await session.execute(
        text(
            "INSERT INTO console_sessions (hash, key_id, expires_at)"
            " VALUES (:h, :k, now() + make_interval(secs => CAST(:s AS float8)))"
        ),
        {"h": digest, "k": key_id, "s": lasts_s},
    )


async def holder_of_session(session: AsyncSession, digest: bytes) -> LiveKey | None:
    """The key of a session that is not over, while the key opens something."""
    found = await session.execute(_HOLDER, {"hash": digest})
    row = found.one_or_none()
    return None if row is None else LiveKey(*row)


async def remove_session(session: AsyncSession, digest: bytes) -> None:
    """End a session."""
    await session.execute(text("DELETE FROM console_sessions WHERE hash = :h"), {"h": digest})


async def remove_old_sessions(session: AsyncSession, *, limit: int) -> None:
    """Forget sessions that are over, those first that have been for longest."""
    await session.execute(
        text(
            "DELETE FROM console_sessions WHERE hash IN (SELECT hash FROM console_sessions"
            "  WHERE expires_at <= now() ORDER BY expires_at LIMIT :n FOR UPDATE SKIP LOCKED)"
        ),
        {"n": limit},
    )


async def get(session: AsyncSession, project_id: UUID) -> Project | None:
    """One project; one that is being purged is none any more."""
    rows = select(Project).where(Project.id == project_id, Project.purge_asked_at.is_(None))
    return (await session.scalars(rows)).one_or_none()


async def page(
    session: AsyncSession,
    *,
    only: UUID | None,
    organization_id: UUID | None,
    name: str | None,
    size: int,
    after: UUID | None = None,
    count: bool = False,
) -> Page[Project]:
    """Projects, newest first; `only` narrows to the one that a project key opens."""
    rows = _filtered(only, organization_id, name)
    return await newest_first(session, rows, Project.id, size=size, after=after, count=count)


async def all_of(
    session: AsyncSession, *, only: UUID | None, organization_id: UUID | None, name: str | None, limit: int
) -> Sequence[Project]:
    """The same as one list, at most `limit` rows."""
    rows = _filtered(only, organization_id, name).order_by(Project.id.desc()).limit(limit)
    return (await session.scalars(rows)).all()


def _filtered(only: UUID | None, organization_id: UUID | None, name: str | None) -> Select[Project]:
    rows = select(Project).where(Project.purge_asked_at.is_(None))
    if only is not None:
        rows = rows.where(Project.id == only)
    if organization_id is not None:
        rows = rows.where(Project.organization_id == organization_id)
    if name is not None:
        rows = rows.where(Project.name == name)
    return rows
