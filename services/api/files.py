"""Files: upload, list, read, delete (contract 2.3)."""

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from services.api.dependencies import (
    Expand,
    ProjectId,
    ProjectPage,
    Storage,
    TheDoor,
    TheLinks,
    Uow,
    known_ids,
    page_of,
)
from services.api.downloads import BYTES, LinkQuery, Links, PresignedUrl, safe_headers
from services.api.downloads import PATH as DOWNLOAD
from services.api.paging import PageOf
from services.api.repeats import OnceForForm
from services.api.uploads import Form, form_of
from shared import ids
from shared.errors import InvalidInput, NotFound
from shared.files import service as file_service
from shared.files.model import File
from shared.files.service import FileFilters
from shared.jobs import service as job_service
from shared.storage.by_reference import FileTrouble, Reference
from shared.storage.port import BlobMissing

router = APIRouter(tags=["files"])
BASE = "/api/v1/beta/files"
UPLOAD = form_of("file", "purpose", "external_file_id", required=("purpose",))


class FileOut(BaseModel):
    """A file on the wire."""

    id: str
    name: str
    project_id: str
    external_file_id: str | None
    file_type: str | None
    purpose: str | None
    last_modified_at: datetime | None
    expires_at: datetime | None
    download_url: PresignedUrl | None = None
    # Not of the contract: it spares callers a download to learn the size.
    size_bytes: int
    created_at: datetime


class FileQuery(BaseModel):
    """What a list is narrowed by, and its order: `name`, `id` or `created_at`."""

    file_name: str | None = None
    file_ids: list[str] | None = None
    external_file_id: str | None = None
    order_by: str | None = None


class FileFilterIn(BaseModel):
    """What a query is narrowed by. No file has a data source here, so `data_source_id` matches none."""

    project_id: str | None = None
    # Of a hundred thousand wrong ones the first is told: to write down each would keep others waiting.
    file_ids: Annotated[list[str], Field(fail_fast=True)] | None = None
    file_name: str | None = None
    data_source_id: str | None = None
    external_file_id: str | None = None
    only_manually_uploaded: bool | None = None


class FileQueryIn(BaseModel):
    """A list as it is asked for by a body."""

    page_size: int | None = None
    page_token: str | None = None
    filter: FileFilterIn | None = None
    order_by: str | None = None


def show(file: File, links: Links | None = None) -> FileOut:
    """The row as the contract has it; with `links`, its download URL too."""
    return FileOut(
        id=ids.show(ids.Kind.FILE, file.id),
        name=file.name,
        project_id=ids.show(ids.Kind.PROJECT, file.project_id),
        external_file_id=file.external_file_id,
        file_type=file.file_type,
        purpose=file.purpose,
        last_modified_at=file.last_modified_at,
        expires_at=file.expires_at,
        download_url=links.to(file.project_id, file.id) if links else None,
        size_bytes=file.size_bytes,
        created_at=file.created_at,
    )


async def filters_of(asked: Annotated[FileQuery, Query()]) -> FileQuery:
    """A model of its own: FastAPI reads it beside the parameters of other dependencies only so."""
    return asked


async def shown(expand: Expand, links: TheLinks) -> Callable[[File], FileOut]:
    """`show`, with download links when they are asked for."""
    return partial(show, links=links if "download_url" in expand else None)


Asked = Annotated[FileQuery, Depends(filters_of)]
Shown = Annotated[Callable[[File], FileOut], Depends(shown)]


@router.post(BASE, status_code=201, openapi_extra=UPLOAD)
async def create(
    request: Request, uow: Uow, project_id: ProjectId, storage: Storage, door: TheDoor, once: OnceForForm
) -> FileOut:
    """Upload a file. An empty one, one without a name, and a form without purpose are 400."""
    form = Form(request, file_field="file", max_bytes=door.max_upload_bytes)
    # The head of the form comes as slowly as the client likes: no transaction waits for it (law 2).
    await uow.commit()
    await door.space.insist(request.headers.get("content-length"))
    part = await form.open_file()
    if part.name is None:
        raise InvalidInput("The part 'file' has no file name.")
    name = file_service.clean_name(part.name)
    async with file_service.receive(uow, storage, project_id, part.chunks) as stored:
        await form.rest()
        await once.begin(stored.sha256, *form.told(name))
        if not stored.size_bytes:
            raise InvalidInput("The file is empty.")
        if not form.fields.get("purpose"):
            raise InvalidInput("The form has no field 'purpose'.")
        file = await file_service.add_file(
            uow,
            project_id,
            stored,
            name=name,
            purpose=form.fields["purpose"],
            external_file_id=form.fields.get("external_file_id") or None,
        )
        return await once.keep(show(file))


@router.get(BASE)
async def list_pages(
    uow: Uow, project_id: ProjectId, page: ProjectPage, asked: Asked, shown: Shown
) -> PageOf[FileOut]:
    """A page of the project's files, newest first unless `order_by` says otherwise."""
    found = await file_service.list_files(
        uow,
        project_id,
        filters=FileFilters(
            file_ids=known_ids(ids.Kind.FILE, asked.file_ids),
            name=asked.file_name,
            external_file_id=asked.external_file_id,
        ),
        order_by=asked.order_by,
        size=page.size,
        after=page.after,
        count=page.count,
    )
    return page.answer(found, shown)


@router.post(BASE + "/query", deprecated=True)
async def query(request: Request, uow: Uow, project_id: ProjectId, asked: FileQueryIn) -> PageOf[FileOut]:
    """The list, asked for by a body: older clients do so."""
    wanted = asked.filter or FileFilterIn()
    if wanted.project_id is not None and ids.parse(ids.Kind.PROJECT, wanted.project_id) != project_id:
        raise NotFound(f"No project has the id {wanted.project_id[:80]!r}.")
    body = json.dumps([wanted.model_dump(), asked.order_by])
    page = page_of(request, project_id, asked.page_size, asked.page_token, count=False, body=body)
    file_ids = [] if wanted.data_source_id is not None else known_ids(ids.Kind.FILE, wanted.file_ids)
    found = await file_service.list_files(
        uow,
        project_id,
        filters=FileFilters(
            file_ids=file_ids,
            name=wanted.file_name,
            external_file_id=wanted.external_file_id,
            uploaded_only=bool(wanted.only_manually_uploaded),
        ),
        order_by=asked.order_by,
        size=page.size,
        after=page.after,
    )
    return page.answer(found, show)


@router.get(BASE + "/{file_id}")
async def get(uow: Uow, project_id: ProjectId, file_id: str, shown: Shown) -> FileOut:
    """One file's record."""
    return shown(await file_service.get_file(uow, project_id, ids.parse(ids.Kind.FILE, file_id)))


@router.delete(BASE + "/{file_id}", status_code=204)
async def delete(uow: Uow, project_id: ProjectId, file_id: str) -> None:
    """Hide it; directories and jobs that have it keep its bytes. What was made of it is no longer reused."""
    file = await file_service.get_file(uow, project_id, ids.parse(ids.Kind.FILE, file_id))
    await file_service.delete_file(uow, project_id, file.id)
    if file.sha256 is not None:
        await job_service.forget_results_of(uow, project_id, file.sha256)


@router.get(BASE + "/{file_id}/content")
async def content(
    uow: Uow,
    project_id: ProjectId,
    file_id: str,
    links: TheLinks,
    expires_at_seconds: Annotated[int | None, Query(description="Life of the link in seconds.")] = None,
) -> PresignedUrl:
    """A link to the bytes that needs no key."""
    file = await file_service.get_file(uow, project_id, ids.parse(ids.Kind.FILE, file_id))
    return links.to(project_id, file.id, life_s=expires_at_seconds)


@router.get(DOWNLOAD, response_class=StreamingResponse, responses=BYTES)
async def download(
    uow: Uow,
    storage: Storage,
    door: TheDoor,
    links: TheLinks,
    file_id: str,
    link: Annotated[LinkQuery, Query()],
) -> Any:
    """The bytes, for whoever holds a link: no key is asked for."""
    tenant = ids.parse(ids.Kind.PROJECT, link.project_id)
    wanted = ids.parse(ids.Kind.FILE, file_id)
    links.check(tenant, wanted, link.expires, link.signature)
    # Deleting a file from the list does not break a link to a directory's file with the same bytes.
    file = (await file_service.files_by_id(uow, tenant, [wanted])).get(wanted)
    if file is None:
        raise NotFound(f"No file has the id {file_id[:80]!r}.")
    await uow.commit()
    try:
        if file.source_version is None:
            pieces = await storage.stream(file.storage_key)
        else:
            reference = Reference(file.storage_key, file.size_bytes, file.source_version)
            pieces = await door.resources.sources.start(reference)
    except FileTrouble as trouble:
        raise NotFound(trouble.message) from None
    except BlobMissing:
        raise NotFound("The bytes of this file are gone.") from None
    headers = {**safe_headers(file.name), "content-length": str(file.size_bytes)}
    return StreamingResponse(pieces, media_type="application/octet-stream", headers=headers)
