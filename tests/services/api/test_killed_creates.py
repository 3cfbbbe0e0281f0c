"""An API that dies over a creating request: the client sends it again, and there is one of what it made."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from llama_cloud import AsyncLlamaCloud
from sqlalchemy import text

from shared.config import Settings
from shared.wiring import Resources
from tests.conftest import NO_BROKER, Tenant

ROOT = Path(__file__).resolve().parents[3]


class Mortal:
    """A server that is started again on its port whenever it ended."""

    def __init__(self, settings: Settings, point: str, armed: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.armed = armed
        self.deaths = 0
        self._command = [
            *(sys.executable, "-m", "tests.services.api.dying_server"),
            *(str(self.port), point, str(armed)),
        ]
        assert settings.storage.url is not None
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BATCHMILL_")},
            "BATCHMILL_DATA_DIR": str(settings.data_dir),
            "BATCHMILL_DATABASE__URL": settings.database_url(),
            "BATCHMILL_BROKER__URL": NO_BROKER,
            "BATCHMILL_STORAGE__URL": settings.storage.url,
        }

    async def live(self) -> None:
        """Until cancelled."""
        while True:
            process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
                self._command, env=self._env, cwd=ROOT
            )
            try:
                while process.poll() is None:
                    await asyncio.sleep(0.02)
                assert process.returncode == -9
                self.deaths += 1
            finally:
                process.kill()
                process.wait()

    async def up(self) -> None:
        async with httpx.AsyncClient() as http, asyncio.timeout(30):
            while True:
                try:
                    if (await http.get(f"{self.url}/ready")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)


@pytest.fixture
async def mortal(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> AsyncIterator[Mortal]:
    """It dies at the point that the test names, once."""
    made = Mortal(settings, request.param, tmp_path / "armed")
    living = asyncio.create_task(made.live())
    await made.up()
    yield made
    living.cancel()
    with pytest.raises(asyncio.CancelledError):
        await living


AT = pytest.mark.parametrize("mortal", ["ANSWER_KEPT", "COMMITTED"], indirect=True)


async def count(resources: Resources, table: str) -> int:
    async with resources.unit_of_work() as uow:
        found = await uow.session.execute(text(f"SELECT count(*) FROM {table}"))  # noqa: S608
        return int(found.scalar_one())


@AT
async def test_the_official_client_makes_one_batch(
    mortal: Mortal, tenant: Tenant, resources: Resources
) -> None:
    async with AsyncLlamaCloud(base_url=mortal.url, api_key=tenant.key) as client:
        directory = await client.beta.directories.create(name="source")
        mortal.armed.touch()
        batch = await client.batches.create(
            source_directory_id=directory.id,
            config={"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}},
        )
        assert [one.id async for one in client.batches.list()] == [batch.id]
    assert mortal.deaths == 1
    assert await count(resources, "batches") == 1


@AT
async def test_a_key_makes_one_directory(mortal: Mortal, tenant: Tenant, resources: Resources) -> None:
    headers = {"authorization": f"Bearer {tenant.key}", "idempotency-key": "only once"}
    async with httpx.AsyncClient(base_url=mortal.url, headers=headers) as http:
        mortal.armed.touch()
        with pytest.raises(httpx.TransportError):
            await http.post("/api/v1/beta/directories", json={"name": "n"})
        await asyncio.sleep(0.1)
        await mortal.up()
        made = await http.post("/api/v1/beta/directories", json={"name": "n"})
    assert made.status_code == 201, made.text
    assert mortal.deaths == 1
    assert await count(resources, "directories") == 1
