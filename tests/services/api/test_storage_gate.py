"""The API and a storage that is not its database's: it does not start, or serves all but bytes."""

import asyncio
from pathlib import Path

import httpx
import pytest

from services.api.app import create_app
from shared.config import Settings, Storage
from shared.installation.service import OtherStorage
from shared.wiring import Resources
from tests.conftest import Server, Tenant
from tests.twins import HeardBells

FILES = "/api/v1/beta/files"


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    """The same database with a storage folder of its own: a second host."""
    return settings.model_copy(update={"storage": Storage(url=(tmp_path / "elsewhere").as_uri())})


async def upload(http: httpx.AsyncClient) -> httpx.Response:
    return await http.post(FILES, files={"file": ("a.txt", b"text")}, data={"purpose": "parse"})


async def storage_of(http: httpx.AsyncClient) -> str:
    return str((await http.get("/ready")).json()["checks"]["storage"])


async def test_it_does_not_start_on_another_storage(
    resources: Resources, elsewhere: Settings, bells: HeardBells
) -> None:
    await resources.hold_to_storage()
    app = create_app(elsewhere, queue=bells)
    with pytest.raises(OtherStorage, match="elsewhere"):
        async with app.router.lifespan_context(app):
            pass
    assert bells.closed


async def test_started_before_its_database_it_asks_again_by_itself(
    resources: Resources,
    elsewhere: Settings,
    bells: HeardBells,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(*_: object) -> None:
        raise ConnectionRefusedError

    await resources.hold_to_storage()
    server = Server(elsewhere, bells)
    headers = {"authorization": f"Bearer {tenant.key}"}
    try:
        async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
            with monkeypatch.context() as patch:
                patch.setattr(Resources, "hold_to_storage", away)
                await server.start()
                # More than the pool has connections: none of them may wait for a second one.
                early = await asyncio.gather(*(upload(http) for _ in range(20)))
                assert {(one.status_code, one.headers["retry-after"]) for one in early} == {(503, "2")}
                assert "not be checked yet" in early[0].json()["detail"]
                assert await storage_of(http) == "not checked yet"
            assert (await http.get(FILES)).status_code == 200
            async with asyncio.timeout(10):
                while await storage_of(http) != "not the storage of this database":
                    await asyncio.sleep(0.1)
            refused = await upload(http)
            assert refused.status_code == 503
            assert "not the one of its database" in refused.json()["detail"]
            assert "elsewhere" not in refused.text
    finally:
        await server.stop()


async def test_once_the_check_has_passed_it_is_not_asked_again(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(Resources, "hold_to_storage", fails)
    assert (await upload(http)).status_code == 201
