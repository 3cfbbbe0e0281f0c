"""All batches of the project, newest first."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.api.console.cards import cards_of
from services.api.console.drawing import page
from services.api.console.visitors import Visiting, Visitor, project_name
from services.api.dependencies import Uow
from shared import ids
from shared.batches import viewing
from shared.batches.lifecycle import BatchStatus
from shared.batches.service import BatchFilters
from shared.db.unit_of_work import UnitOfWork

router = APIRouter()
SIZE: Final = 25

Status = Annotated[BatchStatus | None, Query()]
After = Annotated[str | None, Query()]


@router.get("")
@router.get("/")
async def overview(
    request: Request, uow: Uow, who: Visiting, status: Status = None, after: After = None
) -> Response:
    """The page."""
    found = await _table(uow, who, status, after)
    name = await project_name(uow, who)
    return page(request, "overview.html", project=name, statuses=list(BatchStatus), **found)


@router.get("/table")
async def table(
    request: Request, uow: Uow, who: Visiting, status: Status = None, after: After = None
) -> Response:
    """What of it changes while batches run."""
    return page(request, "_batches.html", **await _table(uow, who, status, after))


async def _table(
    uow: UnitOfWork, who: Visitor, status: BatchStatus | None, after: str | None
) -> dict[str, Any]:
    start = None if after is None else ids.parse(ids.Kind.BATCH, after)
    looks, following = await viewing.look_at_page(
        uow, who.project_id, filters=BatchFilters(status=status), size=SIZE, after=start
    )
    return {
        "cards": await cards_of(uow, who.project_id, looks),
        "status": status,
        "after": after,
        "following": None if following is None else ids.show(ids.Kind.BATCH, following),
    }
