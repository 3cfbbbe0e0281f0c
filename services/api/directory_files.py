"""The files of a directory (contract 2.2)."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from services.api.dependencies import (
    Expand,
    Moment,
    ProjectId,
    ProjectPage,
    Storage,
    TheDoor,
    TheLinks,
    Uow,
    known_ids,
)
from services.api.downloads import Links, PresignedUrl
from services.api.entries import FILE_FIELD, receive_entry
from services.api.paging import PageOf
from services.api.uploads import form_of
from shared import ids
from shared.batches import service as batch_service
from shared.directories import service as directory_service
from shared.directories.model import DirectoryFile
from shared.directories.service import EntryFilters
from shared.files import service as file_service

router = APIRouter(tags=["directory files"])
BASE = "/api/v1/beta/directories/{directory_id}/files"
ONE = BASE + "/{directory_file_id}"
UPLOAD = form_of(FILE_FIELD, "display_name", "unique_id", "external_file_id", "metadata")

NO_ID = UUID(int=0)


class EntryIn(BaseModel):
    """A stored file to place in a directory."""

    file_id: str
    display_name: Annotated[str, Field(max_length=3_000)] | None = None
    unique_id: str | None = None
    metadata: dict[str, Any] | None = None


class EntryChanges(BaseModel):
    """What is not sent stays."""

    display_name: Annotated[str, Field(max_length=3_000)] | None = None
    unique_id: str | None = None
    metadata: dict[str, Any] | None = None
    target_directory_id: str | None = None


class EntriesToDelete(BaseModel):
    """Files of one directory."""

    directory_file_ids: Annotated[list[str], Field(min_length=1, max_length=100)]


class EntryQuery(BaseModel):
    """What a list is narrowed by."""

    display_name: str | None = None
    display_name_contains: str | None = None
    unique_id: str | None = None
    file_id: str | None = None
    include_deleted: bool = False
    updated_at_on_or_after: Moment | None = None
    updated_at_on_or_before: Moment | None = None


async def filters_of(asked: Annotated[EntryQuery, Query()]) -> EntryFilters:
    """The same for the room; a file_id that is none matches nothing."""
    given = asked.model_dump(exclude={"file_id"})
    if asked.file_id is None:
        return EntryFilters(**given)
    return EntryFilters(**given, file_id=(known_ids(ids.Kind.FILE, [asked.file_id]) or [NO_ID])[0])


Filters = Annotated[EntryFilters, Depends(filters_of)]


class EntryOut(BaseModel):
    """A directory's file on the wire."""

    id: str
    directory_id: str
    display_name: str
    project_id: str
    unique_id: str
    file_id: str
    external_file_id: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    download_url: PresignedUrl | None = None


def show(entry: DirectoryFile, links: Links | None = None) -> EntryOut:
    """The row as the contract has it; with `links`, its download URL too."""
    return EntryOut(
        id=ids.show(ids.Kind.DIRECTORY_FILE, entry.id),
        directory_id=ids.show(ids.Kind.DIRECTORY, entry.directory_id),
        display_name=entry.display_name,
        project_id=ids.show(ids.Kind.PROJECT, entry.project_id),
        unique_id=entry.unique_id,
        file_id=ids.show(ids.Kind.FILE, entry.file_id),
        external_file_id=entry.external_file_id,
        metadata=entry.file_metadata or {},
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        deleted_at=entry.deleted_at,
        download_url=links.to(entry.project_id, entry.file_id) if links else None,
    )


async def shown(expand: Expand, links: TheLinks) -> Callable[[DirectoryFile], EntryOut]:
    """`show`, with download links when they are asked for."""
    return partial(show, links=links if "download_url" in expand else None)


Shown = Annotated[Callable[[DirectoryFile], EntryOut], Depends(shown)]


@router.post(BASE + "/upload", status_code=201, openapi_extra=UPLOAD)
async def upload(
    request: Request,
    uow: Uow,
    project_id: ProjectId,
    directory_id: str,
    storage: Storage,
    door: TheDoor,
) -> EntryOut:
    """Upload into the directory. The same bytes under the same unique_id again: the file that is there."""
    wanted = ids.parse(ids.Kind.DIRECTORY, directory_id)
    return show(await receive_entry(request, uow, storage, door, project_id=project_id, directory_id=wanted))


@router.post(BASE, status_code=201)
async def add(uow: Uow, project_id: ProjectId, directory_id: str, asked: EntryIn) -> EntryOut:
    """Place a file that was uploaded before."""
    directory = await directory_service.get_directory(
        uow, project_id, ids.parse(ids.Kind.DIRECTORY, directory_id)
    )
    file = await file_service.get_file(uow, project_id, ids.parse(ids.Kind.FILE, asked.file_id))
    entry = await directory_service.add_entry(
        uow,
        directory,
        file,
        display_name=asked.display_name,
        unique_id=asked.unique_id,
        metadata=asked.metadata,
    )
    return show(entry)


@router.get(BASE)
async def list_pages(
    uow: Uow,
    project_id: ProjectId,
    directory_id: str,
    page: ProjectPage,
    filters: Filters,
    shown: Shown,
) -> PageOf[EntryOut]:
    """A page, the last placed first."""
    found = await directory_service.list_entries(
        uow,
        project_id,
        ids.parse(ids.Kind.DIRECTORY, directory_id),
        filters=filters,
        size=page.size,
        after=page.after,
        count=page.count,
    )
    return page.answer(found, shown)


@router.get(ONE)
async def get(
    uow: Uow, project_id: ProjectId, directory_id: str, directory_file_id: str, shown: Shown
) -> EntryOut:
    """One file of the directory."""
    place = _place(directory_id, directory_file_id)
    return shown(await directory_service.get_entry(uow, project_id, *place))


@router.patch(ONE)
async def change(
    uow: Uow, project_id: ProjectId, directory_id: str, directory_file_id: str, asked: EntryChanges
) -> EntryOut:
    """Another name, unique_id or metadata; with `target_directory_id` it moves there, and keeps its id.
    While a batch that is not final reads the directory, a move is 409."""
    changes = asked.model_dump(exclude_unset=True, exclude={"target_directory_id"})
    source, entry = _place(directory_id, directory_file_id)
    if asked.target_directory_id is not None:
        target = ids.parse(ids.Kind.DIRECTORY, asked.target_directory_id)
        if target != source:
            await batch_service.move_file(
                uow, project_id, source, entry, target, unique_id=changes.pop("unique_id", None)
            )
        source = target
    return show(await directory_service.change_entry(uow, project_id, source, entry, changes))


@router.post(BASE + "/bulk-delete", status_code=204)
async def delete_many(uow: Uow, project_id: ProjectId, directory_id: str, asked: EntriesToDelete) -> None:
    """Take up to 100 files out, all or none: one that is not in this directory is 404."""
    entries = [ids.parse(ids.Kind.DIRECTORY_FILE, one) for one in asked.directory_file_ids]
    directory = ids.parse(ids.Kind.DIRECTORY, directory_id)
    await directory_service.delete_entries(uow, project_id, directory, entries)


@router.delete(ONE, status_code=204)
async def delete(uow: Uow, project_id: ProjectId, directory_id: str, directory_file_id: str) -> None:
    """Take it out; its unique_id is free again."""
    await directory_service.delete_entry(uow, project_id, *_place(directory_id, directory_file_id))


def _place(directory_id: str, directory_file_id: str) -> tuple[UUID, UUID]:
    return (
        ids.parse(ids.Kind.DIRECTORY, directory_id),
        ids.parse(ids.Kind.DIRECTORY_FILE, directory_file_id),
    )
