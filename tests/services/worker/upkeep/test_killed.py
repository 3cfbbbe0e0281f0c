"""A real upkeep is killed while it removes things, and the next one ends what it began."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from shared.config import Settings
from shared.retention import repository
from shared.wiring import Resources
from tests.conftest import NO_BROKER
from tests.shared.retention.conftest import Shelf, make_shelf

WITHIN_S = 90.0
BLOBS = 3_000

Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def upkeep(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Starts `batchmill upkeep` over this test's database and storage."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("BATCHMILL_")} | {
        "BATCHMILL_DATABASE__URL": settings.database_url(),
        "BATCHMILL_STORAGE__URL": settings.storage_url(),
        "BATCHMILL_BROKER__URL": NO_BROKER,
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "services.cli", "upkeep"]
        with (tmp_path / "upkeep.log").open("ab") as log:
            started.append(subprocess.Popen(command, env=env, cwd=tmp_path, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await true():
            await asyncio.sleep(0.01)


async def test_a_purge_that_is_killed_twice_ends(resources: Resources, tmp_path: Path, upkeep: Start) -> None:
    shelf: Shelf = await make_shelf(resources, tmp_path)
    neighbour: Shelf = await make_shelf(resources, tmp_path)
    kept = await neighbour.key(await neighbour.job())
    await shelf.batch(jobs=5)
    for number in range(BLOBS):
        folder = shelf.folder / f"p/{shelf.project}/r/{number}"
        folder.mkdir(parents=True)
        (folder / "blob").write_bytes(b"x")
    async with resources.unit_of_work() as uow:
        assert await repository.start_purge(uow.session, shelf.project)
        await uow.commit()

    async def gone(rows: int, blobs: int) -> bool:
        await shelf.mill.sql("UPDATE purges SET due_at = now() WHERE due_at > now() + interval '2 s'")
        (row,) = await shelf.mill.sql("SELECT rows_gone, blobs_gone, state FROM purges")
        return bool((row.rows_gone >= rows and row.blobs_gone >= blobs) or row.state == "DONE")

    for rows, blobs in ((1, 0), (1, 1)):
        process = upkeep()
        await until(lambda rows=rows, blobs=blobs: gone(rows, blobs))  # type: ignore[misc]
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    async def done() -> bool:
        await shelf.mill.sql("UPDATE purges SET due_at = now() WHERE due_at > now() + interval '2 s'")
        return bool(await shelf.mill.one("SELECT state = 'DONE' FROM purges"))

    upkeep()
    await until(done)
    assert {key for key in shelf.blobs() if key.startswith("p/")} == {kept}
    assert not (shelf.folder / f"p/{shelf.project}").exists()
    for table in ("jobs", "batches", "directories", "files"):
        found = await shelf.mill.one(
            f"SELECT count(*) FROM {table} WHERE project_id = :p",  # noqa: S608
            p=shelf.project,
        )
        assert found == 0, table
