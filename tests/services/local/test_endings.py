"""The end of a part is told by the system; where it is not, it is asked for."""

import asyncio
import os
import selectors
import signal
import sys
from pathlib import Path

import pytest

from services.local import processes
from services.local.endings import ended
from services.local.processes import Process
from tests.services.local.fakes import python

SLEEPS = "import time; time.sleep(99)"
NEVER_S = 3600.0
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="no other system tells it")


def refuse(_: int) -> int:
    raise PermissionError("not in here")


async def killed_after_a_moment(process: Process) -> int:
    """Its exit code, which must be known soon after its end."""
    waiting = asyncio.create_task(process.exited())
    await asyncio.sleep(0.3)
    assert not waiting.done()
    os.kill(process.pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        return await waiting


@only_linux
async def test_a_part_that_ends_is_noticed_without_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "POLL_S", NEVER_S)
    assert await killed_after_a_moment(Process(python("told", SLEEPS, logs=tmp_path))) == -signal.SIGKILL


async def test_where_the_system_tells_nothing_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    process = Process(python("asked", SLEEPS, logs=tmp_path))
    assert not await ended(process.pid)
    assert await killed_after_a_moment(process) == -signal.SIGKILL


@only_linux
async def test_two_who_wait_for_one_part_are_both_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "POLL_S", NEVER_S)
    process = Process(python("shared", SLEEPS, logs=tmp_path))
    other = asyncio.create_task(process.exited())
    assert await killed_after_a_moment(process) == -signal.SIGKILL
    async with asyncio.timeout(5):
        assert await other == -signal.SIGKILL


@only_linux
async def test_a_wait_that_is_broken_off_leaves_nothing_open(tmp_path: Path) -> None:
    process = Process(python("left", SLEEPS, logs=tmp_path))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        waiting = asyncio.create_task(process.exited())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    process.kill()
    await process.exited()


class CountingSelector(selectors.DefaultSelector):
    """Counts how often its loop goes to sleep."""

    sleeps = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.sleeps += 1
        return super().select(timeout)


@only_linux
def test_who_waits_costs_nothing(tmp_path: Path) -> None:
    selector = CountingSelector()

    async def waits() -> int:
        process = Process(python("quiet", SLEEPS, logs=tmp_path))
        waiting = asyncio.create_task(process.exited())
        await asyncio.sleep(0.1)
        before = selector.sleeps
        await asyncio.sleep(2)
        slept = selector.sleeps - before
        process.kill()
        await waiting
        return slept

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        assert runner.run(waits()) <= 2
