"""Parse jobs (contract 2.5)."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

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
    TheCaller,
    TheDoor,
    TheGate,
    TheLinks,
    Uow,
    known_ids,
    read_json,
)
from services.api.dependencies import door as door_of
from services.api.downloads import PART_PATH, LinkQuery, safe_headers
from services.api.paging import PageOf
from services.api.parse_parts import BY_KEY, PART, contents, expanded, file_of, needs_result, wanted_parts
from services.api.parse_shape import (
    DeletedOut,
    LatestVersions,
    ParseJobOut,
    ParseResultOut,
    ParseStatus,
    ParseVersionsOut,
    show,
)
from services.api.repeats import Once, OnceForForm
from services.api.short_cuts import ShortCutRoute, with_short_cut
from services.api.uploads import Form, form_of
from shared import ids
from shared.configurations import options
from shared.configurations import service as configuration_service
from shared.configurations.options import LATEST_VERSIONS, ParseRequest
from shared.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput, NotFound
from shared.files import service as file_service
from shared.files.model import File
from shared.jobs import opening
from shared.jobs import service as job_service
from shared.jobs.lifecycle import JobType
from shared.jobs.service import JobFilters, JobView
from shared.webhooks import service as webhook_service
from shared.webhooks.service import Endpoint

router = APIRouter(tags=["parse"], route_class=ShortCutRoute)
BASE = "/api/v2/parse"


class ParseQuery(BaseModel):
    """What a list is narrowed by; times are inclusive."""

    status: ParseStatus | None = None
    job_ids: list[str] | None = None
    created_at_on_or_after: Moment | None = None
    created_at_on_or_before: Moment | None = None


async def filters_of(asked: Annotated[ParseQuery, Query()]) -> JobFilters:
    """The same for the room; ids that are none match nothing."""
    return JobFilters(
        status=asked.status,
        job_ids=known_ids(ids.Kind.PARSE_JOB, asked.job_ids),
        created_at_on_or_after=asked.created_at_on_or_after,
        created_at_on_or_before=asked.created_at_on_or_before,
    )


@router.post(BASE)
async def create(
    uow: Uow, gate: TheGate, project_id: ProjectId, once: Once, asked: ParseRequest
) -> ParseJobOut:
    """Parse a file that was uploaded before."""
    if asked.source_url is not None:
        raise InvalidInput(
            "source_url is not available on this server: upload the file and send its file_id."
        )
    if asked.file_id is None:
        raise InvalidInput("file_id is missing: say which file to parse.")
    parameters = await configuration_service.resolve_request(uow, project_id, asked)
    webhooks = await webhook_service.endpoints_asked(uow, gate, project_id, *options.webhooks_of(asked))
    file = await inputs.file_of(uow, project_id, asked.file_id)
    return await once.keep(show(await _open(uow, file, parameters, webhooks)))


@router.post(BASE + "/upload", openapi_extra=form_of("file", "configuration", required=("configuration",)))
async def upload(
    request: Request,
    uow: Uow,
    project_id: ProjectId,
    storage: Storage,
    door: TheDoor,
    once: OnceForForm,
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
        await once.begin(stored.sha256, *form.told(name))
        if not stored.size_bytes:
            raise InvalidInput("The file is empty.")
        if not form.fields.get("configuration"):
            raise InvalidInput("The form has no field 'configuration'.")
        asked: ParseRequest = read_json(ParseRequest, form.fields["configuration"], "configuration")
        if asked.source_url is not None or asked.file_id is not None:
            raise InvalidInput("The form brings its own file: leave file_id and source_url out.")
        parameters = await configuration_service.resolve_request(uow, project_id, asked)
        brought = options.webhooks_of(asked)
        webhooks = await webhook_service.endpoints_asked(uow, door.webhooks, project_id, *brought)
        file = await file_service.add_file(uow, project_id, stored, name=name, purpose="parse")
        return await once.keep(show(await _open(uow, file, parameters, webhooks)))


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


@router.get(BASE + "/versions")
async def versions(_who: TheCaller) -> ParseVersionsOut:
    """The version that `latest` means, by tier. An older date is accepted too; one engine does the work."""
    latest = LatestVersions(**LATEST_VERSIONS)
    return ParseVersionsOut(**{tier: [date] for tier, date in LATEST_VERSIONS.items()}, latest=latest)


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
    uow: Uow,
    project_id: ProjectId,
    job_id: str,
    expand: Expand,
    storage: Storage,
    links: TheLinks,
    _image_filenames: Annotated[
        str | None, Query(alias="image_filenames", description="Pictures are not saved here.")
    ] = None,
) -> ParseResultOut:
    """One job; before it is COMPLETED, and after it failed, whatever is expanded is null."""
    wanted = ids.parse(ids.Kind.PARSE_JOB, job_id)
    view = await job_service.get_job(uow, project_id, JobType.PARSE, wanted)
    answer = ParseResultOut(job=show(view))
    if not needs_result(expand):
        return answer
    # No transaction stays open while the storage is read (law 2).
    await uow.commit()
    document = await job_service.read_result(storage, view)
    if document is None:
        return answer
    found = await asyncio.to_thread(expanded, document, expand)
    if view.reused and "job_metadata" in found:
        found["job_metadata"] |= {"reused": True}
    if parts := wanted_parts(expand):
        found["result_content_metadata"] = await asyncio.to_thread(
            contents, document, parts, links, project_id, wanted
        )
    return answer.model_copy(update=found)


@router.get(PART_PATH, response_class=Response, responses=PART)
async def download_part(
    uow: Uow, storage: Storage, links: TheLinks, job_id: str, part: str, link: Annotated[LinkQuery, Query()]
) -> Response:
    """A part of a result as a file, for whoever holds a link: no key is asked for."""
    tenant = ids.parse(ids.Kind.PROJECT, link.project_id)
    wanted = ids.parse(ids.Kind.PARSE_JOB, job_id)
    links.check_part(tenant, wanted, part, link.expires, link.signature)
    view = await job_service.get_job(uow, tenant, JobType.PARSE, wanted)
    await uow.commit()
    document = await job_service.read_result(storage, view)
    raw = None
    if document is not None and part in BY_KEY:
        raw = await asyncio.to_thread(file_of, document, BY_KEY[part])
    if raw is None:
        raise NotFound(f"This job has no {part[:80]!r}.")
    kind = BY_KEY[part]
    headers = safe_headers(f"{view.name}.{part}.{kind.suffix}")
    return Response(raw, media_type=kind.media_type, headers=headers)


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
) -> DeletedOut:
    """Hide a job that is final; one that is not: 409, unless `force` cancels it first. Its result is no
    longer reused; jobs that share it keep it."""
    wanted = ids.parse(ids.Kind.PARSE_JOB, job_id)
    await job_service.delete_job(uow, project_id, JobType.PARSE, wanted, force=force)
    return DeletedOut(
        id=ids.show(ids.Kind.PARSE_JOB, wanted), project_id=ids.show(ids.Kind.PROJECT, project_id)
    )


async def _open(
    uow: UnitOfWork, file: File, parameters: dict[str, Any], webhooks: Sequence[Endpoint]
) -> JobView:
    return await opening.open_parse_job(
        uow,
        project_id=file.project_id,
        file_id=file.id,
        name=file.name,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        parameters=parameters,
        webhooks=webhooks,
    )
