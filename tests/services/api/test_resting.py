"""The API that nobody asks anything rests, and still hears at once that it is to end."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from shared.config import Settings

LOOKS_A_SECOND = 4
"""Of its main thread; the library's own server has ten."""
STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 3.0


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The API as its command starts it, and where it listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = {
        "BATCHMILL_DATABASE__URL": settings.database_url(),
        "BATCHMILL_BROKER__URL": settings.broker_url(),
        "BATCHMILL_STORAGE__URL": settings.storage_url(),
        "BATCHMILL_DATA_DIR": str(settings.data_dir),
    }
    command = ("-m", "services.cli", "api", "--port", str(port))
    child = await asyncio.create_subprocess_exec(sys.executable, *command, env={**os.environ, **given})
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(STARTS_WITHIN_S):
            while not await answers(url):
                assert child.returncode is None
                await asyncio.sleep(0.1)
        yield child, url
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def answers(url: str) -> bool:
    async with httpx.AsyncClient() as http:
        try:
            return (await http.get(f"{url}/health")).is_success
        except httpx.TransportError:
            return False


def looks_of(pid: int) -> int:
    """How often its main thread went to sleep by itself so far."""
    lines = Path(f"/proc/{pid}/task/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


async def test_it_rests_between_requests_tells_the_time_and_ends_at_once(
    api: tuple[asyncio.subprocess.Process, str],
) -> None:
    child, url = api
    assert await told_time(url)
    await asyncio.sleep(1)
    looked, began = looks_of(child.pid), time.monotonic()
    await asyncio.sleep(5)
    assert (looks_of(child.pid) - looked) / (time.monotonic() - began) < LOOKS_A_SECOND
    assert await told_time(url)
    asked = time.monotonic()
    child.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        await child.wait()
    assert time.monotonic() - asked < ENDS_WITHIN_S
    assert child.returncode in {0, -signal.SIGTERM}


async def told_time(url: str) -> bool:
    """Whether its answer has the time of now in its header."""
    async with httpx.AsyncClient() as http:
        told = parsedate_to_datetime((await http.get(f"{url}/health")).headers["date"])
    return abs(datetime.now(UTC) - told) < timedelta(seconds=4)
