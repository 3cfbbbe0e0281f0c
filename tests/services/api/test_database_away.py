"""The database goes away under an API that serves, and comes back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.api.known_keys import FOR_S
from services.local.postgres import EmbeddedPostgres
from shared.config import Database, Settings
from shared.db import migrations
from shared.db.engine import open_engine
from shared.wiring import open_resources
from tests.conftest import Server, make_tenant
from tests.twins import HeardBells

SOME = "019e8a52-6a3e-7c62-9b1d-3a4a1f0f9e11"
JOB = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}
REQUESTS: list[tuple[str, str, dict[str, object]]] = [
    ("GET", "/api/v1/projects", {}),
    ("GET", "/api/v1/beta/directories", {}),
    ("POST", "/api/v1/beta/directories", {"json": {"name": "d"}}),
    ("GET", f"/api/v1/beta/directories/dir-{SOME}/files", {}),
    ("POST", "/api/v1/beta/files", {"files": {"file": ("f", b"x")}, "data": {"purpose": "parse"}}),
    ("POST", "/api/v2/batches", {"json": {"source_directory_id": f"dir-{SOME}", "config": {"job": JOB}}}),
    ("GET", f"/api/v2/batches/bat-{SOME}", {}),
    ("GET", f"/api/v2/batches/bat-{SOME}/results", {}),
    ("POST", f"/api/v2/batches/bat-{SOME}/cancel", {}),
    ("GET", f"/api/v2/parse/pjb-{SOME}", {}),
    ("GET", f"/api/v2/extract/ext-{SOME}", {}),
    ("GET", "/api/v1/admin/keys", {}),
    ("GET", "/api/v1/admin/health", {}),
]


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    """One of this test's own, migrated: it is stopped under the API."""
    made = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    await made.start()
    engine = open_engine(made.url(), name="tests", pooled=False)
    await migrations.upgrade(engine)
    await engine.dispose()
    yield made
    await made.stop()


async def test_it_is_503_with_a_time_to_come_back_and_then_well_again(
    postgres: EmbeddedPostgres, tmp_path: Path, bells: HeardBells
) -> None:
    # The folder of the socket changes with each start, so a link stands for it.
    link = tmp_path / "s"
    link.symlink_to(postgres.host)
    database = Database.model_validate({"url": f"postgresql+asyncpg://postgres@/batchmill?host={link}"})
    settings = Settings.model_validate(
        {
            "data_dir": tmp_path / "data",
            "secret_key": "a key of tests",
            "database": database,
            "broker": {"url": "redis://127.0.0.1:1/0"},
            "storage": {"url": (tmp_path / "blobs").as_uri()},
        }
    )
    resources = open_resources(settings, name="tests", queue=bells)
    key = (await make_tenant(resources, "ours")).key
    await resources.close()
    server = Server(settings, bells)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
            http.headers["authorization"] = f"Bearer {key}"
            assert (await http.get("/api/v1/projects")).status_code == 200
            await postgres.stop()
            # A key that was good a moment ago is not looked up, and some refusals need nothing else.
            await asyncio.sleep(FOR_S)
            for method, path, body in REQUESTS:
                found = await http.request(method, path, **body)  # type: ignore[arg-type]
                assert (found.status_code, found.headers.get("retry-after")) == (503, "2"), (path, found.text)
                assert "Traceback" not in found.text
                assert str(tmp_path) not in found.text
            assert (await http.get("/health")).status_code == 200
            await postgres.start()
            link.unlink()
            link.symlink_to(postgres.host)
            assert (await http.get("/api/v1/projects")).status_code == 200
    finally:
        await server.stop()
