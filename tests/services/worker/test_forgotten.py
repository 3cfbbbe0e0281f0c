"""What a worker holds by the rows and does not know of: a take whose answer died with the database."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.jobs import running
from shared.jobs.running import Assignment
from tests.services.worker.test_work import add_job, chunk_row, job_row, run_sql


def lose_answer(patch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    """The next such move is committed, and its caller hears an error instead."""
    real = getattr(running, name)

    async def moved(*values: Any, **named: Any) -> Assignment | None:
        patch.setattr(running, name, real)
        await real(*values, **named)
        raise error

    patch.setattr(running, name, moved)


async def test_a_take_whose_answer_is_lost_is_given_back_at_the_next_look(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await add_job(runtime, "a.txt", b"words")
    lose_answer(monkeypatch, "take", asyncpg.ConnectionDoesNotExistError("the server is gone"))
    await work(runtime, "parse", slice_s=5)
    lost = await chunk_row(runtime)
    assert (lost.state, lost.worker_id) == ("TAKEN", runtime.worker_id)
    await work(runtime, "parse", slice_s=5)
    row = await job_row(runtime, job)
    assert row.status == "COMPLETED"
    assert row.token != lost.token
    assert not runtime.in_doubt


async def test_it_costs_no_loss_and_ends_when_a_stop_was_asked(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await add_job(runtime, "a.txt", b"words")
    lose_answer(monkeypatch, "take", OSError("connection reset"))
    await work(runtime, "parse", slice_s=5)
    await run_sql(runtime, "UPDATE chunks SET due_at = now() + interval '1 h'")
    await runtime.clear_doubt()
    chunk = await chunk_row(runtime)
    assert (chunk.state, chunk.losses, chunk.token) == ("READY", 0, None)
    lose_answer(monkeypatch, "take", OSError("connection reset"))
    await work(runtime, "parse", slice_s=5)
    await run_sql(runtime, "UPDATE chunks SET stop = true")
    await runtime.clear_doubt()
    assert await chunk_row(runtime) is None
    assert (await job_row(runtime, job)).status == "CANCELLED"


async def test_work_that_goes_on_is_not_given_back_nor_that_of_others(runtime: Runtime) -> None:
    await add_job(runtime, "a.txt", b"words")
    async with runtime.unit_of_work() as uow:
        assignment = await running.take(uow, "parse", runtime.worker_id)
    assert assignment is not None
    runtime.held.add(assignment.chunk.token)
    runtime.in_doubt = True
    await runtime.clear_doubt()
    assert (await chunk_row(runtime)).token == assignment.chunk.token
    runtime.held.clear()
    runtime.worker_id, mine = uuid4(), runtime.worker_id
    runtime.in_doubt = True
    await runtime.clear_doubt()
    assert (await chunk_row(runtime)).token == assignment.chunk.token
    runtime.worker_id, runtime.in_doubt = mine, True
    await runtime.clear_doubt()
    assert (await chunk_row(runtime)).state == "READY"


async def test_a_wait_for_a_row_leaves_no_doubt(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    await add_job(runtime, "a.txt", b"words")
    lose_answer(monkeypatch, "take", asyncpg.LockNotAvailableError("somebody else has it"))
    await work(runtime, "parse", slice_s=5)
    assert not runtime.in_doubt
    assert (await chunk_row(runtime)).state == "TAKEN", "its lease says what becomes of it"
