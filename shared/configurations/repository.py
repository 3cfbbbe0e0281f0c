"""The statements on saved configurations."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.configurations.model import Configuration
from shared.db.repository import Page, newest_first


async def save(
    session: AsyncSession, *, project_id: UUID, name: str, product_type: str, parameters: dict[str, Any]
) -> Configuration:
    """Insert, or replace the parameters of the live one with this name and product."""
    statement = insert(Configuration).values(
        project_id=project_id, name=name, product_type=product_type, parameters=parameters
    )
    # clock_timestamp: two saves in one transaction are still two versions.
    upsert = statement.on_conflict_do_update(
        index_elements=["project_id", "product_type", "name"],
        index_where=text("deleted_at IS NULL AND superseded_at IS NULL"),
        set_={"parameters": statement.excluded.parameters, "updated_at": func.clock_timestamp()},
    ).returning(Configuration)
    found = await session.scalars(upsert, execution_options={"populate_existing": True})
    return found.one()


async def get(session: AsyncSession, project_id: UUID, configuration_id: UUID) -> Configuration | None:
    """A live configuration of this project."""
    rows = select(Configuration).where(
        Configuration.project_id == project_id,
        Configuration.id == configuration_id,
        Configuration.deleted_at.is_(None),
    )
    return (await session.scalars(rows)).one_or_none()


async def named(
    session: AsyncSession, project_id: UUID, product_type: str, name: str
) -> Configuration | None:
    """The live configuration with this name and product."""
    rows = select(Configuration).where(
        Configuration.project_id == project_id,
        Configuration.product_type == product_type,
        Configuration.name == name,
        Configuration.deleted_at.is_(None),
        Configuration.superseded_at.is_(None),
    )
    return (await session.scalars(rows)).one_or_none()


async def names(
    session: AsyncSession, project_id: UUID, configuration_ids: Sequence[UUID]
) -> dict[UUID, str]:
    """What these configurations are called, deleted ones too."""
    rows = select(Configuration.id, Configuration.name).where(
        Configuration.project_id == project_id, Configuration.id.in_(configuration_ids)
    )
    return {row.id: row.name for row in await session.execute(rows)}


async def page(
    session: AsyncSession,
    project_id: UUID,
    *,
    product_types: Sequence[str] | None,
    name: str | None,
    latest_only: bool,
    size: int,
    after: UUID | None,
    count: bool,
) -> Page[Configuration]:
    """One page of live configurations, newest first."""
    rows = select(Configuration).where(
        Configuration.project_id == project_id, Configuration.deleted_at.is_(None)
    )
    if product_types is not None:
        rows = rows.where(Configuration.product_type.in_(product_types))
    if name is not None:
        rows = rows.where(Configuration.name == name)
    if latest_only:
        rows = rows.where(Configuration.superseded_at.is_(None))
    return await newest_first(session, rows, Configuration.id, size=size, after=after, count=count)


async def change(
    session: AsyncSession, configuration: Configuration, values: Mapping[str, Any]
) -> Configuration:
    """Write some columns and move the version."""
    rows = (
        update(Configuration)
        .where(Configuration.id == configuration.id)
        .values(**values, updated_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )
    await session.execute(rows)
    await session.refresh(configuration)
    return configuration


async def anywhere(session: AsyncSession, configuration_id: UUID) -> Configuration | None:
    """The one with this id in any project, deleted ones included, locked."""
    rows = select(Configuration).where(Configuration.id == configuration_id).with_for_update()
    return (await session.scalars(rows)).one_or_none()


async def adopt(
    session: AsyncSession,
    configuration: Configuration,
    *,
    configuration_id: UUID,
    name: str,
    created_at: datetime,
    updated_at: datetime,
    superseded: bool,
) -> None:
    """Give the row the id, name and times that it has on another server; the object is of no use any more."""
    session.expunge(configuration)
    await session.execute(
        text(
            "UPDATE configurations SET id = :new, name = :name, created_at = :c, updated_at = :u,"
            " superseded_at = CASE WHEN :s THEN coalesce(superseded_at, now()) END WHERE id = :id"
        ),
        {
            "id": configuration.id,
            "new": configuration_id,
            "name": name,
            "c": created_at,
            "u": updated_at,
            "s": superseded,
        },
    )


async def hide(session: AsyncSession, configuration: Configuration) -> None:
    """Soft delete; its name is free again."""
    statement = text("UPDATE configurations SET deleted_at = now() WHERE id = :id")
    await session.execute(statement, {"id": configuration.id})
