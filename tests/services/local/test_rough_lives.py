"""Parts that will not end, a disk that fills while they run, and places that are not as they should be."""

import asyncio
import errno
import os
import signal
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from services.local.data_dir import DataDir, StackRecord
from services.local.parts import Site, StackParts, api_part, ready_by_file
from services.local.stack import attach
from tests.services.local import fakes
from tests.services.local.fakes import (
    API,
    WORKER,
    fake_parts,
    fake_stack,
    lives,
    python,
    recorded,
    socket_folders,
    traces_of,
    until,
)

DEAF = "import signal\nsignal.signal(15, signal.SIG_IGN)\n"
DEAF_WORKER = WORKER.replace("signal.signal(signal.SIGTERM, end)", DEAF)


def stubborn_parts(site: Site) -> StackParts:
    """An API and a worker that ignore SIGTERM."""
    api = python("api", DEAF + API, site.host, str(site.port), logs=site.data.logs)
    worker = python("worker", DEAF_WORKER, logs=site.data.logs)
    given = fake_parts(site)
    return replace(given, services=(api_part(site, replace(api, env=site.env)), ready_by_file(site, worker)))


async def start_and_kill(folder: Path) -> int:
    """The port of a stack whose manager was killed, and whose parts did not hear of it."""
    with await asyncio.to_thread(fakes.manager, folder, stubborn_parts) as started:
        address = await asyncio.to_thread(fakes.address_of, started)
        started.kill()
    return int(address.rpartition(":")[2])


async def test_stubborn_parts_are_ended_by_the_next_start_which_gets_their_port(tmp_path: Path) -> None:
    port = await start_and_kill(tmp_path)
    pids = recorded(tmp_path)
    children = psutil.Process(pids["worker"]).children()
    assert lives(pids["api"])
    assert lives(pids["worker"])
    async with fake_stack(tmp_path, port=port) as stack:
        assert stack.port == port
        assert not any(map(lives, [*pids.values(), *(child.pid for child in children)]))
    assert traces_of(tmp_path) == []


async def test_a_part_that_no_record_names_is_ended_by_the_next_start(tmp_path: Path) -> None:
    await start_and_kill(tmp_path)
    worker = recorded(tmp_path)["worker"]
    record = DataDir(tmp_path).record()
    assert record is not None
    known = tuple(part for part in record.parts if part.name != "worker")
    DataDir(tmp_path).write_record(replace(record, parts=known))
    assert lives(worker)
    async with fake_stack(tmp_path):
        assert not lives(worker)
    assert traces_of(tmp_path) == []


async def test_a_disk_that_is_full_does_not_end_a_stack_that_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: DataDir, __: StackRecord) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    said: list[str] = []
    async with fake_stack(tmp_path, log=said.append) as stack:
        with monkeypatch.context() as context:
            context.setattr(DataDir, "write_record", full)
            first = recorded(tmp_path)["worker"]
            os.kill(first, signal.SIGKILL)
            await until(lambda: any("No space left" in line for line in said), seconds=30)
            assert await attach(tmp_path) is not None
        (second,) = (part.pid for part in stack.parts() if part.name == "worker")
        assert second != first
        os.kill(second, signal.SIGKILL)
        await until(lambda: recorded(tmp_path)["worker"] not in {first, second}, seconds=30)
    assert traces_of(tmp_path) == []


async def test_two_folders_are_two_stacks_and_one_ends_without_the_other(tmp_path: Path) -> None:
    async with AsyncExitStack() as both:
        first, second = fake_stack(tmp_path / "first"), fake_stack(tmp_path / "second")
        await both.enter_async_context(first)
        async with second:
            assert first.base_url != second.base_url
            assert first.database_url != second.database_url
            assert first.broker_url != second.broker_url
            assert set(recorded(first.data.path).values()).isdisjoint(recorded(second.data.path).values())
        assert traces_of(second.data.path) == []
        assert all(map(lives, recorded(first.data.path).values()))
        assert await attach(first.data.path) is not None


async def test_a_folder_behind_a_link_is_one_folder_with_one_stack(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    async with fake_stack(link) as stack:
        live = await attach(tmp_path / "real")
        assert live is not None
        assert live.base_url == stack.base_url
    assert traces_of(tmp_path) == []
    async with fake_stack(tmp_path / "real") as again:  # its data is found by the other name too
        assert again.project_key == stack.project_key


@pytest.mark.parametrize("place", ["missing", "l" * 90], ids=["missing", "long"])
async def test_sockets_find_a_place_without_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place != "missing":
        (tmp_path / place).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / place))
    monkeypatch.setattr("tempfile.tempdir", None)
    async with fake_stack(tmp_path / "data"):
        sockets = socket_folders(tmp_path / "data")
        assert len(sockets) == 2
        assert not any(folder.is_relative_to(tmp_path) for folder in sockets)
    assert not any(folder.exists() for folder in sockets)
