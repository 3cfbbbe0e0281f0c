"""Readers that are killed by somebody else: that is not the fault of what they read."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.worker.engines.port import Done, Infra, ParseRequest
from shared.jobs.codes import FailureCode
from tests.services.worker.engines.conftest import Reader, is_gone, pid_in

Bad = Callable[..., Reader]


async def another_pid_in(folder: Path, name: str, other_than: int) -> int:
    """The next process id that an engine writes into its folder."""
    async with asyncio.timeout(20):
        while (found := await pid_in(folder, name)) == other_than:
            await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
@pytest.mark.parametrize("served_before", [0, 1])
async def test_a_kill_from_outside_costs_a_document_one_more_try(
    bad: Bad, tmp_path: Path, how: signal.Signals, served_before: int
) -> None:
    reader = bad()
    for _ in range(served_before):
        await reader.say("read")
    path = reader.put(b"hang", "a.txt")
    request = ParseRequest(path, "a.txt", {"do": "hang_if_told", "where": "pid"})
    run = asyncio.create_task(reader.sandbox.run(request, project_id="p"))
    first = await pid_in(tmp_path, "pid")
    path.write_bytes(b"read me")
    os.kill(first, how)
    outcome = await asyncio.wait_for(run, 20)
    assert isinstance(outcome, Done)
    assert (outcome.code, outcome.pages) == (None, 1)
    assert is_gone(first)


async def test_a_document_whose_readers_are_killed_twice_fails(bad: Bad, tmp_path: Path) -> None:
    reader = bad()
    run = asyncio.create_task(reader.do("hang", where="pid"))
    killed = await pid_in(tmp_path, "pid")
    os.kill(killed, signal.SIGKILL)
    os.kill(await another_pid_in(tmp_path, "pid", killed), signal.SIGKILL)
    outcome = await asyncio.wait_for(run, 20)
    assert isinstance(outcome, Done)
    assert (outcome.code, outcome.retryable) == (FailureCode.ENGINE_ERROR, True)
    assert "killed from outside" in str(outcome.message)
    assert await reader.say("read") == "words"


@pytest.mark.parametrize("served_before", [0, 1])
async def test_a_document_that_crashes_its_reader_is_tried_twice(
    bad: Bad, asked: list[int], served_before: int
) -> None:
    reader = bad()
    for _ in range(served_before):
        await reader.say("read")
    asked.clear()
    outcome = await reader.done(b"words", "a.txt", do="crash")
    assert (outcome.code, outcome.retryable) == (FailureCode.ENGINE_ERROR, False)
    assert "signal 11" in str(outcome.message)
    # A child is asked twice about one document when it may not open it where it lies.
    assert len(set(asked)) == 2


async def test_a_reader_that_dies_at_once_blames_no_document(
    bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is dead before anything is done with its pipes."""

    async def keep_busy() -> None:
        while True:
            time.sleep(0.02)  # noqa: ASYNC251 - the loop is to be late
            await asyncio.sleep(0)

    reader = bad()
    busy = asyncio.create_task(keep_busy())
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        assert isinstance(await reader.do("read"), Infra)
    busy.cancel()
    assert list(tmp_path.glob("batchmill-sandbox-*/child-*")) == []
    assert await reader.say("read") == "words"
