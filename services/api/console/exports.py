"""All results of a batch as one download, for who is signed in."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.api.console.visitors import Visiting
from services.api.dependencies import Storage, TheDoor, Uow
from services.api.export.answering import ExportQuery, answer_export

router = APIRouter(prefix="/batches/{batch_id}/export")


@router.get("")
async def export(
    request: Request,
    uow: Uow,
    who: Visiting,
    storage: Storage,
    door: TheDoor,
    batch_id: str,
    *,
    asked: Annotated[ExportQuery, Query()],
) -> Response:
    """The bytes of the API's export, which can be resumed as there."""
    return await answer_export(
        request,
        uow,
        storage,
        door,
        project_id=who.project_id,
        batch_id=batch_id,
        expand=frozenset(),
        asked=asked,
    )
