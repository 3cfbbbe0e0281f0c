"""The statements on files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Select, Uuid, any_, func, literal, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.repository import ENDED_AT_NOTHING, Page, count_of, newest_first
from shared.errors import InvalidInput
from shared.files.model import File


@dataclass(frozen=True, slots=True)
class FileFilters:
    """What a list of files is narrowed by; None leaves a filter out."""

    file_ids: Sequence[UUID] | None = None
    name: str | None = None
    external_file_id: str | None = None
    uploaded_only: bool = False


async def next_id(session: AsyncSession) -> UUID:
    """An id before there is a row: the bytes are stored under it first."""
    found: UUID = (await session.execute(text("SELECT uuidv7()"))).scalar_one()
    return found


async def add(session: AsyncSession, file: File) -> File:
    """Insert the row of stored bytes."""
    session.add(file)
    await session.flush()
    return file


async def get(session: AsyncSession, project_id: UUID, file_id: UUID) -> File | None:
    """A file of this project, neither deleted nor expired."""
    return (await session.scalars(_live(project_id).where(File.id == file_id))).one_or_none()


async def of_ids(session: AsyncSession, project_id: UUID, ids: Sequence[UUID]) -> Sequence[File]:
    """Those of `ids` that belong to the project, deleted ones too: their bytes may still be needed."""
    rows = select(File).where(File.project_id == project_id, File.id.in_(ids))
    return (await session.scalars(rows)).all()


async def remove(session: AsyncSession, file: File) -> None:
    """Take back a row that this transaction made."""
    await session.delete(file)
    await session.flush()


async def hide(session: AsyncSession, file: File) -> None:
    """Soft delete."""
    await session.execute(
        text("UPDATE files SET deleted_at = now() WHERE id = :id AND deleted_at IS NULL"), {"id": file.id}
    )


async def page(
    session: AsyncSession,
    project_id: UUID,
    filters: FileFilters,
    *,
    order: str,
    size: int,
    after: UUID | None,
    count: bool,
) -> Page[File]:
    """One page in the order `created_at` (newest first), `id` or `name` (both rising)."""
    rows = _filtered(project_id, filters)
    if order == "created_at":
        return await newest_first(session, rows, File.id, size=size, after=after, count=count)
    total = await count_of(session, rows) if count else None
    if after is not None:
        rows = rows.where(await _past(session, order, after))
    keys = (File.name, File.id) if order == "name" else (File.id,)
    found = list((await session.scalars(rows.order_by(*keys).limit(size + 1))).all())
    items = found[:size]
    return Page(items, items[-1].id if len(found) > size else None, total)


async def _past(session: AsyncSession, order: str, after: UUID) -> Any:
    if order == "id":
        return File.id > after
    # A file never changes its name, so its id alone tells where the page ended, as long as there is a row.
    last = (await session.execute(select(File.name).where(File.id == after))).scalar_one_or_none()
    if last is None:
        raise InvalidInput(ENDED_AT_NOTHING)
    return tuple_(File.name, File.id) > tuple_(literal(last), literal(after))


def _filtered(project_id: UUID, filters: FileFilters) -> Select[File]:
    rows = _live(project_id)
    if filters.file_ids is not None:
        # One array: of single values a statement may have 32,767.
        rows = rows.where(File.id == any_(literal(list(filters.file_ids), ARRAY(Uuid()))))
    if filters.name is not None:
        rows = rows.where(File.name == filters.name)
    if filters.external_file_id is not None:
        rows = rows.where(File.external_file_id == filters.external_file_id)
    if filters.uploaded_only:
        rows = rows.where(File.source_version.is_(None))
    return rows


def _live(project_id: UUID) -> Select[File]:
    return select(File).where(
        File.project_id == project_id,
        File.deleted_at.is_(None),
        or_(File.expires_at.is_(None), File.expires_at > func.now()),
    )
