"""What a holder may begin and blame, each rule with its negative control: the same story without a line."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from services.worker.chunk import ChunkRun
from services.worker.engines.port import Done, ParseRequest
from services.worker.engines.sandbox import Sandbox
from services.worker.heart import Heart
from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.jobs import reclaim, running
from shared.wiring import Resources
from tests.services.worker.test_work import Broken, Slow, add_job, chunk_row, job_row, run_sql

LIMIT_S = 20.0


class Asked(Slow):
    """A sandbox that reads nothing in no time, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    async def run(self, request: ParseRequest, **how: Any) -> Done:
        self.times += 1
        self.started.set()
        return Done(
            code=None,
            message=None,
            retryable=False,
            pages=1,
            engine="none",
            result=request.path,
            seconds=0.01,
        )


@pytest.fixture
async def runtime(resources: Resources, tmp_path: Path) -> Runtime:
    """A worker process's means, without the process; the sandbox is the test's."""
    made = Runtime(resources, resources, ["parse"], Sandbox(), tmp_path)
    await made.sandbox.close()
    return made


async def a_sandbox_that_cannot_start(runtime: Runtime) -> None:
    """Rule 8: a worker's own means fail as often as a file may be charged."""
    runtime.sandbox = Broken()
    job = await add_job(runtime, "a.txt", b"words")
    for _ in range(reclaim.LOSSES_ALONE):
        await work(runtime, "parse", slice_s=5)
        await run_sql(runtime, "UPDATE chunks SET due_at = now()")
    assert (await job_row(runtime, job)).status == "PENDING"
    assert (await chunk_row(runtime)).losses == 0


async def test_rule_8_means_that_fail_by_themselves_blame_no_document(runtime: Runtime) -> None:
    await a_sandbox_that_cannot_start(runtime)


async def test_rule_8_without_the_self_test_a_document_is_blamed(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def works(_runtime: Runtime, _reason: str) -> bool:
        return False

    monkeypatch.setattr(Runtime, "fails_by_itself", works)
    with pytest.raises(AssertionError):
        await a_sandbox_that_cannot_start(runtime)


async def a_lease_that_may_be_over(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 19: by its own clock a holder had its lease longer than it lasts, and no beat got through."""
    asked = Asked()
    runtime.sandbox = asked
    await add_job(runtime, "a.txt", b"words")
    async with runtime.unit_of_work() as uow:
        held = await running.take(uow, "parse", runtime.worker_id)
    assert held is not None
    monkeypatch.setattr("services.worker.heart.LEASE_S", 0.0)
    async with Heart(runtime.unit_of_work, held.chunk) as heart:
        run = asyncio.create_task(ChunkRun(runtime, held, heart).run())
        try:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asked.started.wait(), 1.5)
        finally:
            # To its end in any case: nothing of it may go on in the next test.
            monkeypatch.setattr("services.worker.heart.LEASE_S", 15.0)
            await asyncio.wait_for(run, LIMIT_S)
    assert asked.times == 1


async def test_rule_19_nothing_starts_on_a_lease_that_may_be_over(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_lease_that_may_be_over(runtime, monkeypatch)


async def test_rule_19_without_the_wait_a_file_starts_that_another_may_own(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_heart: Heart) -> None:
        """Nothing is waited for."""

    monkeypatch.setattr(Heart, "until_renewed", at_once)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        await a_lease_that_may_be_over(runtime, monkeypatch)


async def a_worker_that_is_asked_to_leave(runtime: Runtime, *, within_s: float) -> None:
    """Rule 28: it is asked in the middle of a file that takes a minute."""
    slow = Slow()
    runtime.sandbox = slow
    job = await add_job(runtime, "a.txt", b"words")
    task = asyncio.create_task(work(runtime, "parse", slice_s=5))
    try:
        await asyncio.wait_for(slow.started.wait(), LIMIT_S)
        runtime.stopping.set()
        await asyncio.wait_for(asyncio.shield(task), within_s)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    chunk = await chunk_row(runtime)
    assert (chunk.state, chunk.losses, chunk.token) == ("READY", 0, None)
    assert (await job_row(runtime, job)).status == "PENDING"


async def test_rule_28_a_worker_that_leaves_gives_back_what_it_holds(runtime: Runtime) -> None:
    await a_worker_that_is_asked_to_leave(runtime, within_s=LIMIT_S)


async def test_rule_28_without_the_look_at_the_stop_a_worker_keeps_its_file(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def only_for_the_lease(run: Any) -> None:
        await run._heart.interrupted.wait()

    monkeypatch.setattr(ChunkRun, "_break_off", only_for_the_lease)
    with pytest.raises(TimeoutError):
        await a_worker_that_is_asked_to_leave(runtime, within_s=4.0)
