"""`batchmill batches watch`: what it says, through what it goes on, and how it ends."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.cli.exits import Stop
from services.cli.watch.display import line_of
from services.cli.watch.stream import Event, NotNow, parsed, refusal
from shared import ids
from shared.batches import service as batch_service
from shared.wiring import Resources
from tests.conftest import Tenant
from tests.shared.conftest import Mill, done, make_mill

WITHIN_S = 40
FIRST = b'id: 3\nevent: batch.progress\ndata: {"a": "\xc3\xa9"}\n\n'
SECOND = b": still here\n\nretry: 2000\n\nid: 4\r\nevent: x\r\ndata: {}\r\n\r\n"
EVENTS = [Event(3, "batch.progress", {"a": "é"}), None, Event(4, "x", {})]
DATA: dict[str, Any] = {
    "status": "RUNNING",
    "total": 1400,
    "open": 280,
    "completed": 1118,
    "failed": 2,
    "cancelled": 0,
    "unmapped": 0,
    "reused": 0,
    "listed": True,
    "files_per_second": 35.06,
    "eta_seconds": 8.1,
    "waiting": None,
    "stopping_as": None,
    "failure_code": None,
    "failure_message": None,
}


def test_events_are_the_same_however_their_bytes_were_cut() -> None:
    stream = FIRST + SECOND
    for size in range(1, len(stream) + 1):
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert list(parsed(pieces)) == EVENTS


def test_an_event_that_was_cut_off_was_not_received() -> None:
    assert list(parsed([FIRST, SECOND[:-2]])) == EVENTS[:-1]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "RUNNING: 1,120 of 1,400 files, 2 failed, 35.1/s, 0:00:08 left"),
        ({"listed": False, "eta_seconds": None}, "RUNNING: 1,120 of 1,400 or more files, 2 failed, 35.1/s"),
        (
            {"status": "THROTTLED", "waiting": {"code": "MAINTENANCE", "message": "On hold."}},
            "THROTTLED: 1,120 of 1,400 files, 2 failed (On hold.)",
        ),
        (
            {"stopping_as": "CANCELLED", "cancelled": 9, "reused": 3, "failed": 0, "status": "THROTTLED"},
            "THROTTLED, stopping to end CANCELLED: 1,120 of 1,400 files, 9 cancelled, 3 known before",
        ),
        (
            {"status": "FAILED", "stopping_as": "FAILED", "failure_code": "X", "failure_message": "Why."},
            "FAILED: 1,120 of 1,400 files, 2 failed (X: Why.)",
        ),
    ],
)
def test_a_line_says_how_far_how_fast_and_why_not(changes: dict[str, Any], line: str) -> None:
    assert line_of({**DATA, **changes}) == line


@pytest.mark.parametrize(
    ("status", "headers", "after"),
    [(429, {"retry-after": "15"}, 15.0), (503, {}, None), (502, {"retry-after": "soon"}, None)],
)
def test_what_passes_is_tried_again(status: int, headers: dict[str, str], after: float | None) -> None:
    found = refusal(httpx.Response(status, headers=headers, json={"detail": "d"}))
    assert isinstance(found, NotNow)
    assert found.after_s == after


def test_what_does_not_pass_ends_it() -> None:
    found = refusal(httpx.Response(404, json={"detail": "No batch has this id."}))
    assert isinstance(found, Stop)
    assert "No batch has this id." in found.message


@dataclass
class Watch:
    """The command, in a process of its own."""

    process: asyncio.subprocess.Process

    async def first_line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            return (await self.process.stdout.readline()).decode()

    async def end(self) -> tuple[int, list[str], str]:
        """Exit code, the lines that were not read yet, and what was said beside them."""
        async with asyncio.timeout(WITHIN_S):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode().splitlines(), err.decode()


@asynccontextmanager
async def watching(url: str, key: str, batch_id: str, *options: str) -> AsyncIterator[Watch]:
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("BATCHMILL_", "LLAMA_CLOUD_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "batches", "watch", batch_id, "--base-url", url),
        *("--api-key", key, *options),
        env=outside,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Watch(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def mill(resources: Resources, tenant: Tenant) -> Mill:
    """Moves batches of the project whose key is at hand."""
    made = await make_mill(resources)
    for table in ("directories", "files"):
        await made.sql(f"UPDATE {table} SET project_id = :p", p=tenant.project_id)  # noqa: S608
    made.project_id = tenant.project_id
    return made


def shown(batch_id: UUID) -> str:
    return ids.show(ids.Kind.BATCH, batch_id)


async def test_it_follows_a_batch_to_its_end(api_url: str, tenant: Tenant, mill: Mill) -> None:
    batch_id = await mill.open_batch(5)
    async with watching(api_url, tenant.key, shown(batch_id)) as watch:
        assert (await watch.first_line()).startswith("PENDING: 0 of 0 or more files")
        await mill.run_all(batch_id)
        code, lines, _ = await watch.end()
    assert (code, lines[-1]) == (0, "COMPLETED: 5 of 5 files")


async def test_a_program_reads_one_event_a_line(api_url: str, tenant: Tenant, mill: Mill) -> None:
    batch_id = await mill.open_batch(5)
    async with watching(api_url, tenant.key, shown(batch_id), "--json") as watch:
        first = json.loads(await watch.first_line())
        await mill.run_all(batch_id)
        code, lines, err = await watch.end()
    events = [first, *map(json.loads, lines)]
    assert (code, err) == (0, "")
    assert [event["id"] for event in events] == list(range(len(events)))
    assert [event["event"] for event in (events[0], events[1], events[-1])] == [
        "state",
        "batch.running",
        "batch.completed",
    ]
    assert (events[-1]["completed"], events[-1]["open"]) == (5, 0)


async def test_all_files_failed_is_3_and_each_is_named(api_url: str, tenant: Tenant, mill: Mill) -> None:
    batch_id = await mill.open_batch(2)
    async with watching(api_url, tenant.key, shown(batch_id)) as watch:
        await watch.first_line()
        await mill.advance(batch_id)
        await mill.dispatch()
        while (held := await mill.take()) is not None:
            await mill.close(held.chunk, [done(held.chunk, file, "TIMEOUT") for file in held.files])
        await mill.run_all(batch_id)
        code, lines, _ = await watch.end()
    assert (code, lines[-1]) == (3, "COMPLETED: 2 of 2 files, 2 failed")
    assert sum(line.startswith("failed: n") and line.endswith(" (TIMEOUT)") for line in lines) == 2


async def test_a_batch_that_was_cancelled_is_1(api_url: str, tenant: Tenant, mill: Mill) -> None:
    batch_id = await mill.open_batch(2)
    async with mill.resources.unit_of_work() as uow:
        await batch_service.cancel_batch(uow, mill.project_id, batch_id)
        await uow.commit()
    await mill.run_all(batch_id)
    async with watching(api_url, tenant.key, shown(batch_id)) as watch:
        code, lines, _ = await watch.end()
    assert (code, lines) == (1, ["CANCELLED: 0 of 0 files"])


async def test_what_cannot_be_followed_ends_it_with_words(api_url: str, tenant: Tenant) -> None:
    nothing = "bat-00000000-0000-0000-0000-000000000000"
    async with watching(api_url, tenant.key, nothing) as watch:
        code, lines, err = await watch.end()
    assert (code, lines) == (1, [])
    assert "404" in err
    async with watching("http://127.0.0.1:1", tenant.key, nothing) as watch:
        code, _, err = await watch.end()
    assert (code, "does not answer" in err) == (4, True)


async def test_ctrl_c_leaves(api_url: str, tenant: Tenant, mill: Mill) -> None:
    batch_id = await mill.open_batch(5)
    async with watching(api_url, tenant.key, shown(batch_id)) as watch:
        await watch.first_line()
        watch.process.send_signal(signal.SIGINT)
        code, _, err = await watch.end()
    assert code == 130
    assert "Traceback" not in err
