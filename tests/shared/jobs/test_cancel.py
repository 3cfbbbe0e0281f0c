"""One job is cancelled: alone or in a batch, waiting, running, lost with its worker, or over already."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from shared.errors import Conflict, NotFound
from shared.jobs import opening, running, sweeping
from shared.jobs import service as job_service
from shared.queue.messages import Advance

KIND = "parse_v2"


async def alone(mill: Any) -> UUID:
    async with mill.resources.unit_of_work() as uow:
        view = await opening.open_parse_job(
            uow,
            project_id=mill.project_id,
            file_id=mill.file_id,
            name="f",
            size_bytes=1,
            sha256=b"",
            parameters={"tier": "fast"},
        )
        await uow.commit()
    return view.id


async def cancel(mill: Any, job_id: UUID) -> str:
    async with mill.resources.unit_of_work() as uow:
        view = await job_service.cancel_job(uow, mill.project_id, KIND, job_id)
        await uow.commit()
    return str(view.status)


async def job_of(mill: Any, batch_id: UUID, seq: int) -> UUID:
    found: UUID = await mill.one("SELECT id FROM jobs WHERE batch_id = :b AND seq = :s", b=batch_id, s=seq)
    return found


async def test_a_job_that_nobody_started_has_its_end_at_once_and_only_once(mill: Any) -> None:
    job_id = await alone(mill)
    assert await cancel(mill, job_id) == "CANCELLED"
    assert await mill.one("SELECT count(*) FROM chunks") == 0
    assert await mill.take() is None
    with pytest.raises(Conflict, match="CANCELLED already"):
        await cancel(mill, job_id)


async def test_a_running_job_is_told_at_the_beat_and_then_cancelled(mill: Any) -> None:
    job_id = await alone(mill)
    held = await mill.taken()
    assert await cancel(mill, job_id) == "RUNNING"
    assert await cancel(mill, job_id) == "RUNNING", "asked twice is asked once"
    async with mill.resources.unit_of_work() as uow:
        assert (await running.beat(uow, held.chunk)).name == "STOP"
    await mill.close(held.chunk, [])
    assert await mill.one("SELECT status FROM jobs") == "CANCELLED"
    assert await mill.one("SELECT count(*) FROM chunks") == 0


async def test_what_finishes_before_it_hears_of_the_stop_keeps_its_result(mill: Any, an_end: Any) -> None:
    job_id = await alone(mill)
    held = await mill.taken()
    await cancel(mill, job_id)
    await mill.close(held.chunk, [an_end(held.chunk, held.files[0])])
    assert await mill.one("SELECT status FROM jobs") == "COMPLETED"
    with pytest.raises(Conflict, match="COMPLETED already"):
        await cancel(mill, job_id)


@pytest.mark.parametrize("how", ["lost", "released", "suspect"])
async def test_a_stop_survives_the_holder(mill: Any, how: str) -> None:
    """However a chunk leaves its holder after the stop, the job ends and nobody runs it again."""
    job_id = await alone(mill)
    held = await mill.taken()
    await cancel(mill, job_id)
    if how == "lost":
        await mill.sql("UPDATE chunks SET due_at = now() - interval '1 s'")
        async with mill.resources.unit_of_work() as uow:
            await sweeping.sweep_lost(uow)
        async with mill.resources.unit_of_work() as uow:
            await sweeping.sweep_lost(uow)
    else:
        async with mill.resources.unit_of_work() as uow:
            if how == "released":
                await running.release(uow, held.chunk, [], after=0, reason=None)
            else:
                await running.suspect(uow, held.chunk, [], after=0, reason="no space")
    assert await mill.one("SELECT status FROM jobs") == "CANCELLED"
    assert await mill.one("SELECT count(*) FROM chunks") == 0


@pytest.mark.parametrize("when", ["unfed", "ready", "taken among others"])
async def test_a_job_of_a_batch_is_counted_once_as_cancelled(mill: Any, an_end: Any, when: str) -> None:
    await mill.add_worker()
    batch_id = await mill.open_batch(30)
    await mill.advance(batch_id)
    if when != "unfed":
        await mill.dispatch()
    held = await mill.taken() if when == "taken among others" else None
    if held is not None:
        assert held.chunk.size > 1
    assert await cancel(mill, await job_of(mill, batch_id, 1)) == "CANCELLED"
    if held is not None:
        await mill.close(held.chunk, [an_end(held.chunk, file) for file in held.files])
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)
    row = await mill.batch(batch_id)
    assert (row.ok, row.cancelled) == (29, 1)


async def test_the_last_job_of_a_batch_cancelled_ends_the_batch(mill: Any, bells: Any) -> None:
    await mill.add_worker()
    batch_id = await mill.open_batch(1)
    await mill.advance(batch_id)
    await mill.dispatch()
    bells.rung.clear()
    await cancel(mill, await job_of(mill, batch_id, 1))
    assert Advance(batch_id) in bells.rung
    await mill.advance(batch_id)
    await mill.assert_exact(batch_id)


async def test_a_cancel_beside_a_close_has_one_winner(mill: Any, an_end: Any) -> None:
    for _ in range(10):
        job_id = await alone(mill)
        held = await mill.taken()
        await asyncio.gather(
            cancel(mill, job_id),
            mill.close(held.chunk, [an_end(held.chunk, held.files[0])]),
            return_exceptions=True,
        )
        assert await mill.one("SELECT status FROM jobs WHERE id = :j", j=job_id) == "COMPLETED"
        assert await mill.one("SELECT count(*) FROM chunks WHERE job_id = :j", j=job_id) == 0


async def test_another_projects_job_is_unknown(mill: Any) -> None:
    job_id = await alone(mill)
    async with mill.resources.unit_of_work() as uow:
        with pytest.raises(NotFound):
            await job_service.cancel_job(uow, mill.directory_id, KIND, job_id)
    assert await mill.one("SELECT status FROM jobs") == "PENDING"
