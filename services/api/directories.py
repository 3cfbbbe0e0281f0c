"""Directories (contract 2.1)."""

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from services.api.dependencies import Moment, ProjectId, ProjectPage, Several, Uow
from services.api.paging import PageOf
from services.api.repeats import Once
from shared import ids
from shared.directories import service as directory_service
from shared.directories.model import Directory
from shared.directories.service import DirectoryFilters

router = APIRouter(tags=["directories"])
BASE = "/api/v1/beta/directories"
ONE = BASE + "/{directory_id}"

Kind = Literal["user", "ephemeral", "index"]
Name = Annotated[str, Field(min_length=1, max_length=3_000)]


class DirectoryIn(BaseModel):
    """A new directory. `expires_at` is of older clients, and honoured (contract 1)."""

    name: Name
    description: str | None = None
    type: Literal["user", "ephemeral"] = "user"
    expires_at: Moment | None = None
    connector_subscription_id: str | None = None
    system_metadata: dict[str, Any] | None = None


class DirectoryChanges(BaseModel):
    """What is not sent, or is null, stays; a description can be emptied."""

    name: Name | None = None
    description: str | None = None


class DirectoryQuery(BaseModel):
    """What a list is narrowed by; `type` and `types` together mean both."""

    name: str | None = None
    type: Kind | None = None
    types: Annotated[list[Kind] | None, Several] = None
    include_deleted: bool = False


class DirectoryOut(BaseModel):
    """A directory on the wire."""

    id: str
    name: str
    project_id: str
    type: Kind
    description: str | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    expires_at: datetime | None
    connector_subscription_id: str | None
    system_metadata: dict[str, Any] | None
    # Not of the contract: where the files of a directory that is read in place lie, and when that was read.
    source_url: str | None
    source_read_at: datetime | None


async def filters_of(asked: Annotated[DirectoryQuery, Query()]) -> DirectoryFilters:
    """The same for the room."""
    types = [*([asked.type] if asked.type else []), *(asked.types or [])]
    return DirectoryFilters(name=asked.name, types=types or None, include_deleted=asked.include_deleted)


def show(directory: Directory) -> DirectoryOut:
    """The row as the contract has it."""
    return DirectoryOut(
        id=ids.show(ids.Kind.DIRECTORY, directory.id),
        name=directory.name,
        project_id=ids.show(ids.Kind.PROJECT, directory.project_id),
        type=cast("Kind", directory.type),
        description=directory.description,
        created_at=directory.created_at,
        updated_at=directory.updated_at,
        deleted_at=directory.deleted_at,
        expires_at=directory.expires_at,
        connector_subscription_id=directory.connector_subscription_id,
        system_metadata=directory.system_metadata,
        source_url=directory.source_url,
        source_read_at=directory.source_read_at,
    )


@router.post(BASE, status_code=201)
async def create(uow: Uow, project_id: ProjectId, once: Once, asked: DirectoryIn) -> DirectoryOut:
    """A new directory; its name need not be unique."""
    made = await directory_service.open_directory(
        uow,
        project_id=project_id,
        name=asked.name,
        kind=asked.type,
        description=asked.description,
        expires_at=asked.expires_at,
        connector_subscription_id=asked.connector_subscription_id,
        system_metadata=asked.system_metadata,
    )
    return await once.keep(show(made))


@router.get(BASE)
async def list_pages(
    uow: Uow,
    project_id: ProjectId,
    page: ProjectPage,
    filters: Annotated[DirectoryFilters, Depends(filters_of)],
) -> PageOf[DirectoryOut]:
    """A page, newest first."""
    found = await directory_service.list_directories(
        uow, project_id, filters=filters, size=page.size, after=page.after, count=page.count
    )
    return page.answer(found, show)


@router.get(ONE)
async def get(uow: Uow, project_id: ProjectId, directory_id: str) -> DirectoryOut:
    """One live directory."""
    wanted = ids.parse(ids.Kind.DIRECTORY, directory_id)
    return show(await directory_service.get_directory(uow, project_id, wanted))


@router.patch(ONE)
async def change(uow: Uow, project_id: ProjectId, directory_id: str, asked: DirectoryChanges) -> DirectoryOut:
    """Another name or description."""
    changes = asked.model_dump(exclude_none=True)
    wanted = ids.parse(ids.Kind.DIRECTORY, directory_id)
    return show(await directory_service.change_directory(uow, project_id, wanted, changes))


@router.delete(ONE, status_code=204)
async def delete(uow: Uow, project_id: ProjectId, directory_id: str) -> None:
    """Hide it with all its files; a batch that reads it goes on."""
    wanted = ids.parse(ids.Kind.DIRECTORY, directory_id)
    await directory_service.delete_directory(uow, project_id, wanted)
