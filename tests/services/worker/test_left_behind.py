"""A holder that died between the blob of a result and its row: its successor does not read the file again."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.worker import results
from services.worker.engines.port import Outcome, ParseRequest
from services.worker.engines.sandbox import Sandbox
from services.worker.engines.version import engine_version
from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.jobs.result import decode, encode, text_full
from shared.pausing import Point, listening
from shared.wiring import Resources
from tests.services.worker.test_reuse import PARSE
from tests.services.worker.test_work import add_job, job_row, run_sql

LIMIT_S = 30.0


class Counting:
    """The real sandbox, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._sandbox = Sandbox()

    async def run(
        self, request: ParseRequest, *, project_id: str, ahead: Iterable[ParseRequest] = ()
    ) -> Outcome:
        self.asked += 1
        return await self._sandbox.run(request, project_id=project_id, ahead=ahead)

    async def kill(self) -> None:
        await self._sandbox.kill()

    async def close(self) -> None:
        await self._sandbox.close()


@pytest.fixture
async def runtimes(resources: Resources, tmp_path: Path) -> AsyncIterator[tuple[Runtime, Runtime]]:
    """Means of two worker processes: of the one that dies, and of its successor."""
    made = []
    for name in ("dies", "successor"):
        (tmp_path / name).mkdir()
        made.append(
            Runtime(resources, resources, ["parse"], Counting(), tmp_path / name, engine=engine_version())
        )
    yield made[0], made[1]
    for runtime in made:
        await runtime.sandbox.close()


async def stored_and_lost(dies: Runtime, successor: Runtime, *, between: Any = None) -> tuple[Any, bytes]:
    """The first stores its result and is heard of no more; the row that its successor wrote, and what the
    first had stored."""
    job = await add_job(dies, "a.md", b"# Title\n\nwords")
    stands = asyncio.Event()

    async def for_ever(point: Point) -> None:
        if point is Point.BLOB_STORED and not stands.is_set():
            stands.set()
            await asyncio.Event().wait()

    with listening(for_ever):
        async with asyncio.timeout(LIMIT_S):
            away = asyncio.create_task(work(dies, "parse", slice_s=0))
            await stands.wait()
            (lost,) = [
                one
                async for page in dies.resources.storage.list_pages("p/")
                for one in page
                if "/r/" in one.key
            ]
            blob = await dies.resources.storage.read(lost.key)
            if between is not None:
                await dies.resources.storage.put(lost.key, between(blob))
            await run_sql(dies, "UPDATE chunks SET state = 'READY', token = NULL, losses = 1, due_at = now()")
            await work(successor, "parse", slice_s=0)
    away.cancel()
    await asyncio.gather(away, return_exceptions=True)
    return await job_row(dies, job), blob


async def test_a_stored_result_is_taken_and_not_made_again(runtimes: tuple[Runtime, Runtime]) -> None:
    row, blob = await stored_and_lost(*runtimes)
    assert (row.status, row.pages, row.error_code) == ("COMPLETED", 1, None)
    assert runtimes[1].sandbox.asked == 0  # type: ignore[attr-defined]
    assert row.result_key == f"p/{row.project_id}/r/{row.id}/{row.token}.json.zst"
    storage = runtimes[1].resources.storage
    assert await storage.read(row.result_key) == blob
    stored = [one.key async for page in storage.list_pages(f"p/{row.project_id}/r/") for one in page]
    assert len(stored) == 2, "it lies under a token of its own: the first may still write to the other"
    assert list(runtimes[1].scratch.iterdir()) == []


def of_other_engines(blob: bytes) -> bytes:
    return encode(replace(decode(blob), version="other"))


def of_nobody_knows_which(blob: bytes) -> bytes:
    return encode(replace(decode(blob), version=None))


def damaged(blob: bytes) -> bytes:
    return blob[:-9]


def cut_to_nothing(blob: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("change", [of_other_engines, of_nobody_knows_which, damaged, cut_to_nothing])
async def test_a_result_that_cannot_be_trusted_is_made_again(
    runtimes: tuple[Runtime, Runtime], change: Any
) -> None:
    row, _ = await stored_and_lost(*runtimes, between=change)
    assert row.status == "COMPLETED"
    assert runtimes[1].sandbox.asked == 1  # type: ignore[attr-defined]
    assert "words" in text_full(decode(await runtimes[1].resources.storage.read(row.result_key)))


async def test_a_result_too_large_to_be_looked_at_is_made_again(
    runtimes: tuple[Runtime, Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "MOST_BYTES", 10)
    row, _ = await stored_and_lost(*runtimes)
    assert row.status == "COMPLETED"
    assert runtimes[1].sandbox.asked == 1  # type: ignore[attr-defined]


def test_nothing_is_looked_for_where_nobody_was_lost() -> None:
    in_batch = replace(PARSE, job_id=None, batch_id=uuid4(), lo=1, hi=64, size=64)
    assert not results.may_be_lost(PARSE), "a job of its own that nobody took before"
    assert not results.may_be_lost(in_batch)
    assert results.may_be_lost(replace(in_batch, hi=1, size=1)), "what is left of a chunk that was split"
    assert results.may_be_lost(replace(PARSE, losses=1))
