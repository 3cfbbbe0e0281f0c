"""Batches (contract 1)."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from services.api.dependencies import Expand, Moment, ProjectId, ProjectPage, Uow, known_ids
from services.api.paging import PageOf
from shared import ids
from shared.batches import explain as batch_explain
from shared.batches import service as batch_service
from shared.batches.lifecycle import BatchStatus
from shared.batches.model import Batch
from shared.batches.service import BatchFilters, BatchResult, Progress
from shared.configurations import service as configuration_service
from shared.jobs.lifecycle import JobType
from shared.lanes.limits import WaitingCode

router = APIRouter(tags=["batches"])
BASE = "/api/v2/batches"

NO_ID = UUID(int=0)

AT_A_PACE = frozenset({WaitingCode.PROJECT_RATE, WaitingCode.PROJECT_CONCURRENCY, WaitingCode.WINDOW_FULL})
"""What a batch waits for and moves all the same."""


class JobConfig(BaseModel):
    """Which job runs over each file, and with which configuration."""

    type: JobType
    configuration_id: str


class BatchConfig(BaseModel):
    """The configuration of a batch."""

    job: JobConfig


class BatchIn(BaseModel):
    """A batch to open."""

    source_directory_id: str
    config: BatchConfig
    webhook_configurations: list[dict[str, Any]] | None = None
    webhook_configuration_ids: Annotated[list[str], Field(max_length=4)] | None = None


class BatchQuery(BaseModel):
    """What a list is narrowed by; times are inclusive."""

    created_at_on_or_after: Moment | None = None
    created_at_on_or_before: Moment | None = None
    source_directory_id: str | None = None
    status: BatchStatus | None = None


class JobReference(BaseModel):
    """The job of one file."""

    type: JobType
    id: str


class ResultOut(BaseModel):
    """One source file. `error_message` says why no job could be made; a job's own failure is on the job."""

    source_directory_file_id: str
    job_reference: JobReference | None
    error_message: str | None


class ProgressOut(BaseModel):
    """How far a batch is, in files: an extension. `total` grows while the directory is read, `completed`
    includes the `reused`. `files_per_second` is of files that were worked on; `eta_seconds` is null where
    nobody can tell."""

    total: int
    unmapped: int
    pending: int
    running: int
    completed: int
    failed: int
    cancelled: int
    reused: int
    files_per_second: float
    eta_seconds: float | None
    waiting: dict[str, Any] | None


class BatchOut(BaseModel):
    """A batch on the wire."""

    id: str
    project_id: str
    source_directory_id: str
    config: BatchConfig
    status: BatchStatus
    created_at: datetime
    updated_at: datetime
    results: list[ResultOut] | None = None
    progress: ProgressOut | None = None
    # Not of the contract: why a batch is FAILED.
    failure_code: str | None = None
    failure_message: str | None = None


def filters_of(asked: Annotated[BatchQuery, Query()]) -> BatchFilters:
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


def show(batch: Batch, results: list[BatchResult] | None = None) -> BatchOut:
    """The row as the contract has it."""
    kind = JobType(batch.job_type)
    return BatchOut(
        id=ids.show(ids.Kind.BATCH, batch.id),
        project_id=ids.show(ids.Kind.PROJECT, batch.project_id),
        source_directory_id=ids.show(ids.Kind.DIRECTORY, batch.source_directory_id),
        config=BatchConfig(job=JobConfig(type=kind, configuration_id=batch.configuration_id)),
        status=BatchStatus(batch.status),
        created_at=batch.created_at,
        updated_at=batch.updated_at,
        failure_code=batch.failure_code,
        failure_message=batch.failure_message,
        results=None if results is None else [show_result(one, kind) for one in results],
    )


def show_result(result: BatchResult, kind: JobType) -> ResultOut:
    """A file with its job, or with the reason why it has none."""
    reference = None
    if result.job_id is not None:
        reference = JobReference(type=kind, id=ids.show(kind.id_kind, result.job_id))
    return ResultOut(
        source_directory_file_id=ids.show(ids.Kind.DIRECTORY_FILE, result.directory_file_id),
        job_reference=reference,
        error_message=result.error_message if reference is None else None,
    )


def show_progress(progress: Progress, waiting: dict[str, Any] | None) -> ProgressOut:
    """The counts, what they say of the pace (files worked on a second since the start), and why it waits."""
    worked = progress.completed - progress.reused + progress.failed
    pace = worked / progress.seconds if progress.seconds > 0 else 0.0
    return ProgressOut(
        total=progress.total,
        unmapped=progress.unmapped,
        pending=progress.pending,
        running=progress.running,
        completed=progress.completed,
        failed=progress.failed,
        cancelled=progress.cancelled,
        reused=progress.reused,
        files_per_second=round(pace, 3),
        eta_seconds=_eta(progress.pending + progress.running, pace, waiting or {}),
        waiting=waiting,
    )


def _eta(left: int, pace: float, waiting: dict[str, Any]) -> float | None:
    """Seconds to the end: at the rate that binds, else at the pace so far. None while nobody can tell when
    it goes on."""
    code = waiting.get("code")
    if code is not None and code not in AT_A_PACE:
        return None
    if code == WaitingCode.PROJECT_RATE and (limit := waiting.get("limit")):
        pace = limit / 60
    return round(left / pace, 1) if left and pace else None


@router.post(BASE, status_code=201)
async def create(uow: Uow, project_id: ProjectId, asked: BatchIn) -> BatchOut:
    """Open a batch over a directory; it starts by itself."""
    configuration_service.refuse_webhooks(asked.model_dump(exclude={"config"}))
    batch = await batch_service.open_batch(
        uow,
        project_id=project_id,
        source_directory_id=ids.parse(ids.Kind.DIRECTORY, asked.source_directory_id),
        job_type=asked.config.job.type,
        configuration_id=asked.config.job.configuration_id,
    )
    return show(batch)


@router.get(BASE)
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


@router.get(BASE + "/{batch_id}")
async def get(uow: Uow, project_id: ProjectId, batch_id: str, expand: Expand) -> BatchOut:
    """One batch; with `expand=results` what became of each file, once the batch is final, and with
    `expand=progress` how far it is."""
    batch = await batch_service.get_batch(uow, project_id, ids.parse(ids.Kind.BATCH, batch_id))
    results = await batch_service.results_of(uow, batch) if "results" in expand else None
    answer = show(batch, results)
    if "progress" in expand:
        answer.progress = show_progress(
            await batch_service.progress_of(uow, batch), await batch_explain.waiting_of(uow, batch)
        )
    return answer


@router.post(BASE + "/{batch_id}/cancel")
async def cancel(uow: Uow, project_id: ProjectId, batch_id: str) -> BatchOut:
    """Ask a batch to end. It answers at once and may still be RUNNING; files that finished keep their
    results. A batch that is final already: 409."""
    return show(await batch_service.cancel_batch(uow, project_id, ids.parse(ids.Kind.BATCH, batch_id)))
