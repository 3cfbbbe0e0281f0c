"""The statements on saved webhooks."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.repository import Page, newest_first
from shared.webhooks.model import WebhookConfig


def _live(project_id: UUID) -> Select[WebhookConfig]:
    return select(WebhookConfig).where(
        WebhookConfig.project_id == project_id, WebhookConfig.deleted_at.is_(None)
    )


async def add(session: AsyncSession, project_id: UUID, values: Mapping[str, Any]) -> WebhookConfig:
    """Insert one."""
    made = insert(WebhookConfig).values(project_id=project_id, **values).returning(WebhookConfig)
    return (await session.scalars(made)).one()


async def get(session: AsyncSession, project_id: UUID, webhook_id: UUID) -> WebhookConfig | None:
    """A live one of this project."""
    return (await session.scalars(_live(project_id).where(WebhookConfig.id == webhook_id))).one_or_none()


async def get_all(
    session: AsyncSession, project_id: UUID, webhook_ids: Sequence[UUID]
) -> dict[UUID, WebhookConfig]:
    """The live ones of this project among these."""
    rows = await session.scalars(_live(project_id).where(WebhookConfig.id.in_(webhook_ids)))
    return {row.id: row for row in rows}


async def count(session: AsyncSession, project_id: UUID) -> int:
    """How many live ones the project has."""
    rows = select(func.count()).where(
        WebhookConfig.project_id == project_id, WebhookConfig.deleted_at.is_(None)
    )
    return int((await session.execute(rows)).scalar_one())


async def page(
    session: AsyncSession, project_id: UUID, *, size: int, after: UUID | None, count: bool
) -> Page[WebhookConfig]:
    """One page, newest first."""
    return await newest_first(
        session, _live(project_id), WebhookConfig.id, size=size, after=after, count=count
    )


async def change(
    session: AsyncSession, found: WebhookConfig, values: Mapping[str, Any]
) -> WebhookConfig | None:
    """Set these columns; None when it was deleted meanwhile."""
    changed = (
        update(WebhookConfig)
        .where(WebhookConfig.id == found.id, WebhookConfig.deleted_at.is_(None))
        .values(**values, updated_at=func.clock_timestamp())
        .returning(WebhookConfig)
    )
    rows = await session.scalars(changed, execution_options={"populate_existing": True})
    return rows.one_or_none()


async def hide(session: AsyncSession, webhook_id: UUID) -> None:
    """Delete it; its secret goes at once, what was opened with it has its own copy."""
    await session.execute(
        update(WebhookConfig)
        .where(WebhookConfig.id == webhook_id, WebhookConfig.deleted_at.is_(None))
        .values(deleted_at=func.now(), secret=None)
    )
