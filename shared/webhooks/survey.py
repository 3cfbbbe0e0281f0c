"""The statements on deliveries of all projects, for operators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.repository import Page, newest_first
from shared.webhooks.model import WebhookDelivery, WebhookEndpoint


@dataclass(frozen=True, slots=True)
class DeliveryFilters:
    """What a list of deliveries is narrowed by; None leaves a filter out. `subject_id`: of a batch or job."""

    project_id: UUID | None = None
    status: str | None = None
    event_type: str | None = None
    subject_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Deliveries that have no end: `due` could be tried now, for `oldest_due_s` seconds already, `later` wait
    for their next try, `sending` are in somebody's hands. `dead` were given up within the last hour."""

    due: int
    later: int
    sending: int
    oldest_due_s: float
    dead: int


async def page(
    session: AsyncSession, filters: DeliveryFilters, *, size: int, after: UUID | None, count: bool
) -> Page[WebhookDelivery]:
    """One page, newest first."""
    rows = select(WebhookDelivery)
    for name in ("project_id", "status", "event_type", "subject_id"):
        if (wanted := getattr(filters, name)) is not None:
            rows = rows.where(getattr(WebhookDelivery, name) == wanted)
    return await newest_first(session, rows, WebhookDelivery.id, size=size, after=after, count=count)


async def get(session: AsyncSession, delivery_id: UUID) -> WebhookDelivery | None:
    """One of any project, as it is now."""
    return await session.get(WebhookDelivery, delivery_id, populate_existing=True)


async def endpoints(session: AsyncSession, endpoint_ids: Sequence[UUID]) -> Mapping[UUID, WebhookEndpoint]:
    """These endpoints."""
    rows = await session.scalars(select(WebhookEndpoint).where(WebhookEndpoint.id.in_(endpoint_ids)))
    return {row.id: row for row in rows}


async def send_again(session: AsyncSession, delivery_id: UUID) -> bool:
    """One that ended begins anew, one that waits is due now; False for one that is being sent, is due, or is
    none."""
    found = await session.execute(
        text(
            "UPDATE webhook_deliveries SET due_at = now(), finished_at = NULL, token = NULL,"
            " attempts = CASE status WHEN 'PENDING' THEN attempts ELSE 0 END, status = 'PENDING'"
            " WHERE id = :d AND (status <> 'PENDING' OR (token IS NULL AND due_at > now())) RETURNING true"
        ),
        {"d": delivery_id},
    )
    return found.scalar_one_or_none() is True


async def backlog(session: AsyncSession) -> Backlog:
    """What has no end, counted over the index of it, and what was given up."""
    found = await session.execute(
        text(
            "SELECT count(*) FILTER (WHERE token IS NULL AND due_at <= now()),"
            " count(*) FILTER (WHERE token IS NULL AND due_at > now()),"
            " count(*) FILTER (WHERE token IS NOT NULL),"
            " coalesce(extract(epoch FROM now() - min(due_at) FILTER (WHERE token IS NULL"
            "  AND due_at <= now())), 0)::float8,"
            " (SELECT count(*) FROM webhook_deliveries WHERE finished_at > now() - interval '1 h'"
            "  AND status = 'DEAD')"
            " FROM webhook_deliveries WHERE due_at IS NOT NULL"
        )
    )
    return Backlog(*found.one())
