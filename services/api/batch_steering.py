"""Pause, resume, redrive and the failure threshold of a batch: extensions of the contract."""

from enum import StrEnum

from fastapi import APIRouter
from pydantic import BaseModel

from services.api.batch_shape import BASE, BatchOut, ThresholdIn, show
from services.api.dependencies import ProjectId, TheCaller, Uow
from services.api.repeats import Once
from shared import ids
from shared.batches import redrive as batch_redrive
from shared.batches import steering
from shared.batches.redrive import RedriveKind
from shared.projects import service as project_service

router = APIRouter(tags=["batches"])


class Files(StrEnum):
    """Which files of a final batch are run again."""

    FAILED = "failed"
    CHANGED = "changed"


class RedriveIn(BaseModel):
    """`failed`: files that failed, were cancelled or got no job, and are still in the directory. `changed`:
    files that came to the directory, or were replaced in it, since the batch was opened."""

    files: Files = Files.FAILED


class BatchPatch(BaseModel):
    """What may be changed while a batch runs; null takes the threshold away."""

    failure_threshold: ThresholdIn | None


@router.post(BASE + "/{batch_id}/redrive", status_code=201)
async def redrive(
    uow: Uow, project_id: ProjectId, once: Once, batch_id: str, asked: RedriveIn | None = None
) -> BatchOut:
    """Open a new batch over files of a final one, with its configuration. The same request within a minute,
    or while that new batch is open, is answered with it. Not final, or no such file: 409."""
    kind = RedriveKind[(asked or RedriveIn()).files.name]
    made = await batch_redrive.redrive_batch(uow, project_id, ids.parse(ids.Kind.BATCH, batch_id), kind)
    return await once.keep(show(made))


@router.post(BASE + "/{batch_id}/pause")
async def pause(uow: Uow, who: TheCaller, project_id: ProjectId, batch_id: str) -> BatchOut:
    """Start nothing more of a batch; what workers hold runs to its end. A final batch: 409."""
    by = await project_service.name_key(uow, who.key_id)
    return show(await steering.pause_batch(uow, project_id, ids.parse(ids.Kind.BATCH, batch_id), by=by))


@router.post(BASE + "/{batch_id}/resume")
async def resume(uow: Uow, project_id: ProjectId, batch_id: str) -> BatchOut:
    """Let a paused batch go on. A final batch: 409."""
    return show(await steering.resume_batch(uow, project_id, ids.parse(ids.Kind.BATCH, batch_id)))


@router.patch(BASE + "/{batch_id}")
async def change(uow: Uow, project_id: ProjectId, batch_id: str, asked: BatchPatch) -> BatchOut:
    """Replace the failure threshold; files that failed already count. A final batch: 409."""
    threshold = None if asked.failure_threshold is None else asked.failure_threshold.meant()
    return show(await steering.set_threshold(uow, project_id, ids.parse(ids.Kind.BATCH, batch_id), threshold))
