"""What a request may do with saved webhooks."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from pydantic import SecretStr

from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput, NotFound
from shared.ids import Kind, parse, show
from shared.outbound.targets import Policy, Refused, read_target
from shared.webhooks import repository
from shared.webhooks.model import WebhookConfig
from shared.webhooks.options import InlineWebhook, NewWebhook, WebhookChanges
from shared.webhooks.vault import Vault

__all__ = [
    "MOST_SAVED",
    "Endpoint",
    "Gate",
    "change_webhook",
    "delete_webhook",
    "endpoints_asked",
    "get_webhook",
    "list_all",
    "list_webhooks",
    "save_webhook",
    "shown",
    "stored",
    "take_out",
]

INLINE: Final = "webhook_configurations"
NAMED: Final = "webhook_configuration_ids"
SECRET: Final = "webhook_signing_secret"  # noqa: S105 - the name of the option
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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who is to be told, as it is now: what is saved may change, this does not. `secret` is sealed."""

    url: str
    events: Sequence[str] | None
    headers: Mapping[str, str] | None
    output_format: str
    secret: bytes | None
    webhook_id: UUID | None = None

    def row(self, *, project_id: UUID, owner_id: UUID, about: str) -> dict[str, Any]:
        """Its columns."""
        return {
            "project_id": project_id,
            "owner_id": owner_id,
            "about": about,
            "webhook_id": self.webhook_id,
            "url": self.url,
            # Tenants share no destination: one cannot slow the other down.
            "destination": uuid5(project_id, read_target(self.url).origin),
            "events": None if self.events is None else list(self.events),
            "headers": None if self.headers is None else dict(self.headers),
            "output_format": self.output_format,
            "secret": self.secret,
        }


async def endpoints_asked(
    uow: UnitOfWork,
    gate: Gate,
    project_id: UUID,
    inline: Sequence[InlineWebhook] | None,
    named: Sequence[str] | None,
) -> list[Endpoint]:
    """The endpoints that a request brings and names. A saved one that is not there is `NotFound`; one that
    would go where nobody may send, `InvalidInput`."""
    return [
        *(_endpoint(stored(gate, project_id, one)) for one in inline or ()),
        *await _saved(uow, project_id, named or ()),
    ]


def stored(gate: Gate, project_id: UUID, asked: InlineWebhook) -> dict[str, Any]:
    """An inline webhook as it may be stored in a configuration: its secret sealed. `InvalidInput` when it
    would go where nobody may send."""
    assert asked.webhook_url is not None
    gate.check_url(asked.webhook_url)
    kept = asked.model_dump(mode="json", exclude_none=True, exclude={"webhook_signing_secret"})
    sealed = gate.seal(project_id, asked.webhook_signing_secret)
    return kept if sealed is None else {**kept, SECRET: base64.b64encode(sealed).decode()}


async def take_out(
    uow: UnitOfWork, project_id: UUID, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Endpoint]]:
    """The parameters of a saved configuration without its webhooks, and the endpoints that these are."""
    rest = dict(parameters)
    inline, named = rest.pop(INLINE, None) or (), rest.pop(NAMED, None) or ()
    return rest, [*map(_endpoint, inline), *await _saved(uow, project_id, named)]


def shown(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a saved configuration as they may be told: without secrets."""
    told = dict(parameters)
    if isinstance(inline := told.get(INLINE), list):
        told[INLINE] = [{name: one[name] for name in one if name != SECRET} for one in inline]
    return told


def _endpoint(kept: Mapping[str, Any]) -> Endpoint:
    sealed = kept.get(SECRET)
    return Endpoint(
        url=kept["webhook_url"],
        events=kept.get("webhook_events"),
        headers=kept.get("webhook_headers"),
        output_format=kept.get("webhook_output_format") or "string",
        secret=None if sealed is None else base64.b64decode(sealed),
    )


async def _saved(uow: UnitOfWork, project_id: UUID, named: Sequence[str]) -> list[Endpoint]:
    if not named:
        return []
    wanted = list(dict.fromkeys(parse(Kind.WEBHOOK, text) for text in named))
    found = await repository.get_all(uow.session, project_id, wanted)
    for webhook_id in wanted:
        if webhook_id not in found:
            raise _unknown(webhook_id)
    rows = [found[webhook_id] for webhook_id in wanted]
    return [Endpoint(row.url, row.events, row.headers, row.output_format, row.secret, row.id) for row in rows]


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
