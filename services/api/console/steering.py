"""Cancel, pause, resume and redrive, by the buttons of a batch's page."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from services.api.console.drawing import base_of
from services.api.console.forms import fields_of
from services.api.console.visitors import Visiting
from services.api.dependencies import Uow
from shared import ids
from shared.batches import redrive as batch_redrive
from shared.batches import service as batch_service
from shared.batches import steering
from shared.batches.model import Batch
from shared.batches.redrive import RedriveKind
from shared.errors import InvalidInput
from shared.projects import service as project_service

router = APIRouter(prefix="/batches/{batch_id}")


@router.post("/cancel")
async def cancel(request: Request, uow: Uow, who: Visiting, batch_id: str) -> Response:
    """Ask it to end; finished files keep their results."""
    wanted = ids.parse(ids.Kind.BATCH, batch_id)
    return _to(request, await batch_service.cancel_batch(uow, who.project_id, wanted))


@router.post("/pause")
async def pause(request: Request, uow: Uow, who: Visiting, batch_id: str) -> Response:
    """Start nothing more of it."""
    wanted = ids.parse(ids.Kind.BATCH, batch_id)
    by = await project_service.name_key(uow, who.caller.key_id)
    return _to(request, await steering.pause_batch(uow, who.project_id, wanted, by=by))


@router.post("/resume")
async def resume(request: Request, uow: Uow, who: Visiting, batch_id: str) -> Response:
    """Let it go on."""
    wanted = ids.parse(ids.Kind.BATCH, batch_id)
    return _to(request, await steering.resume_batch(uow, who.project_id, wanted))


@router.post("/redrive")
async def redrive(request: Request, uow: Uow, who: Visiting, batch_id: str) -> Response:
    """A new batch over its files that failed, or that came or were replaced since."""
    files = (await fields_of(request)).get("files", "failed").upper()
    if files not in RedriveKind.__members__:
        raise InvalidInput("files: it must be 'failed' or 'changed'.")
    wanted = ids.parse(ids.Kind.BATCH, batch_id)
    made = await batch_redrive.redrive_batch(uow, who.project_id, wanted, RedriveKind[files])
    return _to(request, made)


def _to(request: Request, batch: Batch) -> Response:
    return RedirectResponse(f"{base_of(request.scope)}/batches/{ids.show(ids.Kind.BATCH, batch.id)}", 303)
