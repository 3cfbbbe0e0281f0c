"""Limits of a key's requests: what is over is told when to come, and the official client gets through."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from llama_cloud import AsyncLlamaCloud
from sqlalchemy import text

from shared.config import Settings
from shared.wiring import Resources
from tests.conftest import Server, Tenant
from tests.twins import HeardBells

DIRECTORIES = "/api/v1/beta/directories"
KEYS = "/api/v1/admin/keys"

Serve = Callable[..., Any]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def serve(settings: Settings, bells: HeardBells, broker_url: str) -> Serve:
    """An API with limits, and a broker that counts."""

    @asynccontextmanager
    async def run(
        key: str, *, per_minute: int | None, burst: int | None = None, broker: str = broker_url
    ) -> AsyncIterator[httpx.AsyncClient]:
        api = settings.api.model_copy(update={"requests_per_minute": per_minute, "request_burst": burst})
        given = Settings.model_validate({**settings.model_dump(), "api": api, "broker": {"url": broker}})
        server = Server(given, bells)
        await server.start()
        async with httpx.AsyncClient(base_url=server.url, headers=bearer(key), timeout=60) as http:
            yield http
        await server.stop()

    return run


@pytest.fixture(params=["in Valkey", "in the process"])
def broker(request: pytest.FixtureRequest, broker_url: str) -> str:
    return broker_url if request.param == "in Valkey" else "amqp://guest:guest@127.0.0.1:1//"


async def test_what_is_over_is_429_and_says_all_about_it(serve: Serve, tenant: Tenant, broker: str) -> None:
    async with serve(tenant.key, per_minute=6, burst=3, broker=broker) as http:
        answers = [await http.get(DIRECTORIES) for _ in range(5)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
    assert [one.headers["ratelimit"].split(";")[1] for one in answers] == ["r=2", "r=1", "r=0", "r=0", "r=0"]
    assert {one.headers["ratelimit-policy"] for one in answers} == {'"requests";q=3;w=30'}
    first, second = answers[3:]
    assert 9 <= int(first.headers["retry-after"]) <= 10
    assert 18 <= int(second.headers["retry-after"]) <= 20
    told = first.json()["detail"]
    assert "6 requests a minute, 3 of them at once" in told
    assert f"in {first.headers['retry-after']} s, at 20" in told


async def test_the_official_client_gets_through_and_makes_each_thing_once(
    serve: Serve, tenant: Tenant, resources: Resources, broker: str
) -> None:
    """All ask for the same name at once: what is sent again after a 429 is no repetition of another's."""
    async with (
        serve(tenant.key, per_minute=240, burst=2, broker=broker) as http,
        AsyncLlamaCloud(base_url=str(http.base_url), api_key=tenant.key) as client,
    ):
        made = await asyncio.gather(*(client.beta.directories.create(name="same") for _ in range(12)))
    assert len({one.id for one in made}) == 12
    async with resources.unit_of_work() as uow:
        found = await uow.session.execute(text("SELECT count(*), max(taken) FROM answers"))
        assert tuple(found.one()) == (12, 0)


async def test_a_lost_answer_is_replayed_though_a_limit_came_between(
    serve: Serve, tenant: Tenant, broker: str
) -> None:
    async with serve(tenant.key, per_minute=60, burst=1, broker=broker) as http:

        async def send(sending: int) -> httpx.Response:
            headers = {"x-stainless-retry-count": str(sending)}
            answer: httpx.Response = await http.post(DIRECTORIES, json={"name": "n"}, headers=headers)
            return answer

        first = await send(0)
        limited = await send(1)
        await asyncio.sleep(1.1)
        last = await send(2)
    assert (first.status_code, limited.status_code, last.status_code) == (201, 429, 201)
    assert last.json() == first.json()


async def test_keys_do_not_share_a_limit(serve: Serve, tenant: Tenant, neighbour: Tenant) -> None:
    async with serve(tenant.key, per_minute=1) as http:
        assert (await http.get(DIRECTORIES)).status_code == 200
        assert (await http.get(DIRECTORIES)).status_code == 429
        assert (await http.get(DIRECTORIES, headers=bearer(neighbour.key))).status_code == 200
        assert (await http.get(DIRECTORIES, headers=bearer("bmk_wrong"))).status_code == 401


async def test_operators_health_and_downloads_have_no_limit(
    serve: Serve, tenant: Tenant, operator_key: str
) -> None:
    async with serve(tenant.key, per_minute=2) as http:
        upload = await http.post("/api/v1/beta/files", files={"file": ("a", b"x")}, data={"purpose": "parse"})
        link = (await http.get(f"/api/v1/beta/files/{upload.json()['id']}/content")).json()["url"]
        assert (await http.get(DIRECTORIES)).status_code == 429
        for _ in range(5):
            assert (await http.get(KEYS, headers=bearer(operator_key))).status_code == 200
            for path in ("/health", "/ready", "/metrics", link):
                assert (await http.get(path)).status_code == 200


async def test_without_the_setting_nothing_is_limited(serve: Serve, tenant: Tenant) -> None:
    async with serve(tenant.key, per_minute=None) as http:
        answers = [await http.get(DIRECTORIES) for _ in range(30)]
    assert {one.status_code for one in answers} == {200}
    assert not any("ratelimit" in one.headers for one in answers)


async def test_when_the_broker_is_away_requests_are_let_in_and_counted(serve: Serve, tenant: Tenant) -> None:
    async with serve(tenant.key, per_minute=1, broker="redis://127.0.0.1:1/0") as http:
        answers = [await http.get(DIRECTORIES) for _ in range(4)]
        numbers = (await http.get("/metrics")).text
    assert {one.status_code for one in answers} == {200}
    assert "batchmill_http_requests_unlimited_total 4.0" in numbers


async def test_a_key_has_a_limit_of_its_own_from_its_next_request_on(
    serve: Serve, tenant: Tenant, operator_key: str
) -> None:
    async with serve(tenant.key, per_minute=None) as http:
        admin = {"headers": bearer(operator_key)}
        [ours] = [one for one in (await http.get(KEYS, **admin)).json()["items"] if one["role"] == "project"]
        place = f"{KEYS}/{ours['id']}/limits"
        changed = await http.put(place, json={"requests_per_minute": 60, "burst": 2}, **admin)
        assert (changed.json()["requests_per_minute"], changed.json()["burst"]) == (60, 2)
        assert [(await http.get(DIRECTORIES)).status_code for _ in range(3)] == [200, 200, 429]
        rotated = (await http.post(f"{KEYS}/{ours['id']}/rotate", **admin)).json()
        assert (rotated["requests_per_minute"], rotated["burst"]) == (60, 2)
        await http.put(place, json={"requests_per_minute": 0}, **admin)
        assert {(await http.get(DIRECTORIES)).status_code for _ in range(5)} == {200}
        events = (await http.get("/api/v1/admin/audit?action=key.limit", **admin)).json()["items"]
        assert len(events) == 2
        for bad in (
            {},
            {"requests_per_minute": -1},
            {"requests_per_minute": 10**9},
            {"requests_per_minute": 5, "burst": 0},
        ):
            assert (await http.put(place, json=bad, **admin)).status_code == 422
        for odd in ({"requests_per_minute": None, "burst": 3}, {"requests_per_minute": 0, "burst": 3}):
            assert (await http.put(place, json=odd, **admin)).status_code == 400
        assert (await http.put(place, json={"requests_per_minute": 5})).status_code == 403
