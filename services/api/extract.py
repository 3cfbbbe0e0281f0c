"""Extract jobs (contract 2.6)."""

import asyncio
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.api.dependencies import Expand, Moment, ProjectId, ProjectPage, Storage, TheGate, Uow, known_ids
from services.api.extract_shape import (
    DeletedOut,
    ExtractJobOut,
    ExtractStatus,
    configuration_of,
    metadata_of,
    show,
)
from services.api.inputs import input_of
from services.api.paging import PageOf
from services.api.repeats import Once
from shared import ids
from shared.configurations import options
from shared.configurations import service as configuration_service
from shared.configurations.options import ExtractRequest
from shared.db.repository import DEFAULT_PAGE
from shared.jobs import opening
from shared.jobs import service as job_service
from shared.jobs.lifecycle import JobType
from shared.jobs.service import JobFilters, JobView
from shared.storage.port import BlobStorage
from shared.webhooks import service as webhook_service

router = APIRouter(tags=["extract"])
BASE = "/api/v2/extract"
READ_AT_ONCE: Final = 8


class ExtractQuery(BaseModel):
    """What a list is narrowed by; times are inclusive. `document_input_value` is the older name of
    `file_input`."""

    status: ExtractStatus | None = None
    configuration_id: str | None = None
    file_input: str | None = None
    document_input_type: Literal["file_id", "parse_job_id"] | None = None
    document_input_value: str | None = None
    job_ids: list[str] | None = None
    created_at_on_or_after: Moment | None = None
    created_at_on_or_before: Moment | None = None


async def filters_of(asked: Annotated[ExtractQuery, Query()]) -> JobFilters:
    """The same for the room; ids that are none match nothing."""
    kind = asked.document_input_type
    return JobFilters(
        status=asked.status,
        job_ids=known_ids(ids.Kind.EXTRACT_JOB, asked.job_ids),
        configuration_id=asked.configuration_id,
        file_input=asked.file_input or asked.document_input_value,
        of_parse_jobs=None if kind is None else kind == "parse_job_id",
        created_at_on_or_after=asked.created_at_on_or_after,
        created_at_on_or_before=asked.created_at_on_or_before,
    )


@router.post(BASE)
async def create(
    uow: Uow, gate: TheGate, project_id: ProjectId, once: Once, asked: ExtractRequest
) -> ExtractJobOut:
    """Extract from a file that was uploaded before, or from what a parse job made."""
    parameters = await configuration_service.resolve_extract_request(uow, project_id, asked)
    webhooks = await webhook_service.endpoints_asked(uow, gate, project_id, *options.webhooks_of(asked))
    source = await input_of(uow, project_id, asked.file_input)
    view = await opening.open_extract_job(
        uow,
        source,
        parameters=parameters,
        configuration_id=asked.configuration_id,
        webhooks=webhooks,
    )
    return await once.keep(show(view))


@router.get(BASE)
async def list_pages(
    uow: Uow,
    project_id: ProjectId,
    page: ProjectPage,
    filters: Annotated[JobFilters, Depends(filters_of)],
    expand: Expand,
    storage: Storage,
) -> PageOf[ExtractJobOut]:
    """A page of extract jobs, newest first, those of batches included. Results are in none of them."""
    # For the metadata whole results are read: a page of them is a small one.
    size = min(page.size, DEFAULT_PAGE) if "extract_metadata" in expand else page.size
    found = await job_service.list_jobs(
        uow, project_id, JobType.EXTRACT, filters=filters, size=size, after=page.after, count=page.count
    )
    views = found.items
    if expand & {"configuration", "extract_metadata"}:
        views = await job_service.with_configs(uow, views)
    answer = page.answer(found, show)
    if "configuration" in expand:
        for out, view in zip(answer.items, views, strict=True):
            out.configuration = configuration_of(view)
    if "extract_metadata" in expand:
        # No transaction stays open while the storage is read (law 2).
        await uow.commit()
        turns = asyncio.Semaphore(READ_AT_ONCE)
        await asyncio.gather(
            *(_add_metadata(storage, turns, *one) for one in zip(answer.items, views, strict=True))
        )
    return answer


@router.get(BASE + "/{job_id}")
async def get(
    uow: Uow, project_id: ProjectId, job_id: str, expand: Expand, storage: Storage
) -> ExtractJobOut:
    """One job with its values. Where each comes from is told when `expand=extract_metadata` or the
    configuration asks for it."""
    wanted = ids.parse(ids.Kind.EXTRACT_JOB, job_id)
    view = await job_service.get_job(uow, project_id, JobType.EXTRACT, wanted)
    answer = show(view)
    if "configuration" in expand:
        answer.configuration = configuration_of(view)
    await uow.commit()
    if view.why_no_result is not None:
        # The job is still there to be read; only what it gave is not.
        answer.metadata = {"note": view.why_no_result}
        return answer
    document = await job_service.read_result(storage, view)
    if document is None or document.extraction is None:
        return answer
    answer.extract_result = document.extraction.data
    answer.metadata = {**document.job_metadata, "extract_engine": document.extraction.engine}
    config = view.config or {}
    if "extract_metadata" in expand or config.get("cite_sources") or config.get("confidence_scores"):
        answer.extract_metadata = metadata_of(view, document)
    return answer


@router.post(BASE + "/{job_id}/cancel")
async def cancel(uow: Uow, project_id: ProjectId, job_id: str) -> ExtractJobOut:
    """Ask a job to end. It answers at once and may still be RUNNING. A job that is final already: 409."""
    wanted = ids.parse(ids.Kind.EXTRACT_JOB, job_id)
    return show(await job_service.cancel_job(uow, project_id, JobType.EXTRACT, wanted))


@router.delete(BASE + "/{job_id}")
async def delete(
    uow: Uow,
    project_id: ProjectId,
    job_id: str,
    force: Annotated[bool, Query(description="Cancel it first if it is not final.")] = False,  # noqa: FBT002
) -> DeletedOut:
    """Hide a job that is final; one that is not: 409, unless `force` cancels it first."""
    wanted = ids.parse(ids.Kind.EXTRACT_JOB, job_id)
    await job_service.delete_job(uow, project_id, JobType.EXTRACT, wanted, force=force)
    return DeletedOut(
        id=ids.show(ids.Kind.EXTRACT_JOB, wanted), project_id=ids.show(ids.Kind.PROJECT, project_id)
    )


async def _add_metadata(
    storage: BlobStorage, turns: asyncio.Semaphore, out: ExtractJobOut, view: JobView
) -> None:
    if view.why_no_result is not None:
        return
    async with turns:
        document = await job_service.read_result(storage, view)
    if document is not None and document.extraction is not None:
        out.extract_metadata = metadata_of(view, document)
