"""A worker's processes hear of a stop at once, and look for it never."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from services.worker.stop_pipe import StopPipe
from shared.config import Settings
from shared.wiring import Resources
from tests.patience import GIVES_UP_S
from tests.services.worker.test_hearing import until

FORK = multiprocessing.get_context("fork")
NOTICED_WITHIN_S = 2.0
LOOKS_A_SECOND = 6
"""Of one that only keeps its row fresh; one that looked for a stop ten times a second would have more."""


@pytest.fixture
def pipe() -> Iterator[StopPipe]:
    made = StopPipe()
    yield made
    made.close()


def _hear(pipe: StopPipe, say: Connection) -> None:
    say.send("listens")
    asyncio.run(pipe.heard())
    say.send("heard")


def listening(pipe: StopPipe) -> Connection:
    """What a process that was forked from this one says."""
    told, say = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_hear, args=(pipe, say), daemon=True)
    process.start()
    say.close()
    assert told.poll(10)
    assert told.recv() == "listens"
    return told


def test_every_process_forked_before_and_after_hears_it_once_it_is_said(pipe: StopPipe) -> None:
    before = [listening(pipe) for _ in range(3)]
    assert not any(told.poll(0.3) for told in before)
    pipe.say()
    pipe.say()
    for told in (*before, listening(pipe)):
        assert told.poll(NOTICED_WITHIN_S)
        assert told.recv() == "heard"


def test_a_pipe_that_is_full_keeps_nobody_waiting(pipe: StopPipe) -> None:
    for _ in range(200_000):
        pipe.say()
    asyncio.run(asyncio.wait_for(pipe.heard(), NOTICED_WITHIN_S))


@pytest.fixture
def worker(settings: Settings, broker_url: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with one process, which is ready."""
    ready = tmp_path / "ready"
    environment = {
        **os.environ,
        "BATCHMILL_DATABASE__URL": settings.database_url(),
        "BATCHMILL_BROKER__URL": broker_url,
        "BATCHMILL_STORAGE__URL": settings.storage_url(),
        "BATCHMILL_READY_FILE": str(ready),
    }
    command = [sys.executable, "-m", "services.cli", "worker", "--queues", "parse", "--concurrency", "1"]
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(ready.exists, "the worker did not come up")
        yield process
    finally:
        process.kill()
        process.wait()


async def test_a_process_that_waits_for_work_rests_until_the_worker_is_asked_to_leave(
    worker: subprocess.Popen[bytes], resources: Resources
) -> None:
    (child,) = psutil.Process(worker.pid).children()
    while not (enlisted := await pids_of_workers(resources)):
        await asyncio.sleep(0.1)
    assert enlisted == [child.pid]
    await asyncio.sleep(2)  # what follows a start
    looked, began = looks_of(child), time.monotonic()
    await asyncio.sleep(4)
    assert (looks_of(child) - looked) / (time.monotonic() - began) < LOOKS_A_SECOND
    worker.send_signal(signal.SIGTERM)
    await asyncio.to_thread(worker.wait, GIVES_UP_S)
    assert not child.is_running()
    assert await pids_of_workers(resources) == [], "it did not take leave"


async def pids_of_workers(resources: Resources) -> list[int]:
    """Those who did not take leave."""
    async with resources.unit_of_work() as uow:
        return list(await uow.session.scalars(text("SELECT pid FROM workers")))


def looks_of(process: psutil.Process) -> int:
    """How often its threads went to sleep by themselves so far."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/status")
    lines = [line for task in tasks for line in task.read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
