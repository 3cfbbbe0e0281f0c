"""Saved webhooks (contract 2.7)."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from services.api.dependencies import ProjectId, ProjectPage, TheGate, Uow
from services.api.paging import PageOf
from services.api.repeats import Once
from shared import ids
from shared.webhooks import service as webhook_service
from shared.webhooks.model import WebhookConfig
from shared.webhooks.options import Event, Format, NewWebhook, WebhookChanges

router = APIRouter(tags=["webhooks"])
BASE = "/api/v1/beta/webhook-configs"
ONE = BASE + "/{config_id}"


class WebhookOut(BaseModel):
    """A saved webhook on the wire. The signing secret is never told."""

    id: str
    tenant_type: Literal["project"]
    tenant_id: str
    webhook_url: str
    has_secret: bool
    webhook_events: list[Event] | None
    webhook_headers: dict[str, str] | None
    webhook_output_format: Format
    created_at: datetime
    updated_at: datetime


def show(row: WebhookConfig) -> WebhookOut:
    """The row as the contract has it."""
    return WebhookOut.model_validate(
        {
            "id": ids.show(ids.Kind.WEBHOOK, row.id),
            "tenant_type": "project",
            "tenant_id": ids.show(ids.Kind.PROJECT, row.project_id),
            "webhook_url": row.url,
            "has_secret": row.secret is not None,
            "webhook_events": row.events,
            "webhook_headers": row.headers,
            "webhook_output_format": row.output_format,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )


@router.post(BASE, status_code=201)
async def save(uow: Uow, gate: TheGate, project_id: ProjectId, once: Once, asked: NewWebhook) -> WebhookOut:
    """Save a webhook, to be named in `webhook_configuration_ids`."""
    return await once.keep(show(await webhook_service.save_webhook(uow, gate, project_id, asked)))


@router.get(BASE)
async def list_all(uow: Uow, project_id: ProjectId) -> list[WebhookOut]:
    """All of the project, newest first, without pages."""
    return [show(row) for row in await webhook_service.list_all(uow, project_id)]


@router.get("/api/v2/webhook-configs")
async def list_pages(uow: Uow, project_id: ProjectId, page: ProjectPage) -> PageOf[WebhookOut]:
    """A page, newest first."""
    found = await webhook_service.list_webhooks(
        uow, project_id, size=page.size, after=page.after, count=page.count
    )
    return page.answer(found, show)


@router.get(ONE)
async def get(uow: Uow, project_id: ProjectId, config_id: str) -> WebhookOut:
    """One of them."""
    wanted = ids.parse(ids.Kind.WEBHOOK, config_id)
    return show(await webhook_service.get_webhook(uow, project_id, wanted))


@router.put(ONE)
async def change(
    uow: Uow, gate: TheGate, project_id: ProjectId, config_id: str, asked: WebhookChanges
) -> WebhookOut:
    """Change what is sent; what batches and jobs were opened with stays as it was then."""
    wanted = ids.parse(ids.Kind.WEBHOOK, config_id)
    return show(await webhook_service.change_webhook(uow, gate, project_id, wanted, asked))


@router.delete(ONE, status_code=204)
async def delete(uow: Uow, project_id: ProjectId, config_id: str) -> None:
    """Delete it; what was opened with it goes on telling it."""
    await webhook_service.delete_webhook(uow, project_id, ids.parse(ids.Kind.WEBHOOK, config_id))
