"""The page of one batch, and what of it changes while the batch runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.api.console.cards import Card, cards_of
from services.api.console.drawing import base_of, page
from services.api.console.listing import ListAsk, Listed, list_files
from services.api.console.visitors import Visiting, Visitor, project_name
from services.api.dependencies import Uow, door
from shared import ids
from shared.batches import explain as batch_explain
from shared.batches import service as batch_service
from shared.batches import viewing
from shared.batches.service import BatchView
from shared.db.unit_of_work import UnitOfWork

router = APIRouter(prefix="/batches/{batch_id}")


@router.get("")
async def batch_page(request: Request, uow: Uow, who: Visiting, batch_id: str, asked: ListAsk) -> Response:
    """All of it."""
    batch = await _batch(uow, who, batch_id)
    card = await _card(uow, who, batch)
    values = {
        **_live(card),
        **await _explained(request, uow, who, batch),
        "failures": await viewing.failures_of(uow, batch),
        "listed": await _listed(uow, batch, card, asked),
        "project": await project_name(uow, who),
        "redrive_of": None if batch.redrive_of is None else ids.show(ids.Kind.BATCH, batch.redrive_of),
    }
    return page(request, "batch.html", **values)


@router.get("/live")
async def live(
    request: Request,
    uow: Uow,
    who: Visiting,
    batch_id: str,
    shown: Annotated[str, Query()] = "",
) -> Response:
    """Its progress; and its buttons and failures, when they are other than those `shown`."""
    batch = await _batch(uow, who, batch_id)
    card = await _card(uow, who, batch)
    values = _live(card)
    others = values["shown"] != shown
    values |= await _explained(request, uow, who, batch)
    values["failures"] = await viewing.failures_of(uow, batch) if others else []
    headers = {"hx-trigger": "batch-ended"} if card.is_final else None
    return page(request, "_live_and_more.html", headers=headers, others=others, **values)


@router.get("/files")
async def files(request: Request, uow: Uow, who: Visiting, batch_id: str, asked: ListAsk) -> Response:
    """Its files as they are now, by filters."""
    batch = await _batch(uow, who, batch_id)
    card = await _card(uow, who, batch)
    listed = await _listed(uow, batch, card, asked)
    # The address in the browser goes along with the filters.
    query = asked.query(asked.after)
    where = f"{base_of(request.scope)}/batches/{card.id}" + (f"?{query}" if query else "")
    return page(request, "_files.html", headers={"hx-replace-url": where}, card=card, listed=listed)


async def _batch(uow: UnitOfWork, who: Visitor, batch_id: str) -> BatchView:
    return await batch_service.view_batch(uow, who.project_id, ids.parse(ids.Kind.BATCH, batch_id))


async def _card(uow: UnitOfWork, who: Visitor, batch: BatchView) -> Card:
    look = await viewing.look_at(uow, batch)
    return (await cards_of(uow, who.project_id, [look]))[0]


def _live(card: Card) -> dict[str, Any]:
    return {"card": card, "shown": f"{card.state}.{card.progress.failed}.{card.progress.unmapped}"}


async def _explained(request: Request, uow: UnitOfWork, who: Visitor, batch: BatchView) -> dict[str, Any]:
    whole = await batch_service.get_batch(uow, who.project_id, batch.id)
    resources = door(request).resources
    found = await batch_explain.explain(uow, whole, broker_up=resources.queue.broker_up)
    return {"explanation": found}


async def _listed(uow: UnitOfWork, batch: BatchView, card: Card, asked: ListAsk) -> Listed:
    return await list_files(uow, batch, asked, total=card.progress.total)
