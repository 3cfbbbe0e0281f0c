"""Batches of all projects."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.api.dependencies import TheDoor, Uow
from services.api.operators import ADMIN, OperatorPage, ProjectFilter, TheOperator
from services.api.paging import PageOf
from shared import ids
from shared.batches import explain as batch_explain
from shared.batches import operating as batch_operating
from shared.batches.lifecycle import BatchStatus
from shared.batches.model import Batch
from shared.batches.operating import AnyBatchFilters
from shared.jobs.lifecycle import JobType

router = APIRouter()


class BatchQuery(BaseModel):
    """What a list is narrowed by; `waiting` is the code of what a limit refused, such as PROJECT_RATE. What
    is no refusal (NO_WORKER, WINDOW_FULL ...) is told by `explain` only."""

    status: BatchStatus | None = None
    waiting: str | None = None


class AnyBatchOut(BaseModel):
    """A batch with its sums, in files, and what drives it."""

    id: str
    project_id: str
    source_directory_id: str
    type: JobType
    configuration_id: str
    status: BatchStatus
    waiting: dict[str, Any] | None
    total: int
    listed: bool
    granted: int
    completed: int
    failed: int
    cancelled: int
    unmapped: int
    stop_as: str | None
    failure_code: str | None
    failure_message: str | None
    strikes: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    wake_at: datetime | None


async def filters_of(asked: Annotated[BatchQuery, Query()], project: ProjectFilter) -> AnyBatchFilters:
    """The same for the room."""
    return AnyBatchFilters(project_id=project, status=asked.status, waiting=asked.waiting)


class CheckOut(BaseModel):
    """One thing that must be well for the batch to move."""

    name: str
    ok: bool
    detail: str


class ExplanationOut(BaseModel):
    """Why a batch moves or does not; without any bell it is looked at again at `next_look_at`."""

    state: BatchStatus
    waiting: dict[str, Any] | None
    checks: list[CheckOut]
    next_look_at: datetime | None


def show(row: Batch) -> AnyBatchOut:
    """The row for an operator; sums lag behind by what is not folded yet."""
    return AnyBatchOut(
        id=ids.show(ids.Kind.BATCH, row.id),
        project_id=ids.show(ids.Kind.PROJECT, row.project_id),
        source_directory_id=ids.show(ids.Kind.DIRECTORY, row.source_directory_id),
        type=JobType(row.job_type),
        configuration_id=row.configuration_id,
        status=BatchStatus(row.status),
        waiting=row.wait if row.status == BatchStatus.THROTTLED else None,
        total=row.total,
        listed=row.spread_done,
        granted=row.fed_seq,
        completed=row.ok,
        failed=row.failed,
        cancelled=row.cancelled,
        unmapped=row.unmapped,
        stop_as=row.stop_as,
        failure_code=row.failure_code,
        failure_message=row.failure_message,
        strikes=row.strikes,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        wake_at=row.wake_at,
    )


@router.get(ADMIN + "/batches")
async def list_pages(
    uow: Uow, page: OperatorPage, filters: Annotated[AnyBatchFilters, Depends(filters_of)]
) -> PageOf[AnyBatchOut]:
    """A page, newest first."""
    found = await batch_operating.list_batches(
        uow, filters, size=page.size, after=page.after, count=page.count
    )
    return page.answer(found, show)


@router.get(ADMIN + "/batches/{batch_id}")
async def get(uow: Uow, batch_id: str) -> AnyBatchOut:
    """One batch."""
    return show(await batch_operating.get_batch(uow, ids.parse(ids.Kind.BATCH, batch_id)))


@router.get(ADMIN + "/batches/{batch_id}/explain")
async def explain(uow: Uow, door: TheDoor, batch_id: str) -> ExplanationOut:
    """Why the batch moves or does not, check by check, as far as this process knows of the broker."""
    batch = await batch_operating.get_batch(uow, ids.parse(ids.Kind.BATCH, batch_id))
    found = await batch_explain.explain(
        uow,
        batch,
        broker_up=door.resources.queue.broker_up,
        shortage=await door.space.shortage(),
    )
    return ExplanationOut(
        state=BatchStatus(found.state),
        waiting=found.waiting,
        checks=[CheckOut(name=one.name, ok=one.ok, detail=one.detail) for one in found.checks],
        next_look_at=found.next_look_at,
    )


@router.post(ADMIN + "/batches/{batch_id}/cancel")
async def cancel(uow: Uow, who: TheOperator, batch_id: str) -> AnyBatchOut:
    """Ask a batch to end, like the cancel of its project. A final one: 409."""
    row = await batch_operating.cancel_batch(uow, ids.parse(ids.Kind.BATCH, batch_id))
    answer = show(row)
    await who.note("batch.cancel", answer.id, project_id=row.project_id)
    return answer
