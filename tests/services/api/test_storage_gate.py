"""The API and a storage that is not its database's: it does not start, or serves all but bytes."""

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


async def test_it_does_not_start_on_another_storage(
    resources: Resources, elsewhere: Settings, bells: HeardBells
) -> None:
    await resources.hold_to_storage()
    app = create_app(elsewhere, queue=bells)
    with pytest.raises(OtherStorage, match="elsewhere"):
        async with app.router.lifespan_context(app):
            pass
    assert bells.closed


async def test_started_before_its_database_it_checks_with_the_first_request_that_needs_the_storage(
    resources: Resources,
    elsewhere: Settings,
    bells: HeardBells,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(*_: object) -> None:
        raise ConnectionRefusedError

    server = Server(elsewhere, bells)
    with monkeypatch.context() as patch:
        patch.setattr(Resources, "hold_to_storage", away)
        await server.start()
    await resources.hold_to_storage()
    headers = {"authorization": f"Bearer {tenant.key}"}
    try:
        async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
            assert (await http.get(FILES)).status_code == 200
            refused = await http.post(FILES, files={"file": ("a.txt", b"text")}, data={"purpose": "parse"})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
            assert "not the one of its database" in refused.json()["detail"]
            assert "elsewhere" not in refused.text
            ready = await http.get("/ready")
            assert ready.status_code == 503
            assert ready.json()["checks"]["storage"] == "not the storage of this database"
    finally:
        await server.stop()


async def test_once_the_check_has_passed_it_is_not_asked_again(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(Resources, "hold_to_storage", fails)
    sent = await http.post(FILES, files={"file": ("a.txt", b"text")}, data={"purpose": "parse"})
    assert sent.status_code == 201
