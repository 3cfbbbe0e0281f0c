"""Webhooks that come with a batch, a job or a saved configuration: who is told of what, as it was then."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from shared.webhooks.vault import Vault
from shared.wiring import Resources
from tests.conftest import Tenant

CONFIGS = "/api/v1/beta/webhook-configs"
CONFIGURATIONS = "/api/v1/beta/configurations"
FAST = {"product_type": "parse_v2", "tier": "fast", "version": "latest"}
SCHEMA = {"data_schema": {"type": "object", "properties": {"total": {"type": "number"}}}}
VAULT = Vault.of(b"a key of tests")

Rows = Callable[..., Awaitable[list[Any]]]


@pytest.fixture
def rows(resources: Resources) -> Rows:
    async def read(statement: str, **values: Any) -> list[Any]:
        async with resources.unit_of_work() as uow:
            return list((await uow.session.execute(text(statement), values)).all())

    return read


async def made(http: httpx.AsyncClient, path: str, **sent: Any) -> dict[str, Any]:
    found = await http.post(path, **sent)
    assert found.is_success, found.text
    return dict(found.json())


async def file_of(http: httpx.AsyncClient) -> str:
    content = uuid4().bytes
    found = await made(
        http, "/api/v1/beta/files", files={"file": ("f.txt", content)}, data={"purpose": "parse"}
    )
    return str(found["id"])


async def endpoints(rows: Rows, owner: str) -> list[Any]:
    return await rows(
        "SELECT * FROM webhook_endpoints WHERE owner_id = CAST(:o AS uuid) ORDER BY url",
        o=owner.split("-", 1)[1],
    )


async def open_batch(http: httpx.AsyncClient, configuration: str, **hooks: Any) -> dict[str, Any]:
    directory = await made(http, "/api/v1/beta/directories", json={"name": "d"})
    job = {"type": "parse_v2", "configuration_id": configuration}
    body = {"source_directory_id": directory["id"], "config": {"job": job}, **hooks}
    return await made(http, "/api/v2/batches", json=body)


async def test_a_batch_is_told_of_by_its_own_and_its_jobs_by_the_configurations(
    http: httpx.AsyncClient, rows: Rows, tenant: Tenant
) -> None:
    saved = await made(
        http, CONFIGS, json={"webhook_url": "https://saved.test/", "webhook_signing_secret": "kept"}
    )
    inline = {
        "webhook_url": "https://inline.test/",
        "webhook_events": ["parse.success"],
        "webhook_headers": {"X-A": "b"},
        "webhook_output_format": "json",
        "webhook_signing_secret": "told",
        "unknown": 1,
    }
    configuration = await made(
        http,
        CONFIGURATIONS,
        json={
            "name": "with webhooks",
            "parameters": {
                **FAST,
                "webhook_configurations": [
                    {"webhook_url": "https://jobs.test/", "webhook_signing_secret": "deep"}
                ],
            },
        },
    )
    batch = await open_batch(
        http,
        configuration["id"],
        webhook_configurations=[inline],
        webhook_configuration_ids=[saved["id"], saved["id"]],
    )
    await http.put(f"{CONFIGS}/{saved['id']}", json={"webhook_url": "https://other.test/"})
    await http.delete(f"{CONFIGS}/{saved['id']}")
    of_inline, of_jobs, of_saved = await endpoints(rows, batch["id"])
    assert (of_inline.about, of_jobs.about, of_saved.about) == ("BATCH", "JOBS", "BATCH")
    assert (of_inline.url, of_jobs.url) == ("https://inline.test/", "https://jobs.test/")
    assert of_saved.url == "https://saved.test/", "as it was when the batch was opened"
    assert (of_inline.events, of_inline.headers, of_inline.output_format) == (
        ["parse.success"],
        {"X-A": "b"},
        "json",
    )
    secrets = [VAULT.open(tenant.project_id, one.secret) for one in (of_inline, of_jobs, of_saved)]
    assert secrets == ["told", "deep", "kept"]
    told = await rows("SELECT event_type, subject_id, endpoint_id FROM webhook_deliveries")
    assert [(one.event_type, one.endpoint_id) for one in told] == [("batch.pending", of_saved.id)]
    (config,) = await rows("SELECT config::text AS c FROM batches")
    assert "webhook" not in config.c


@pytest.mark.parametrize("kind", ["parse", "extract"])
async def test_a_job_takes_its_own_webhooks_or_the_configurations(
    http: httpx.AsyncClient, rows: Rows, kind: str
) -> None:
    hook = {"webhook_configurations": [{"webhook_url": "https://config.test/"}]}
    parameters = FAST if kind == "parse" else {**SCHEMA, "product_type": "extract_v2"}
    configuration = await made(http, CONFIGURATIONS, json={"name": "n", "parameters": {**parameters, **hook}})
    name = "file_id" if kind == "parse" else "file_input"
    body = {name: await file_of(http), "configuration_id": configuration["id"]}
    plain = await made(http, f"/api/v2/{kind}", json=body)
    own = [{"webhook_url": "https://own.test/", "webhook_events": [f"{kind}.pending"]}]
    body = {name: await file_of(http), "configuration_id": configuration["id"]}
    mine = await made(http, f"/api/v2/{kind}", json={**body, "webhook_configurations": own})
    assert [one.url for one in await endpoints(rows, plain["id"])] == ["https://config.test/"]
    assert [one.url for one in await endpoints(rows, mine["id"])] == ["https://own.test/"]
    told = await rows("SELECT event_type, data FROM webhook_deliveries ORDER BY id")
    assert [one.event_type for one in told] == [f"{kind}.pending"] * 2
    assert [one.data["job_id"] for one in told] == [plain["id"], mine["id"]]
    kept = await rows("SELECT config::text AS c FROM jobs")
    assert not [one for one in kept if "webhook" in one.c]


async def test_an_upload_and_an_inline_configuration_bring_webhooks_too(
    http: httpx.AsyncClient, rows: Rows
) -> None:
    hook = {"webhook_url": "https://up.test/", "webhook_headers": {"X-N": 5, "X-B": True}}
    asked = httpx.Response(
        200, json={"tier": "fast", "version": "latest", "webhook_configurations": [hook]}
    ).text
    uploaded = await made(
        http,
        "/api/v2/parse/upload",
        files={"file": ("u.txt", uuid4().bytes)},
        data={"configuration": asked},
    )
    (found,) = await endpoints(rows, uploaded["id"])
    assert (found.url, found.headers) == ("https://up.test/", {"X-N": "5", "X-B": "true"})
    inside = {**SCHEMA, "webhook_configurations": [{"webhook_url": "https://in.test/"}]}
    extracted = await made(
        http, "/api/v2/extract", json={"file_input": await file_of(http), "configuration": inside}
    )
    assert [one.url for one in await endpoints(rows, extracted["id"])] == ["https://in.test/"]


async def test_a_configuration_never_tells_its_secrets_and_keeps_them(
    http: httpx.AsyncClient, rows: Rows, tenant: Tenant
) -> None:
    secret = uuid4().hex
    hook = {"webhook_url": "https://a.test/", "webhook_signing_secret": secret}
    parameters = {**FAST, "webhook_configurations": [hook]}
    saved = await made(http, CONFIGURATIONS, json={"name": "n", "parameters": parameters})
    assert saved["parameters"]["webhook_configurations"] == [{"webhook_url": "https://a.test/"}]
    one = f"{CONFIGURATIONS}/{saved['id']}"
    # Written back as it was read: under the same URL the secret stays, another URL has none.
    read = (await http.get(one)).json()["parameters"]
    read["webhook_configurations"].append({"webhook_url": "https://b.test/"})
    assert (await http.put(one, json={"parameters": read})).is_success
    batch = await open_batch(http, saved["id"])
    found = await endpoints(rows, batch["id"])
    assert [row.secret is not None for row in found] == [True, False]
    assert VAULT.open(tenant.project_id, found[0].secret) == secret
    assert secret not in str(await rows("SELECT parameters FROM configurations"))


async def test_saved_webhooks_of_others_are_404(
    http: httpx.AsyncClient, api_url: str, neighbour: Tenant
) -> None:
    headers = {"authorization": f"Bearer {neighbour.key}"}
    async with httpx.AsyncClient(base_url=api_url, headers=headers) as theirs:
        other = await made(theirs, CONFIGS, json={"webhook_url": "https://theirs.test/"})
    hook = {"webhook_configuration_ids": [other["id"]]}
    file_id = await file_of(http)
    directory = await made(http, "/api/v1/beta/directories", json={"name": "d"})
    job = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/api/v2/batches", {"source_directory_id": directory["id"], "config": {"job": job}}),
        ("/api/v2/parse", {"file_id": file_id, "tier": "fast", "version": "latest"}),
        ("/api/v2/extract", {"file_input": file_id, "configuration": SCHEMA}),
    ]
    for path, body in asked:
        assert (await http.post(path, json={**body, **hook})).status_code == 404
    found = await http.post(CONFIGURATIONS, json={"name": "n", "parameters": {**FAST, **hook}})
    assert found.status_code == 404
    free = {"product_type": "classify_v2", "webhook_configuration_ids": [other["id"]]}
    found = await http.post(CONFIGURATIONS, json={"name": "n", "parameters": free})
    assert (found.status_code, "do not run here" in found.text) == (400, True)


async def test_a_configuration_whose_webhook_went_says_so(http: httpx.AsyncClient) -> None:
    saved = await made(http, CONFIGS, json={"webhook_url": "https://a.test/"})
    hook = {"webhook_configuration_ids": [saved["id"]]}
    configuration = await made(http, CONFIGURATIONS, json={"name": "n", "parameters": {**FAST, **hook}})
    await http.delete(f"{CONFIGS}/{saved['id']}")
    directory = await made(http, "/api/v1/beta/directories", json={"name": "d"})
    job = {"type": "parse_v2", "configuration_id": configuration["id"]}
    body = {"source_directory_id": directory["id"], "config": {"job": job}}
    found = await http.post("/api/v2/batches", json=body)
    assert (found.status_code, saved["id"] in found.json()["detail"]) == (404, True)
