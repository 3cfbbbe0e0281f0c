"""What an operator may do with deliveries of all projects."""

from dataclasses import dataclass
from uuid import UUID

from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, NotFound
from shared.ids import Kind, show
from shared.webhooks import survey
from shared.webhooks.model import WebhookDelivery
from shared.webhooks.survey import Backlog, DeliveryFilters

__all__ = ["Backlog", "DeliveryFilters", "DeliveryView", "backlog", "list_deliveries", "replay"]


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery and where it goes."""

    row: WebhookDelivery
    url: str


async def list_deliveries(
    uow: UnitOfWork, filters: DeliveryFilters, *, size: int, after: UUID | None = None, count: bool = False
) -> Page[DeliveryView]:
    """A page of deliveries of all projects, newest first."""
    page = await survey.page(uow.session, filters, size=size, after=after, count=count)
    endpoints = await survey.endpoints(uow.session, [row.endpoint_id for row in page.items])
    views = [DeliveryView(row, endpoints[row.endpoint_id].url) for row in page.items]
    return Page(views, page.next_after, page.total)


async def replay(uow: UnitOfWork, delivery_id: UUID) -> DeliveryView:
    """Send it again under the same event id: one that was delivered or given up with all its tries, one that
    waits for its next try at once. One that is due or being sent is a `Conflict`."""
    again = await survey.send_again(uow.session, delivery_id)
    row = await survey.get(uow.session, delivery_id)
    if row is None:
        raise NotFound(f"No delivery has the id {show(Kind.DELIVERY, delivery_id)}.")
    if not again:
        state = "due" if row.token is None else "being sent"
        raise Conflict(f"The delivery is {state} now: there is nothing to send again yet.")
    endpoints = await survey.endpoints(uow.session, [row.endpoint_id])
    return DeliveryView(row, endpoints[row.endpoint_id].url)


async def backlog(uow: UnitOfWork) -> Backlog:
    """How many deliveries have no end, and how many were given up."""
    return await survey.backlog(uow.session)
