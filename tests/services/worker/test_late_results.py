"""A holder that stores its result, is away, and comes back: the accepted bytes are its successor's."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from services.worker import results as worker_results
from services.worker.engines.port import Done, ParseRequest
from services.worker.engines.sandbox import Sandbox
from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.pausing import Point, listening
from shared.wiring import Resources
from tests.services.worker.test_work import add_job, chunk_row, job_row, run_sql

LIMIT_S = 30.0


class Says:
    """A sandbox whose result is one word."""

    def __init__(self, folder: Path, word: str) -> None:
        self._blob = folder / word
        self._word = word

    async def run(
        self, request: ParseRequest, *, project_id: str, ahead: Iterable[ParseRequest] = ()
    ) -> Done:
        self._blob.write_bytes(self._word.encode())
        return Done(
            code=None,
            message=None,
            retryable=False,
            pages=1,
            engine=self._word,
            result=self._blob,
            seconds=0.01,
        )

    async def kill(self) -> None:
        """Nothing to kill."""

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
async def runtimes(resources: Resources, tmp_path: Path) -> tuple[Runtime, Runtime]:
    """Two worker processes' means: of the one that is late, and of its successor."""
    made = []
    for name in ("late", "successor"):
        runtime = Runtime(resources, resources, ["parse"], Sandbox(), tmp_path)
        await runtime.sandbox.close()
        runtime.sandbox = Says(tmp_path, name)
        made.append(runtime)
    return made[0], made[1]


async def a_late_holder(runtimes: tuple[Runtime, Runtime], at: Point) -> None:
    """The first stands at the point, its successor takes the file and ends it, and then the first goes on."""
    late, successor = runtimes
    job = await add_job(late, "a.txt", b"words")
    stands, go_on = asyncio.Event(), asyncio.Event()

    async def first_stands(point: Point) -> None:
        if point is at and not stands.is_set():
            stands.set()
            await asyncio.wait_for(go_on.wait(), LIMIT_S)

    with listening(first_stands):
        async with asyncio.timeout(LIMIT_S):
            away = asyncio.create_task(work(late, "parse", slice_s=0))
            await stands.wait()
            # Its lease is over, the sweeper gave the file back; no heartbeat of it came between.
            await run_sql(late, "UPDATE chunks SET state = 'READY', token = NULL, losses = 1, due_at = now()")
            await work(successor, "parse", slice_s=0)
            accepted = await job_row(late, job)
            go_on.set()
            await away
    row = await job_row(late, job)
    assert (row.status, row.engine) == ("COMPLETED", "successor")
    assert row == accepted, "the late one changed nothing"
    assert await late.resources.storage.read(row.result_key) == b"successor"
    assert await chunk_row(late) is None


@pytest.mark.parametrize("at", [Point.RESULT_MADE, Point.BLOB_STORED])
async def test_a_late_holder_changes_no_byte_of_the_accepted_result(
    runtimes: tuple[Runtime, Runtime], at: Point
) -> None:
    await a_late_holder(runtimes, at)


async def test_without_the_token_in_the_key_a_late_holder_replaces_the_accepted_result(
    runtimes: tuple[Runtime, Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_token(_keys: Any, file: Any) -> str:
        return f"p/somebody/r/{file.job_id}.json.zst"

    monkeypatch.setattr(worker_results.Keys, "of", without_token)
    with pytest.raises(AssertionError):
        await a_late_holder(runtimes, Point.RESULT_MADE)
