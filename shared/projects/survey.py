"""The statements on organisations and keys that only operators need."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.repository import Page, newest_first
from shared.projects.model import ApiKey, Organization


async def get_organization(session: AsyncSession, organization_id: UUID) -> Organization | None:
    """One organisation."""
    return await session.get(Organization, organization_id)


async def organizations(
    session: AsyncSession, *, size: int, after: UUID | None, count: bool
) -> Page[Organization]:
    """Organisations, newest first."""
    rows = select(Organization)
    return await newest_first(session, rows, Organization.id, size=size, after=after, count=count)


async def keys(
    session: AsyncSession,
    *,
    project_id: UUID | None,
    role: str | None,
    live: bool | None,
    size: int,
    after: UUID | None,
    count: bool,
) -> Page[ApiKey]:
    """Keys, newest first; `live` True leaves out those that ended, False those that work."""
    rows = select(ApiKey)
    if project_id is not None:
        rows = rows.where(ApiKey.project_id == project_id)
    if role is not None:
        rows = rows.where(ApiKey.role == role)
    works = ApiKey.revoked_at.is_(None) & or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
    if live is not None:
        rows = rows.where(works if live else ~works)
    return await newest_first(session, rows, ApiKey.id, size=size, after=after, count=count)


async def lock_key(session: AsyncSession, key_id: UUID) -> ApiKey | None:
    """The key's row, held to the end of the transaction."""
    rows = (
        select(ApiKey).where(ApiKey.id == key_id).with_for_update().execution_options(populate_existing=True)
    )
    return (await session.scalars(rows)).one_or_none()


async def works_now(session: AsyncSession, key_id: UUID) -> bool:
    """Does the key open anything now, by the database's clock?"""
    found = await session.execute(
        text(
            "SELECT true FROM api_keys WHERE id = :k AND revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > now())"
        ),
        {"k": key_id},
    )
    return found.scalar_one_or_none() is True


async def is_past(session: AsyncSession, moment: datetime) -> bool:
    """Is it over, by the database's clock?"""
    found = await session.execute(text("SELECT CAST(:m AS timestamptz) <= now()"), {"m": moment})
    return bool(found.scalar_one())


async def end_key(session: AsyncSession, key: ApiKey, *, after_s: float) -> None:
    """Let the key end in `after_s` seconds, unless it ends sooner; the caller holds its row."""
    await session.execute(
        text(
            "UPDATE api_keys SET expires_at = least(coalesce(expires_at, 'infinity'),"
            " now() + make_interval(secs => CAST(:s AS float8))) WHERE id = :k"
        ),
        {"k": key.id, "s": after_s},
    )
    await session.refresh(key)


async def limit_key(session: AsyncSession, key: ApiKey, *, per_minute: int | None, burst: int | None) -> None:
    """Write what the key may send; the caller holds its row."""
    await session.execute(
        text("UPDATE api_keys SET requests_per_minute = :n, request_burst = :b WHERE id = :k"),
        {"k": key.id, "n": per_minute, "b": burst},
    )
    await session.refresh(key)


async def revoke_key(session: AsyncSession, key: ApiKey) -> None:
    """End the key now; one that was revoked before keeps its time. The caller holds its row."""
    await session.execute(
        text("UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = :k"), {"k": key.id}
    )
    await session.refresh(key)
