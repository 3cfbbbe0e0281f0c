"""A large upload passes through: it is never held."""

import asyncio
import hashlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from shared.config import Settings
from tests.conftest import Tenant
from tests.patience import GIVES_UP_S

SIZE = 200 << 20
GROWTH = 64 << 20
PIECE = os.urandom(1 << 20)


@pytest.fixture
async def process(settings: Settings, tmp_path: Path) -> AsyncIterator[tuple[psutil.Process, str]]:
    """The API as its command starts it, and where it listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = {
        "BATCHMILL_DATABASE__URL": settings.database_url(),
        "BATCHMILL_BROKER__URL": settings.broker_url(),
        "BATCHMILL_STORAGE__URL": settings.storage_url(),
        "BATCHMILL_DATA_DIR": str(settings.data_dir),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    (tmp_path / "tmp").mkdir()
    command = ("-m", "uvicorn", "services.api.app:create_app", "--factory", "--port", str(port))
    child = await asyncio.create_subprocess_exec(sys.executable, *command, env={**os.environ, **given})
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(GIVES_UP_S), httpx.AsyncClient() as http:
            while True:
                try:
                    await http.get(f"{url}/health")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        yield psutil.Process(child.pid), url
    finally:
        child.terminate()
        await child.wait()


async def test_200_mb_stream_through_in_bounded_memory(
    process: tuple[psutil.Process, str], tenant: Tenant, tmp_path: Path
) -> None:
    server, url = process
    highest = 0
    spooled = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal highest, spooled
        yield b'--b\r\nContent-Disposition: form-data; name="upload_file"; filename="big"\r\n\r\n'
        for _ in range(SIZE // len(PIECE)):
            yield PIECE
            highest = max(highest, server.memory_info().rss)
            spooled = max(spooled, sum(p.stat().st_size for p in (tmp_path / "tmp").rglob("*")))
        yield b"\r\n--b--\r\n"

    async with httpx.AsyncClient(
        base_url=url, headers={"authorization": f"Bearer {tenant.key}"}, timeout=60
    ) as http:
        made = await http.post("/api/v1/beta/directories", json={"name": "d"})
        before = server.memory_info().rss
        found = await http.post(
            f"/api/v1/beta/directories/{made.json()['id']}/files/upload",
            content=body(),
            headers={"content-type": "multipart/form-data; boundary=b"},
        )
        assert found.status_code == 201
        link = (await http.get(f"/api/v1/beta/files/{found.json()['file_id']}/content")).json()["url"]
        digest = hashlib.sha256()
        async with http.stream("GET", link) as answer:
            async for piece in answer.aiter_bytes():
                digest.update(piece)
                highest = max(highest, server.memory_info().rss)
    wanted = hashlib.sha256()
    for _ in range(SIZE // len(PIECE)):
        wanted.update(PIECE)
    assert digest.digest() == wanted.digest()
    assert highest - before < GROWTH, f"grew by {(highest - before) >> 20} MiB"
    assert spooled == 0
