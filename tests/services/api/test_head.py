"""HEAD: what a GET would say, without saying it."""

import asyncio

import httpx
import pytest

from shared.wiring import Resources
from tests.bench.whole_batches import make
from tests.conftest import Tenant
from tests.services.api.export.conftest import papers

DIRECTORIES = "/api/v1/beta/directories"
OF_ONE_ANSWER = frozenset({"date", "x-request-id"})


def lasting(answer: httpx.Response) -> dict[str, str]:
    """The headers that do not belong to one answer alone."""
    return {name: value for name, value in answer.headers.items() if name not in OF_ONE_ANSWER}


@pytest.mark.parametrize(
    "path",
    ["/health", "/ready", DIRECTORIES, "/api/v2/batches", "/api/v1/projects", "/docs", "/openapi.json"],
)
async def test_it_has_the_headers_of_the_get_and_no_body(http: httpx.AsyncClient, path: str) -> None:
    await http.get(path)
    whole, head = await http.get(path), await http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert lasting(head) == lasting(whole)
    assert int(head.headers["content-length"]) == len(whole.content)


async def test_refusals_are_those_of_the_get(http: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    for client, path, status in (
        (anonymous, DIRECTORIES, 401),
        (http, f"{DIRECTORIES}/dir-none", 404),
        (http, "/api/v1/nothing", 404),
        (http, "/api/v2/batches?status=NONE", 422),
        (http, "/api/v2/batches/bat-none/cancel", 405),
    ):
        head = await client.head(path)
        assert (head.status_code, head.content) == (status, b""), path


async def test_allow_names_it_where_there_is_a_get(http: httpx.AsyncClient) -> None:
    for path, allowed in (
        (DIRECTORIES, "GET, HEAD, POST"),
        ("/health", "GET, HEAD"),
        ("/api/v2/batches/bat-none/cancel", "POST"),
    ):
        refused = await http.request("PUT", path)
        assert (refused.status_code, refused.headers["allow"]) == (405, allowed)


async def test_a_stream_without_an_end_is_not_begun(http: httpx.AsyncClient) -> None:
    directory = (await http.post(DIRECTORIES, json={"name": "d"})).json()["id"]
    job = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}
    body = {"source_directory_id": directory, "config": {"job": job}}
    batch = f"/api/v2/batches/{(await http.post('/api/v2/batches', json=body)).json()['id']}"
    async with asyncio.timeout(10):
        head = await http.head(f"{batch}/events")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")
        assert (await http.get(batch)).status_code == 200, "the connection is free again"


@pytest.mark.parametrize("form", ["jsonl", "zip"])
async def test_an_export_is_not_made_for_it(
    http: httpx.AsyncClient, resources: Resources, tenant: Tenant, form: str
) -> None:
    batch = await make(resources, tenant.project_id, papers())
    path = f"/api/v2/batches/{batch.shown}/export"
    params = {"format": form}
    first = await http.head(path, params=params, headers={"range": "bytes=5-"})
    assert (first.status_code, first.headers["accept-ranges"], first.content) == (200, "bytes", b"")
    assert "content-length" not in first.headers
    whole = await http.get(path, params=params)
    assert whole.headers["etag"] == first.headers["etag"]
