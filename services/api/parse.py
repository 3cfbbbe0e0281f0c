"""Parse jobs (contract 2.5)."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from services.api import inputs, short_cuts
from services.api.dependencies import (
    Expand,
    Moment,
    ProjectId,
    ProjectPage,
    Storage,
    TheDoor,
    Uow,
    known_ids,
    read_json,
)
from services.api.dependencies import door as door_of
from services.api.paging import PageOf
from services.api.short_cuts import ShortCutRoute, with_short_cut
from services.api.uploads import Form, form_of
from shared import ids
from shared.configurations import service as configuration_service
from shared.configurations.options import ParseRequest
from shared.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput
from shared.files import service as file_service
from shared.files.model import File
from shared.jobs import result as results
from shared.jobs import service as job_service
from shared.jobs.lifecycle import JobType
from shared.jobs.result import ResultDocument
from shared.jobs.service import JobFilters, JobView

router = APIRouter(tags=["parse"], route_class=ShortCutRoute)
BASE = "/api/v2/parse"


class ParseStatus(StrEnum):
    """The states a parse job shows."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ParseJobOut(BaseModel):
    """A parse job on the wire."""

    id: str
    project_id: str
    status: ParseStatus
    created_at: datetime
    updated_at: datetime
    error_message: str | None
    name: str | None
    tier: str | None
    user_metadata: dict[str, str] | None
    # Not of the contract: the code alone, for programs.
    error_code: str | None = None


class ParseQuery(BaseModel):
    """What a list is narrowed by; times are inclusive."""

    status: ParseStatus | None = None
    job_ids: list[str] | None = None
    created_at_on_or_after: Moment | None = None
    created_at_on_or_before: Moment | None = None


class ParseResultOut(BaseModel):
    """A job and what was asked to be expanded; the rest is null, and all of it until the job is COMPLETED."""

    job: ParseJobOut
    text: dict[str, Any] | None = None
    markdown: dict[str, Any] | None = None
    items: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    forms: dict[str, Any] | None = None
    text_full: str | None = None
    markdown_full: str | None = None
    job_metadata: dict[str, Any] | None = None
    result_content_metadata: dict[str, Any] | None = None
    images_content_metadata: dict[str, Any] | None = None


async def filters_of(asked: Annotated[ParseQuery, Query()]) -> JobFilters:
    """The same for the room; ids that are none match nothing."""
    return JobFilters(
        status=asked.status,
        job_ids=known_ids(ids.Kind.PARSE_JOB, asked.job_ids),
        created_at_on_or_after=asked.created_at_on_or_after,
        created_at_on_or_before=asked.created_at_on_or_before,
    )


def show(view: JobView) -> ParseJobOut:
    """The job as the contract has it: the failure code stands before its message."""
    config = view.config or {}
    message = view.error_message
    if view.error_code is not None:
        message = f"{view.error_code}: {message}" if message else view.error_code
    return ParseJobOut(
        id=ids.show(ids.Kind.PARSE_JOB, view.id),
        project_id=ids.show(ids.Kind.PROJECT, view.project_id),
        status=ParseStatus(view.status),
        created_at=view.created_at,
        updated_at=view.updated_at,
        error_message=message,
        name=view.name,
        tier=config.get("tier"),
        user_metadata=config.get("user_metadata"),
        error_code=view.error_code,
    )


@router.post(BASE)
async def create(uow: Uow, project_id: ProjectId, asked: ParseRequest) -> ParseJobOut:
    """Parse a file that was uploaded before."""
    if asked.source_url is not None:
        raise InvalidInput(
            "source_url is not available on this server: upload the file and send its file_id."
        )
    if asked.file_id is None:
        raise InvalidInput("file_id is missing: say which file to parse.")
    parameters = await configuration_service.resolve_request(uow, project_id, asked)
    file = await inputs.file_of(uow, project_id, asked.file_id)
    return show(await _open(uow, file, parameters))


@router.post(BASE + "/upload", openapi_extra=form_of("file", "configuration", required=("configuration",)))
async def upload(
    request: Request, uow: Uow, project_id: ProjectId, storage: Storage, door: TheDoor
) -> ParseJobOut:
    """Upload a file and parse it: the form's `configuration` is the body of a parse request as text."""
    form = Form(request, file_field="file", max_bytes=door.max_upload_bytes)
    # The head of the form comes as slowly as the client likes: no transaction waits for it (law 2).
    await uow.commit()
    await door.space.insist(request.headers.get("content-length"))
    part = await form.open_file()
    name = file_service.clean_name(part.name)
    async with file_service.receive(uow, storage, project_id, part.chunks) as stored:
        await form.rest()
        if not stored.size_bytes:
            raise InvalidInput("The file is empty.")
        if not form.fields.get("configuration"):
            raise InvalidInput("The form has no field 'configuration'.")
        asked: ParseRequest = read_json(ParseRequest, form.fields["configuration"], "configuration")
        if asked.source_url is not None or asked.file_id is not None:
            raise InvalidInput("The form brings its own file: leave file_id and source_url out.")
        parameters = await configuration_service.resolve_request(uow, project_id, asked)
        file = await file_service.add_file(uow, project_id, stored, name=name, purpose="parse")
        return show(await _open(uow, file, parameters))


@router.get(BASE)
async def list_pages(
    uow: Uow,
    project_id: ProjectId,
    page: ProjectPage,
    filters: Annotated[JobFilters, Depends(filters_of)],
) -> PageOf[ParseJobOut]:
    """A page of parse jobs, newest first, those of batches included."""
    found = await job_service.list_jobs(
        uow,
        project_id,
        JobType.PARSE,
        filters=filters,
        size=page.size,
        after=page.after,
        count=page.count,
    )
    return page.answer(found, show)


async def _plain_job(request: Request) -> Response | None:
    project_id = short_cuts.project_of(request)
    job_id = short_cuts.id_of(request, ids.Kind.PARSE_JOB, "job_id")
    if project_id is None or job_id is None:
        return None
    view = await job_service.read_parse_job(door_of(request).resources.reader, project_id, job_id)
    return None if view is None else short_cuts.answer(ParseResultOut(job=show(view)))


@router.get(BASE + "/{job_id}")
@with_short_cut(_plain_job)
async def get(
    uow: Uow, project_id: ProjectId, job_id: str, expand: Expand, storage: Storage
) -> ParseResultOut:
    """One job; before it is COMPLETED, and after it failed, whatever is expanded is null."""
    wanted = ids.parse(ids.Kind.PARSE_JOB, job_id)
    view = await job_service.get_job(uow, project_id, JobType.PARSE, wanted)
    answer = ParseResultOut(job=show(view))
    if expand & EXPANDED.keys():
        # No transaction stays open while the storage is read (law 2).
        await uow.commit()
        document = await job_service.read_result(storage, view)
        if document is not None:
            parts = await asyncio.to_thread(_expanded, document, expand)
            if view.reused and "job_metadata" in parts:
                parts["job_metadata"] |= {"reused": True}
            answer = answer.model_copy(update=parts)
    return answer


@router.post(BASE + "/{job_id}/cancel")
async def cancel(uow: Uow, project_id: ProjectId, job_id: str) -> ParseJobOut:
    """Ask a job to end, one of a batch too. It answers at once and may still be RUNNING; one that finishes
    first keeps its result. A job that is final already: 409."""
    wanted = ids.parse(ids.Kind.PARSE_JOB, job_id)
    return show(await job_service.cancel_job(uow, project_id, JobType.PARSE, wanted))


@router.delete(BASE + "/{job_id}")
async def delete(
    uow: Uow,
    project_id: ProjectId,
    job_id: str,
    force: Annotated[bool, Query(description="Cancel it first if it is not final.")] = False,  # noqa: FBT002
) -> dict[str, str]:
    """Hide a job that is final; one that is not: 409, unless `force` cancels it first. Its result is no
    longer reused; jobs that share it keep it."""
    wanted = ids.parse(ids.Kind.PARSE_JOB, job_id)
    await job_service.delete_job(uow, project_id, JobType.PARSE, wanted, force=force)
    return {
        "id": ids.show(ids.Kind.PARSE_JOB, wanted),
        "project_id": ids.show(ids.Kind.PROJECT, project_id),
    }


def _pages(pages: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return None if pages is None else {"pages": pages}


EXPANDED: Final[Mapping[str, Callable[[ResultDocument], Any]]] = {
    "text": lambda document: _pages(results.text_pages(document)),
    "markdown": lambda document: _pages(results.markdown_pages(document)),
    "items": lambda document: _pages(results.item_pages(document)),
    "metadata": lambda document: {
        "pages": results.metadata_pages(document),
        "document": dict(document.document),
    },
    "text_full": results.text_full,
    "markdown_full": results.markdown_full,
    "job_metadata": lambda document: {"engine": document.engine, **document.job_metadata},
}


def _expanded(document: ResultDocument, wanted: frozenset[str]) -> dict[str, Any]:
    return {name: make(document) for name, make in EXPANDED.items() if name in wanted}


async def _open(uow: UnitOfWork, file: File, parameters: dict[str, Any]) -> JobView:
    return await job_service.open_parse_job(
        uow,
        project_id=file.project_id,
        file_id=file.id,
        name=file.name,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        parameters=parameters,
    )
