"""The statements on audit events: written once, never changed."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.audit.model import AuditEvent
from shared.db.repository import Page, newest_first


async def add(session: AsyncSession, event: AuditEvent) -> None:
    """A new event."""
    session.add(event)
    await session.flush()


async def page(
    session: AsyncSession,
    *,
    action: str | None,
    target: str | None,
    key_id: UUID | None,
    project_id: UUID | None,
    size: int,
    after: UUID | None,
    count: bool,
) -> Page[AuditEvent]:
    """Events, newest first; None leaves a filter out."""
    rows = select(AuditEvent)
    wanted: tuple[tuple[Any, Any], ...] = (
        (AuditEvent.action, action),
        (AuditEvent.target, target),
        (AuditEvent.key_id, key_id),
        (AuditEvent.project_id, project_id),
    )
    for column, value in wanted:
        if value is not None:
            rows = rows.where(column == value)
    return await newest_first(session, rows, AuditEvent.id, size=size, after=after, count=count)
