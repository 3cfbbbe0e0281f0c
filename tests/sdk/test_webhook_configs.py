"""Saved webhooks by the official client (contract 2.7), its answers checked strictly."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx
import llama_cloud
import pytest
from llama_cloud import AsyncLlamaCloud, LlamaCloud
from sqlalchemy import text

from shared.db.unit_of_work import UnitOfWork
from shared.webhooks.events import EVENTS
from shared.webhooks.vault import OtherKey, Vault
from tests.conftest import Tenant

URL = "https://hooks.example.com/in?x=1"


@pytest.fixture
def strict(api_url: str, tenant: Tenant) -> Iterator[LlamaCloud]:
    with LlamaCloud(
        api_key=tenant.key, base_url=api_url, max_retries=0, _strict_response_validation=True
    ) as made:
        yield made


@pytest.fixture
async def strict_async(api_url: str, tenant: Tenant) -> AsyncIterator[AsyncLlamaCloud]:
    async with AsyncLlamaCloud(
        api_key=tenant.key, base_url=api_url, max_retries=0, _strict_response_validation=True
    ) as made:
        yield made


def listed(client: LlamaCloud) -> list[Any]:
    """The older list: the client warns of it."""
    with pytest.warns(DeprecationWarning, match="deprecated"):
        return client.webhook_configs.list()


def test_a_webhook_lives_its_life(strict: LlamaCloud, tenant: Tenant) -> None:
    made = strict.webhook_configs.create(
        webhook_url=URL,
        webhook_events=["batch.success", "parse.error"],
        webhook_headers={"Authorization": "Bearer sk"},
        webhook_output_format="json",
        webhook_signing_secret="whsec_one",
    )
    assert made.id.startswith("whc-")
    assert (made.tenant_type, made.tenant_id) == ("project", f"prj-{tenant.project_id}")
    assert (made.webhook_url, made.has_secret, made.webhook_output_format) == (URL, True, "json")
    assert made.webhook_events == ["batch.success", "parse.error"]
    assert made.webhook_headers == {"Authorization": "Bearer sk"}
    assert strict.webhook_configs.retrieve(made.id) == made

    changed = strict.webhook_configs.update(made.id, webhook_events=["batch.error"])
    assert changed.webhook_events == ["batch.error"]
    assert (changed.webhook_url, changed.has_secret, changed.webhook_headers) == (
        URL,
        True,
        {"Authorization": "Bearer sk"},
    )
    assert changed.updated_at > made.updated_at  # type: ignore[operator]
    emptied = strict.webhook_configs.update(
        made.id, webhook_events=None, webhook_headers=None, webhook_signing_secret=None
    )
    assert (emptied.webhook_events, emptied.webhook_headers, emptied.has_secret) == (None, None, False)

    strict.webhook_configs.delete(made.id)
    for again in (strict.webhook_configs.retrieve, strict.webhook_configs.delete):
        with pytest.raises(llama_cloud.NotFoundError):
            again(made.id)
    assert listed(strict) == []


def test_lists_are_newest_first_bare_and_paged(strict: LlamaCloud, stranger: LlamaCloud) -> None:
    made = [strict.webhook_configs.create(webhook_url=f"{URL}{n}").id for n in range(5)][::-1]
    assert [one.id for one in listed(strict)] == made
    assert [one.id for one in strict.webhook_configs.list_paginated(page_size=2).items] == made[:2]
    assert [one.id for one in strict.webhook_configs.list_paginated(page_size=2)] == made
    assert listed(stranger) == []
    with pytest.raises(llama_cloud.NotFoundError):
        stranger.webhook_configs.update(made[0], webhook_url=URL)


async def test_every_known_event_may_be_subscribed_to(strict_async: AsyncLlamaCloud) -> None:
    named: Any = sorted(EVENTS)
    assert len(named) == 38
    made = await strict_async.webhook_configs.create(webhook_url=URL, webhook_events=named)
    assert made.webhook_events == named


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("webhook_events", [], "must name an event"),
        ("webhook_events", ["parse.success", "parse.done"], "'parse.done'"),
        ("webhook_output_format", "xml", "'string' or 'json'"),
        ("webhook_signing_secret", "", "1 to 512"),
        ("webhook_signing_secret", "x" * 513, "1 to 512"),
        ("webhook_headers", {"a b": "x"}, "no name"),
        ("webhook_headers", {"a": "x\r\nb: y"}, "printable"),
        ("webhook_headers", {"a": "x\n"}, "printable"),
        ("webhook_headers", {"a": "ü"}, "printable"),
        ("webhook_headers", {"HOST": "x"}, "set by the server"),
        ("webhook_headers", {"Transfer-Encoding": "chunked"}, "set by the server"),
        ("webhook_headers", {"lc-signature": "x"}, "set by the server"),
        ("webhook_headers", {"a": "x", "A": "y"}, "twice"),
        ("webhook_headers", {f"a{n}": "x" for n in range(21)}, "at most 20"),
        ("webhook_url", "ftp://example.com/", "http://"),
        ("webhook_url", "https://user:pass@example.com/", "without user"),
        ("webhook_url", "https://exa mple.com/", "no spaces"),
        ("webhook_url", "https://example.com/#a", "fragment"),
        ("webhook_url", "https://" + "a" * 2_048, "2,048"),
    ],
)
async def test_what_is_wrong_is_422_with_its_field(
    strict_async: AsyncLlamaCloud, field: str, value: Any, told: str
) -> None:
    made = await strict_async.webhook_configs.create(webhook_url=URL)
    asked: dict[str, Any] = {"webhook_url": URL, field: value}
    for send in (
        strict_async.webhook_configs.create(**asked),
        strict_async.webhook_configs.update(made.id, **{field: value}),
    ):
        with pytest.raises(llama_cloud.UnprocessableEntityError) as refused:
            await send
        (error,) = refused.value.body["detail"]  # type: ignore[index]
        assert field in error["loc"]
        assert told in error["msg"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1/", "BATCHMILL_WEBHOOKS__ALLOW_PRIVATE"),
        ("http://[::1]/", "BATCHMILL_WEBHOOKS__ALLOW_PRIVATE"),
        ("http://169.254.169.254/latest/meta-data", "link-local"),
        ("https://example.com:22/", "BATCHMILL_WEBHOOKS__PORTS"),
    ],
)
def test_a_url_that_leads_inside_is_400_and_names_the_setting(
    client: LlamaCloud, url: str, told: str
) -> None:
    with pytest.raises(llama_cloud.BadRequestError, match=told):
        client.webhook_configs.create(webhook_url=url)


async def test_a_secret_is_stored_sealed_and_never_told(
    api_url: str, tenant: Tenant, uow: UnitOfWork
) -> None:
    headers = {"authorization": f"Bearer {tenant.key}"}
    secret = f"whsec_{uuid4().hex}"
    async with httpx.AsyncClient(base_url=api_url, headers=headers) as http:
        body = {"webhook_url": URL, "webhook_signing_secret": secret}
        made = await http.post("/api/v1/beta/webhook-configs", json=body)
        assert made.status_code == 201
        for path in ("/api/v1/beta/webhook-configs", "/api/v2/webhook-configs"):
            assert secret not in (await http.get(path)).text
        assert secret not in made.text
    (row,) = (
        await uow.session.execute(text("SELECT to_jsonb(c)::text, secret FROM webhook_configs c"))
    ).all()
    assert secret not in row[0]
    assert secret.encode().hex() not in row[0]
    vault = Vault.of(b"a key of tests")
    assert vault.open(tenant.project_id, row.secret) == secret
    for other, project in ((Vault.of(b"another key"), tenant.project_id), (vault, uuid4())):
        with pytest.raises(OtherKey):
            other.open(project, row.secret)
    assert vault.key != hashlib.sha256(b"a key of tests").digest()
