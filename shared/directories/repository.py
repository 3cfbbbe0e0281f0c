"""The statements on directories and on the files in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.repository import ENDED_AT_NOTHING, Page, count_of, newest_first
from shared.directories.model import Directory, DirectoryFile
from shared.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class DirectoryFilters:
    """What a list of directories is narrowed by; None leaves a filter out."""

    name: str | None = None
    types: Sequence[str] | None = None
    include_deleted: bool = False


@dataclass(frozen=True, slots=True)
class EntryFilters:
    """What a list of a directory's files is narrowed by; times are inclusive."""

    display_name: str | None = None
    display_name_contains: str | None = None
    unique_id: str | None = None
    file_id: UUID | None = None
    include_deleted: bool = False
    updated_at_on_or_after: datetime | None = None
    updated_at_on_or_before: datetime | None = None


_STILL_THERE: Final = "id = :id AND directory_id = :seen_in AND deleted_at IS NULL"
"""SQL: who waited for the row looks at it again. A file that was moved away meanwhile is another one's."""


async def add(session: AsyncSession, directory: Directory, *, lives_s: float | None) -> Directory:
    """Insert a directory; `lives_s` from now by the database's clock, None for ever or as it says."""
    session.add(directory)
    await session.flush()
    if lives_s is not None:
        rows = (
            update(Directory)
            .where(Directory.id == directory.id)
            .values(expires_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, lives_s))
            .execution_options(synchronize_session=False)
        )
        await session.execute(rows)
    await session.refresh(directory)
    return directory


async def get(session: AsyncSession, project_id: UUID, directory_id: UUID) -> Directory | None:
    """A live directory of this project."""
    rows = select(Directory).where(
        Directory.project_id == project_id, Directory.id == directory_id, *_live_directory()
    )
    return (await session.scalars(rows)).one_or_none()


async def find(session: AsyncSession, directory_id: UUID) -> Directory | None:
    """A live directory of whatever project."""
    rows = select(Directory).where(Directory.id == directory_id, *_live_directory())
    return (await session.scalars(rows)).one_or_none()


async def names(session: AsyncSession, project_id: UUID, directory_ids: Sequence[UUID]) -> dict[UUID, str]:
    """What these directories are called, deleted ones too."""
    rows = select(Directory.id, Directory.name).where(
        Directory.project_id == project_id, Directory.id.in_(directory_ids)
    )
    return {row.id: row.name for row in await session.execute(rows)}


async def page_references(
    session: AsyncSession, project_id: UUID | None, *, size: int, after: UUID | None, count: bool
) -> Page[Directory]:
    """One page of the live directories that are read in place, newest first; None: of all projects."""
    rows = select(Directory).where(Directory.source_url.is_not(None), *_live_directory())
    if project_id is not None:
        rows = rows.where(Directory.project_id == project_id)
    return await newest_first(session, rows, Directory.id, size=size, after=after, count=count)


async def page(
    session: AsyncSession,
    project_id: UUID,
    filters: DirectoryFilters,
    *,
    size: int,
    after: UUID | None,
    count: bool,
) -> Page[Directory]:
    """One page of directories, newest first."""
    rows = select(Directory).where(Directory.project_id == project_id, *_read())
    if not filters.include_deleted:
        rows = rows.where(*_live_directory())
    if filters.name is not None:
        rows = rows.where(Directory.name == filters.name)
    if filters.types is not None:
        rows = rows.where(Directory.type.in_(filters.types))
    return await newest_first(session, rows, Directory.id, size=size, after=after, count=count)


async def change(session: AsyncSession, directory: Directory, values: Mapping[str, Any]) -> Directory:
    """Write some columns of a directory, and when."""
    rows = (
        update(Directory)
        .where(Directory.id == directory.id)
        .values(**values, updated_at=func.now())
        .execution_options(synchronize_session=False)
    )
    await session.execute(rows)
    await session.refresh(directory)
    return directory


async def hide(session: AsyncSession, directory: Directory) -> None:
    """Soft delete; the files keep their rows, a batch may be reading them."""
    statement = text("UPDATE directories SET deleted_at = now(), updated_at = now() WHERE id = :id")
    await session.execute(statement, {"id": directory.id})


async def place(session: AsyncSession, values: Mapping[str, Any]) -> DirectoryFile | None:
    """Insert a directory's file; None when a live one has its `unique_id` already."""
    statement = (
        insert(DirectoryFile)
        .values({getattr(DirectoryFile, name): value for name, value in values.items()})
        .on_conflict_do_nothing(
            index_elements=["directory_id", "unique_id"], index_where=text("deleted_at IS NULL")
        )
        .returning(DirectoryFile)
    )
    return (await session.scalars(statement)).one_or_none()


async def holder_of(session: AsyncSession, directory_id: UUID, unique_id: str) -> DirectoryFile | None:
    """The live file that has this `unique_id`."""
    rows = select(DirectoryFile).where(
        DirectoryFile.directory_id == directory_id,
        DirectoryFile.unique_id == unique_id,
        DirectoryFile.deleted_at.is_(None),
    )
    return (await session.scalars(rows)).one_or_none()


async def get_entry(
    session: AsyncSession, project_id: UUID, directory_id: UUID, entry_id: UUID
) -> DirectoryFile | None:
    """A live file of this directory and project."""
    rows = select(DirectoryFile).where(
        DirectoryFile.project_id == project_id,
        DirectoryFile.directory_id == directory_id,
        DirectoryFile.id == entry_id,
        DirectoryFile.deleted_at.is_(None),
    )
    return (await session.scalars(rows)).one_or_none()


async def file_of(session: AsyncSession, project_id: UUID, entry_id: UUID) -> UUID | None:
    """The file behind a live file of some directory of this project."""
    rows = select(DirectoryFile.file_id).where(
        DirectoryFile.project_id == project_id,
        DirectoryFile.id == entry_id,
        DirectoryFile.deleted_at.is_(None),
    )
    return (await session.scalars(rows)).one_or_none()


async def page_entries(
    session: AsyncSession,
    directory_id: UUID,
    filters: EntryFilters,
    *,
    size: int,
    after: UUID | None,
    count: bool,
) -> Page[DirectoryFile]:
    """One page of a directory's files, the last placed first: that order has an index, ids have none."""
    rows = _filtered(directory_id, filters)
    total = await count_of(session, rows) if count else None
    if after is not None:
        found_at = await session.execute(select(DirectoryFile.pos).where(DirectoryFile.id == after))
        last = found_at.scalar_one_or_none()
        if last is None:
            raise InvalidInput(ENDED_AT_NOTHING)
        rows = rows.where(DirectoryFile.pos < last)
    found = list((await session.scalars(rows.order_by(DirectoryFile.pos.desc()).limit(size + 1))).all())
    items = found[:size]
    return Page(items, items[-1].id if len(found) > size else None, total)


async def change_entry(
    session: AsyncSession, entry: DirectoryFile, values: Mapping[str, Any]
) -> DirectoryFile:
    """Write some columns of a directory's file, and when. In one statement: a second one would ask for the
    row's directory, which whoever moves the file holds while it waits for the row."""
    rows = (
        update(DirectoryFile)
        .where(DirectoryFile.id == entry.id)
        .values(**values, updated_at=func.now())
        .execution_options(synchronize_session=False)
    )
    await session.execute(rows)
    await session.refresh(entry)
    return entry


async def lock(session: AsyncSession, directory_ids: Sequence[UUID]) -> None:
    """Hold directories until the commit. Whoever opens a batch over one, or places a file in it, waits."""
    rows = select(Directory.id).where(Directory.id.in_(directory_ids)).order_by(Directory.id)
    await session.execute(rows.with_for_update())


async def move_entry(session: AsyncSession, entry: DirectoryFile, directory_id: UUID, unique_id: str) -> bool:
    """Put a directory's file into another one, behind all that is there: no batch over that one has it. False
    when it is no longer where it was seen."""
    moved = await session.execute(
        text(
            "UPDATE directory_files SET directory_id = :d, unique_id = :u, pos = DEFAULT, updated_at = now()"
            f" WHERE {_STILL_THERE}"
        ),
        {"d": directory_id, "u": unique_id, "id": entry.id, "seen_in": entry.directory_id},
    )
    await session.refresh(entry)
    return bool(moved.rowcount)  # type: ignore[attr-defined]


async def hide_entry(session: AsyncSession, entry: DirectoryFile) -> bool:
    """Soft delete; its `unique_id` is free again. False when it is no longer where it was seen."""
    hidden = await session.execute(
        text(f"UPDATE directory_files SET deleted_at = now(), updated_at = now() WHERE {_STILL_THERE}"),
        {"id": entry.id, "seen_in": entry.directory_id},
    )
    return bool(hidden.rowcount)  # type: ignore[attr-defined]


async def hide_entries(session: AsyncSession, directory_id: UUID, entry_ids: Sequence[UUID]) -> int:
    """Soft delete those of them that are live files of this directory; answers how many they were. They are
    taken in one order, so that two who delete the same ones do not wait for each other."""
    held = (
        select(DirectoryFile.id)
        .where(
            DirectoryFile.directory_id == directory_id,
            DirectoryFile.id.in_(entry_ids),
            DirectoryFile.deleted_at.is_(None),
        )
        .order_by(DirectoryFile.id)
        .with_for_update()
    )
    found = (await session.scalars(held)).all()
    rows = (
        update(DirectoryFile)
        .where(DirectoryFile.id.in_(found))
        .values(deleted_at=func.now(), updated_at=func.now())
        .execution_options(synchronize_session=False)
    )
    return int((await session.execute(rows)).rowcount)  # type: ignore[attr-defined]


def _read() -> tuple[ColumnElement[bool], ...]:
    """Half a directory must not look like a whole one."""
    return (or_(Directory.source_url.is_(None), Directory.source_read_at.is_not(None)),)


def _live_directory() -> tuple[ColumnElement[bool], ...]:
    return (
        Directory.deleted_at.is_(None),
        or_(Directory.expires_at.is_(None), Directory.expires_at > func.now()),
        *_read(),
    )


def _filtered(directory_id: UUID, filters: EntryFilters) -> Select[DirectoryFile]:
    rows = select(DirectoryFile).where(DirectoryFile.directory_id == directory_id)
    if not filters.include_deleted:
        rows = rows.where(DirectoryFile.deleted_at.is_(None))
    if filters.display_name is not None:
        rows = rows.where(DirectoryFile.display_name == filters.display_name)
    if filters.display_name_contains is not None:
        rows = rows.where(
            DirectoryFile.display_name.icontains(filters.display_name_contains, autoescape=True)
        )
    if filters.unique_id is not None:
        rows = rows.where(DirectoryFile.unique_id == filters.unique_id)
    if filters.file_id is not None:
        rows = rows.where(DirectoryFile.file_id == filters.file_id)
    if filters.updated_at_on_or_after is not None:
        rows = rows.where(DirectoryFile.updated_at >= filters.updated_at_on_or_after)
    if filters.updated_at_on_or_before is not None:
        rows = rows.where(DirectoryFile.updated_at <= filters.updated_at_on_or_before)
    return rows
