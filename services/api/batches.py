"""Batches (contract 1)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from services.api import short_cuts
from services.api.batch_shape import BASE, BatchConfig, BatchOut, ThresholdIn, show, show_progress
from services.api.dependencies import (
    Expand,
    Moment,
    ProjectId,
    ProjectPage,
    TheDoor,
    TheGate,
    Uow,
    known_ids,
)
from services.api.dependencies import door as door_of
from services.api.mapping_stream import with_results
from services.api.paging import PageOf
from services.api.repeats import Once
from services.api.short_cuts import ShortCutRoute, with_short_cut
from shared import ids
from shared.batches import explain as batch_explain
from shared.batches import service as batch_service
from shared.batches.lifecycle import BatchStatus
from shared.batches.service import BatchFilters
from shared.webhooks import service as webhook_service
from shared.webhooks.options import MOST_INLINE, Ids, InlineWebhook

router = APIRouter(tags=["batches"], route_class=ShortCutRoute)
NO_ID = UUID(int=0)


class BatchIn(BaseModel):
    """A batch to open."""

    source_directory_id: str
    config: BatchConfig
    webhook_configurations: Annotated[list[InlineWebhook], Field(max_length=MOST_INLINE)] | None = None
    webhook_configuration_ids: Ids | None = None
    failure_threshold: ThresholdIn | None = None


class BatchQuery(BaseModel):
    """What a list is narrowed by; times are inclusive."""

    created_at_on_or_after: Moment | None = None
    created_at_on_or_before: Moment | None = None
    source_directory_id: str | None = None
    status: BatchStatus | None = None


async def filters_of(asked: Annotated[BatchQuery, Query()]) -> BatchFilters:
    """The same for the room; a directory id that is none matches nothing."""
    directory: UUID | None = None
    if asked.source_directory_id is not None:
        directory = (known_ids(ids.Kind.DIRECTORY, [asked.source_directory_id]) or [NO_ID])[0]
    return BatchFilters(
        created_at_on_or_after=asked.created_at_on_or_after,
        created_at_on_or_before=asked.created_at_on_or_before,
        source_directory_id=directory,
        status=asked.status,
    )


@router.post(BASE, status_code=201)
async def create(uow: Uow, gate: TheGate, project_id: ProjectId, once: Once, asked: BatchIn) -> BatchOut:
    """Open a batch over a directory; it starts by itself. Its webhooks are told of the batch; those of its
    configuration of its jobs."""
    webhooks = await webhook_service.endpoints_asked(
        uow, gate, project_id, asked.webhook_configurations, asked.webhook_configuration_ids
    )
    batch = await batch_service.open_batch(
        uow,
        project_id=project_id,
        source_directory_id=ids.parse(ids.Kind.DIRECTORY, asked.source_directory_id),
        job_type=asked.config.job.type,
        configuration_id=asked.config.job.configuration_id,
        threshold=None if asked.failure_threshold is None else asked.failure_threshold.meant(),
        webhooks=webhooks,
    )
    return await once.keep(show(batch))


async def _plain_page(request: Request) -> Response | None:
    project_id = short_cuts.project_of(request)
    page = None if project_id is None else short_cuts.plain_page(request, project_id)
    if project_id is None or page is None:
        return None
    reader = door_of(request).resources.reader
    found = await batch_service.read_page(reader, project_id, size=page.size, after=page.after)
    return short_cuts.answer(page.answer(found, show))


async def _plain_batch(request: Request) -> Response | None:
    project_id = short_cuts.project_of(request)
    batch_id = short_cuts.id_of(request, ids.Kind.BATCH, "batch_id")
    if project_id is None or batch_id is None:
        return None
    batch = await batch_service.read_batch(door_of(request).resources.reader, project_id, batch_id)
    return None if batch is None else short_cuts.answer(show(batch))


@router.get(BASE)
@with_short_cut(_plain_page)
async def list_pages(
    uow: Uow,
    project_id: ProjectId,
    page: ProjectPage,
    filters: Annotated[BatchFilters, Depends(filters_of)],
) -> PageOf[BatchOut]:
    """A page, newest first; `results` is null in lists."""
    found = await batch_service.list_batches(
        uow, project_id, filters=filters, size=page.size, after=page.after, count=page.count
    )
    return page.answer(found, show)


@router.get(BASE + "/{batch_id}", response_model=BatchOut)
@with_short_cut(_plain_batch)
async def get(uow: Uow, door: TheDoor, project_id: ProjectId, batch_id: str, expand: Expand) -> Any:
    """One batch; with `expand=results` what became of each file, once the batch is final, and with
    `expand=progress` how far it is."""
    batch = await batch_service.view_batch(uow, project_id, ids.parse(ids.Kind.BATCH, batch_id))
    answer = show(batch)
    if "progress" in expand:
        answer.progress = show_progress(
            await batch_service.progress_of(uow, batch), await batch_explain.waiting_of(uow, batch)
        )
    if "results" in expand and batch_service.has_results(batch):
        return await with_results(door.resources.reading, uow, batch, answer)
    return answer


@router.post(BASE + "/{batch_id}/cancel")
async def cancel(uow: Uow, project_id: ProjectId, batch_id: str) -> BatchOut:
    """Ask a batch to end. It answers at once and may still be RUNNING; files that finished keep their
    results. A batch that is final already: 409."""
    return show(await batch_service.cancel_batch(uow, project_id, ids.parse(ids.Kind.BATCH, batch_id)))
