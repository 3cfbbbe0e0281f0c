import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from services.local.errors import PortTaken, StackAlreadyRunning, StackFailed, StackStopped
from services.local.parts import Site, StackParts
from services.local.stack import LiveStack, attach
from tests.patience import GIVES_UP_S
from tests.services.local import fakes
from tests.services.local.fakes import (
    fake_parts,
    fake_stack,
    lives,
    python,
    recorded,
    socket_folders,
    traces_of,
    until,
)


def manager(folder: Path) -> "subprocess.Popen[str]":
    started = fakes.manager(folder)
    fakes.address_of(started)
    return started


async def test_a_stack_lives_is_found_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with fake_stack(folder) as stack:
        assert (folder / "migrated").exists()
        assert set(recorded(folder)) == {"postgres", "valkey", "api", "worker"}
        assert await attach(folder) == LiveStack(
            stack.base_url, "project", f"operator of {stack.database_url}"
        )
        secrets = ["project-key", "operator-key", "database-url", "broker-url", "secret-key", "stack.json"]
        assert {stat.S_IMODE((folder / name).stat().st_mode) for name in secrets} == {0o600}
        pids, sockets = recorded(folder).values(), socket_folders(folder)
        assert all(map(lives, pids))
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 5
    assert not any(map(lives, pids))
    assert not any(folder.exists() for folder in sockets)
    assert traces_of(folder) == []
    assert not (folder / "stack.json").exists()
    assert not (folder / "database-url").exists()
    assert await attach(folder) is None


async def test_keys_and_secret_are_made_once(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        async with fake_stack(tmp_path) as stack:
            seen.append((stack.project_key, stack.operator_key, stack.data.secret_key()))
    assert seen[0] == seen[1]


async def test_a_second_stack_on_the_folder_names_the_first(tmp_path: Path) -> None:
    async with fake_stack(tmp_path) as first:
        with pytest.raises(StackAlreadyRunning) as told:
            await fake_stack(tmp_path).__aenter__()
        assert told.value.base_url == first.base_url
        assert told.value.pid == os.getpid()
        assert first.base_url in told.value.message
        assert await attach(tmp_path) is not None


async def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            await fake_stack(tmp_path, port=port).__aenter__()
    assert not (tmp_path / "postgres").exists()
    assert traces_of(tmp_path) == []


async def test_given_urls_are_passed_on_and_nothing_embedded_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHMILL_STORAGE__URL", "s3://kept")
    sites: list[Site] = []

    def parts(site: Site) -> StackParts:
        sites.append(site)
        return fake_parts(site)

    stack = fake_stack(
        tmp_path, database_url="postgresql://d", broker_url="redis://b", parts=parts, concurrency=3
    )
    async with stack:
        assert set(recorded(tmp_path)) == {"api", "worker"}
        assert not (tmp_path / "database-url").exists()
    env = sites[0].env
    assert sites[0].concurrency == 3
    assert env["BATCHMILL_DATABASE__URL"] == "postgresql://d"
    assert env["BATCHMILL_BROKER__URL"] == "redis://b"
    assert env["BATCHMILL_STORAGE__URL"] == "s3://kept"
    assert env["BATCHMILL_DATA_DIR"] == str(tmp_path)
    assert env["BATCHMILL_API__PUBLIC_URL"] == stack.base_url
    assert env["BATCHMILL_SECRET_KEY"] == stack.data.secret_key()


async def test_migrations_that_fail_end_the_start_and_everything(tmp_path: Path) -> None:
    def parts(site: Site) -> StackParts:
        broken = python("migrate", "print('no such column'); raise SystemExit(2)", logs=site.data.logs)
        return replace(fake_parts(site), migrate=broken)

    with pytest.raises(StackFailed, match="no such column"):
        await fake_stack(tmp_path, parts=parts).__aenter__()
    assert traces_of(tmp_path) == []
    assert not (tmp_path / "stack.json").exists()


async def test_a_part_that_keeps_dying_ends_the_block_with_its_last_words(tmp_path: Path) -> None:
    def parts(site: Site) -> StackParts:
        code = "import time; print('last words', flush=True); time.sleep(0.1); raise SystemExit(9)"
        given = fake_parts(site)
        return replace(given, services=(*given.services, python("upkeep", code, logs=site.data.logs)))

    with pytest.raises(StackFailed, match="last words") as raised:
        async with fake_stack(tmp_path, parts=parts) as stack:
            await stack.wait()
    assert (raised.value.part, raised.value.exit_code) == ("upkeep", 9)
    assert traces_of(tmp_path) == []


async def test_an_error_of_the_block_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with fake_stack(tmp_path):
            raise ZeroDivisionError
    assert traces_of(tmp_path) == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_in_order(tmp_path: Path, signum: signal.Signals) -> None:
    started = await asyncio.to_thread(manager, tmp_path)
    started.send_signal(signum)
    out, _ = await asyncio.to_thread(started.communicate, timeout=GIVES_UP_S)
    assert out == f"Stopped by {signum.name}.\n"
    assert started.returncode == 0
    assert traces_of(tmp_path) == []


async def test_a_signal_in_this_process_is_heard_and_the_handler_of_before_comes_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def killed() -> None:
        async with fake_stack(tmp_path) as stack:
            os.kill(os.getpid(), signal.SIGTERM)
            await stack.wait()

    with pytest.raises(StackStopped):
        await killed()
    assert signal.getsignal(signal.SIGTERM) is before
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_kill_9_of_the_manager_leaves_no_children(tmp_path: Path) -> None:
    started = await asyncio.to_thread(manager, tmp_path)
    pids = recorded(tmp_path)
    started.kill()
    await asyncio.to_thread(started.communicate)
    if sys.platform == "linux":
        await until(lambda: not traces_of(tmp_path), seconds=30)
    async with fake_stack(tmp_path) as stack:
        assert not any(map(lives, pids.values()))
        assert set(recorded(tmp_path)) == set(pids)
        assert stack.base_url


async def test_parts_that_outlive_their_manager_are_ended_by_the_next(tmp_path: Path) -> None:
    started = await asyncio.to_thread(manager, tmp_path)
    pids = recorded(tmp_path)
    worker = psutil.Process(pids["worker"])
    child = worker.children()[0]
    worker.suspend()  # it cannot hear the parent-death signal now
    child.suspend()
    started.kill()
    await asyncio.to_thread(started.communicate)
    assert lives(worker.pid)
    worker.kill()  # and its child is an orphan that only the group and the environment betray
    assert lives(child.pid)
    async with fake_stack(tmp_path):
        assert not lives(child.pid)
        assert not any(map(lives, pids.values()))
