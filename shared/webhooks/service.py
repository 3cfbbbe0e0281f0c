"""What a request may do with saved webhooks."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic import SecretStr

from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput, NotFound
from shared.ids import Kind, show
from shared.outbound.targets import Policy, Refused, read_target
from shared.webhooks import repository
from shared.webhooks.model import WebhookConfig
from shared.webhooks.options import NewWebhook, WebhookChanges
from shared.webhooks.vault import Vault

__all__ = [
    "MOST_SAVED",
    "Gate",
    "change_webhook",
    "delete_webhook",
    "get_webhook",
    "list_all",
    "list_webhooks",
    "save_webhook",
]

MOST_SAVED: Final = 500
"""Of one project: the older of the two lists has no pages."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What an installation lets webhooks be: where they may go, and the vault of their secrets."""

    policy: Policy
    vault: Vault

    def check_url(self, url: str) -> None:
        """`InvalidInput` when the URL itself says that nobody may send there. Its name is looked up only when
        something is sent."""
        try:
            self.policy.check(read_target(url))
        except (Refused, ValueError) as refusal:
            raise InvalidInput(f"webhook_url: {refusal}.") from None

    def seal(self, project_id: UUID, secret: SecretStr | None) -> bytes | None:
        """The secret as it may be stored."""
        return None if secret is None else self.vault.seal(project_id, secret.get_secret_value())


async def save_webhook(uow: UnitOfWork, gate: Gate, project_id: UUID, asked: NewWebhook) -> WebhookConfig:
    """Save one. `InvalidInput` when it would go where nobody may send, or the project has too many."""
    gate.check_url(asked.webhook_url)
    if await repository.count(uow.session, project_id) >= MOST_SAVED:
        raise InvalidInput(f"A project has at most {MOST_SAVED} webhooks. Delete those that nobody needs.")
    values = {
        "url": asked.webhook_url,
        "events": asked.webhook_events,
        "headers": asked.webhook_headers,
        "output_format": asked.webhook_output_format or "string",
        "secret": gate.seal(project_id, asked.webhook_signing_secret),
    }
    return await repository.add(uow.session, project_id, values)


async def get_webhook(uow: UnitOfWork, project_id: UUID, webhook_id: UUID) -> WebhookConfig:
    """One of this project, or `NotFound`."""
    found = await repository.get(uow.session, project_id, webhook_id)
    if found is None:
        raise _unknown(webhook_id)
    return found


async def list_webhooks(
    uow: UnitOfWork, project_id: UUID, *, size: int, after: UUID | None = None, count: bool = False
) -> Page[WebhookConfig]:
    """A page of them, newest first."""
    return await repository.page(uow.session, project_id, size=size, after=after, count=count)


async def list_all(uow: UnitOfWork, project_id: UUID) -> list[WebhookConfig]:
    """All of them, newest first."""
    page = await repository.page(uow.session, project_id, size=MOST_SAVED, after=None, count=False)
    return page.items


async def change_webhook(
    uow: UnitOfWork, gate: Gate, project_id: UUID, webhook_id: UUID, asked: WebhookChanges
) -> WebhookConfig:
    """Change what was sent. Batches and jobs that were opened with it keep what it was."""
    found = await get_webhook(uow, project_id, webhook_id)
    sent, values = asked.model_fields_set, dict[str, Any]()
    if asked.webhook_url is not None:
        gate.check_url(asked.webhook_url)
        values["url"] = asked.webhook_url
    if "webhook_events" in sent:
        values["events"] = asked.webhook_events
    if "webhook_headers" in sent:
        values["headers"] = asked.webhook_headers
    if "webhook_output_format" in sent:
        values["output_format"] = asked.webhook_output_format or "string"
    if "webhook_signing_secret" in sent:
        values["secret"] = gate.seal(project_id, asked.webhook_signing_secret)
    changed = await repository.change(uow.session, found, values) if values else found
    if changed is None:
        raise _unknown(webhook_id)
    return changed


async def delete_webhook(uow: UnitOfWork, project_id: UUID, webhook_id: UUID) -> None:
    """Delete it. Batches and jobs that were opened with it go on telling it."""
    await get_webhook(uow, project_id, webhook_id)
    await repository.hide(uow.session, webhook_id)


def _unknown(webhook_id: UUID) -> NotFound:
    return NotFound(f"No webhook configuration has the id {show(Kind.WEBHOOK, webhook_id)}.")
