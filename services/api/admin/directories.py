"""Directories by reference: an operator says which folder or bucket a project may read in place."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.api.dependencies import TheCaller, TheDoor, Uow
from services.api.operators import ADMIN, OperatorPage, ProjectFilter, TheOperator
from services.api.paging import PageOf
from shared import ids
from shared.directories import service as directory_service
from shared.directories import syncing
from shared.directories.model import Directory
from shared.projects import service as project_service

router = APIRouter()


class ReferenceIn(BaseModel):
    """A folder or `s3://bucket/prefix` to read in place, for the default project unless one is named."""

    project_id: str | None = None
    name: Annotated[str, Field(min_length=1, max_length=3_000)]
    url: Annotated[str, Field(min_length=1, max_length=4_000)]


class ReferenceOut(BaseModel):
    """A directory whose files are read in place."""

    id: str
    project_id: str
    name: str
    source_url: str
    source_read_at: datetime | None
    created_at: datetime


class AddedOut(ReferenceOut):
    """The same with what was found: files and bytes, and how many were left out for which reason."""

    files: int
    bytes: int
    left_out: dict[str, int]


class SyncedOut(BaseModel):
    """What a sync found, in files."""

    new: int
    changed: int
    removed: int
    same: int
    left_out: dict[str, int]


def show(row: Directory) -> ReferenceOut:
    """The row for an operator."""
    return ReferenceOut(
        id=ids.show(ids.Kind.DIRECTORY, row.id),
        project_id=ids.show(ids.Kind.PROJECT, row.project_id),
        name=row.name,
        source_url=row.source_url or "",
        source_read_at=row.source_read_at,
        created_at=row.created_at,
    )


@router.get(ADMIN + "/directories")
async def list_pages(uow: Uow, page: OperatorPage, project_id: ProjectFilter) -> PageOf[ReferenceOut]:
    """A page of the directories that are read in place, newest first."""
    found = await directory_service.list_references(
        uow, project_id, size=page.size, after=page.after, count=page.count
    )
    return page.answer(found, show)


@router.post(ADMIN + "/directories", status_code=201)
async def add(uow: Uow, who: TheOperator, caller: TheCaller, door: TheDoor, asked: ReferenceIn) -> AddedOut:
    """Register every file that lies there. Broken off, the same request goes on with it."""
    project_id = await _project(uow, caller, asked.project_id)
    # The place may be slow: no transaction waits for it (law 2).
    await uow.commit()
    directory, found = await syncing.add(
        door.resources.unit_of_work,
        door.resources.sources,
        project_id=project_id,
        name=asked.name,
        url=asked.url,
    )
    shown = show(directory)
    detail = {"name": asked.name, "url": asked.url, "files": found.files}
    await who.note("directory.add", shown.id, project_id=project_id, detail=detail)
    return AddedOut(**shown.model_dump(), files=found.files, bytes=found.bytes, left_out=found.left_out)


@router.post(ADMIN + "/directories/{directory_id}/sync")
async def sync(uow: Uow, who: TheOperator, door: TheDoor, directory_id: str) -> SyncedOut:
    """Bring the rows to what lies there now."""
    wanted = ids.parse(ids.Kind.DIRECTORY, directory_id)
    directory = await directory_service.find_directory(uow, wanted)
    await uow.commit()
    found = await syncing.sync(
        door.resources.unit_of_work,
        door.resources.sources,
        project_id=directory.project_id,
        directory_id=directory.id,
    )
    shown = SyncedOut(
        new=found.new,
        changed=found.changed,
        removed=found.removed,
        same=found.same,
        left_out=found.left_out,
    )
    target = ids.show(ids.Kind.DIRECTORY, wanted)
    await who.note("directory.sync", target, project_id=directory.project_id, detail=shown.model_dump())
    return shown


async def _project(uow: Uow, caller: TheCaller, named: str | None) -> UUID:
    if named is None:
        return (await project_service.default_project(uow)).id
    return (await project_service.get_project(uow, caller, ids.parse(ids.Kind.PROJECT, named))).id
