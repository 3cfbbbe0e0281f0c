"""A batch on the wire, for the pages that answer with one (contract 1)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from shared import ids
from shared.batches.lifecycle import BatchStatus
from shared.batches.model import Batch
from shared.batches.service import BatchView, MappedFile, Progress
from shared.batches.threshold import Threshold
from shared.jobs.lifecycle import JobType
from shared.lanes.limits import WaitingCode

BASE = "/api/v2/batches"

AT_A_PACE = frozenset({WaitingCode.PROJECT_RATE, WaitingCode.PROJECT_CONCURRENCY, WaitingCode.WINDOW_FULL})
"""What a batch waits for and moves all the same."""


class JobConfig(BaseModel):
    """Which job runs over each file, and with which configuration."""

    type: JobType
    configuration_id: str


class BatchConfig(BaseModel):
    """The configuration of a batch."""

    job: JobConfig


class ThresholdIn(BaseModel):
    """When failed files stop a batch, an extension: `count` of them, or `percent` of those that were worked
    on, once those are `after` (100 when left out). Whichever comes first."""

    count: int | None = None
    percent: Annotated[float | None, Field(allow_inf_nan=False)] = None
    after: int | None = None

    def meant(self) -> Threshold:
        """The same for the room."""
        return Threshold(self.count, self.percent, self.after)


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
    # Nor these.
    failure_threshold: ThresholdIn | None = None
    paused_at: datetime | None = None
    redrive_of: str | None = None


def show(batch: Batch | BatchView, results: Sequence[MappedFile] | None = None) -> BatchOut:
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
        failure_threshold=_threshold_of(batch),
        paused_at=batch.paused_at,
        redrive_of=None if batch.redrive_of is None else ids.show(ids.Kind.BATCH, batch.redrive_of),
        results=None if results is None else [show_result(one, kind) for one in results],
    )


def _threshold_of(batch: Batch | BatchView) -> ThresholdIn | None:
    if batch.fail_limit is None and batch.fail_percent is None:
        return None
    return ThresholdIn(count=batch.fail_limit, percent=batch.fail_percent, after=batch.fail_after)


def show_result(result: MappedFile, kind: JobType) -> ResultOut:
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
