"""What a holder tells others stops no document and fails no chunk."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from services.worker import courtesies
from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.jobs import running
from tests.services.worker.test_work import add_job, job_row


async def ended(runtime: Runtime, *jobs: UUID) -> None:
    async with asyncio.timeout(20):
        for job in jobs:
            while (await job_row(runtime, job)).status != "COMPLETED":
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("courtesy", ["ring_when_low", "tell_of_end"])
async def test_one_that_hangs_is_not_waited_for(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, courtesy: str
) -> None:
    go_on = asyncio.Event()

    async def hangs(*_: Any) -> None:
        await go_on.wait()

    monkeypatch.setattr(running, courtesy, hangs)
    jobs = [await add_job(runtime, "a.md", b"# Title\n\nwords")]
    if courtesy == "tell_of_end":
        # The next chunk does not wait either.
        jobs.append(await add_job(runtime, "b.md", b"# Another"))
    shift = asyncio.create_task(work(runtime, "parse", slice_s=5))
    await ended(runtime, *jobs)
    assert not shift.done(), "it ends when all was told"
    go_on.set()
    await shift


@pytest.mark.parametrize(
    ("courtesy", "event"), [("ring_when_low", "lane not rung"), ("tell_of_end", "end of a chunk not told")]
)
async def test_one_that_fails_fails_nothing_else(
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    courtesy: str,
    event: str,
) -> None:
    async def fails(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(running, courtesy, fails)
    job = await add_job(runtime, "a.md", b"# Title\n\nwords")
    await work(runtime, "parse", slice_s=5)
    assert (await job_row(runtime, job)).status == "COMPLETED"
    (said,) = (record.msg for record in caplog.records if record.name == courtesies.__name__)
    assert isinstance(said, dict)
    assert said["event"] == event
    assert said["exc_info"], "with the trace of the fault"
