"""What an operator does to jobs and chunks, among rivals."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.errors import Conflict, NotFound
from shared.jobs import limiting, operating
from shared.jobs.operating import AnyJobView
from shared.jobs.running import Hand
from shared.lanes.limits import LaneLimits
from shared.queue.messages import Dispatch, Work
from tests.shared.conftest import KIND, Mill
from tests.twins import HeardBells

LIMITED = LaneLimits(
    jobs_per_minute=60, burst=1, max_jobs=None, max_batches=None, max_files=1_000, weight=1, hold=None
)


async def release(mill: Mill, chunk_id: int) -> None:
    async with mill.resources.unit_of_work() as uow:
        await operating.release_chunk(uow, chunk_id)
        await uow.commit()


async def retry(mill: Mill, job_id: UUID) -> AnyJobView:
    async with mill.resources.unit_of_work() as uow:
        view = await operating.retry_job(uow, job_id)
        await uow.commit()
    return view


async def job_alone(mill: Mill, status: str = "FAILED") -> UUID:
    made: UUID = await mill.one(
        "INSERT INTO jobs (project_id, job_type, file_id, name, size_bytes, sha256, config, status,"
        "  error_code, error_message, finished_at, token, pages)"
        " VALUES (:p, 'parse_v2', :f, 'n', 1, '', '{\"tier\"\\: \"fast\"}', CAST(:s AS text),"
        "  CASE WHEN CAST(:s AS text) = 'FAILED' THEN 'TIMEOUT' END, 'too long', now(),"
        "  gen_random_uuid(), 3) RETURNING id",
        p=mill.project_id,
        f=mill.file_id,
        s=status,
    )
    return made


async def test_a_released_chunk_is_its_next_holders_and_the_old_one_is_fenced(
    mill: Mill, bells: HeardBells, an_end: Any
) -> None:
    batch = await mill.open_batch(3)
    await mill.advance(batch)
    await mill.dispatch()
    old = await mill.taken()
    bells.rung.clear()
    await release(mill, old.chunk.id)
    assert bells.heard(Work) == [Work("parse")]
    row = (await mill.sql("SELECT * FROM chunks WHERE id = :c", c=old.chunk.id))[0]
    assert (row.state, row.token, row.losses) == ("READY", None, 0)

    ends = [an_end(old.chunk, file) for file in old.files]
    assert await mill.flush(old.chunk, ends) is Hand.FENCED
    assert await mill.close(old.chunk, ends) is Hand.FENCED
    new = await mill.taken()
    assert (new.chunk.id, new.files) == (old.chunk.id, old.files)
    assert new.chunk.token != old.chunk.token
    await mill.close(new.chunk, [an_end(new.chunk, file) for file in new.files])
    await mill.run_all(batch)
    await mill.assert_exact(batch)


async def test_a_chunk_that_is_due_later_is_made_due_and_nothing_else_is_touched(mill: Mill) -> None:
    batch = await mill.open_batch(1)
    await mill.advance(batch)
    await mill.dispatch()
    chunk = await mill.one("SELECT id FROM chunks")
    with pytest.raises(Conflict, match="READY and due"):
        await release(mill, chunk)
    await mill.sql("UPDATE chunks SET due_at = now() + interval '1 hour'")
    assert await mill.take() is None
    await release(mill, chunk)
    assert await mill.take() is not None
    for state, word in (("WAITING", "lane"), ("DONE", "DONE")):
        await mill.sql("UPDATE chunks SET state = :s, token = NULL", s=state)
        with pytest.raises(Conflict, match=word):
            await release(mill, chunk)
    with pytest.raises(NotFound):
        await release(mill, chunk + 1_000)


async def test_a_chunk_that_is_being_stopped_is_left_to_its_holder(mill: Mill) -> None:
    """READY with a stop on it, nobody would take it any more."""
    batch = await mill.open_batch(1)
    await mill.advance(batch)
    await mill.dispatch()
    held = await mill.taken()
    await mill.sql("UPDATE chunks SET stop = true")
    with pytest.raises(Conflict, match="being stopped"):
        await release(mill, held.chunk.id)
    assert await mill.one("SELECT state FROM chunks") == "TAKEN"


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
async def test_a_job_alone_runs_again_under_its_own_id(mill: Mill, an_end: Any, status: str) -> None:
    job = await job_alone(mill, status)
    view = await retry(mill, job)
    assert (view.row.id, view.status) == (job, "PENDING")
    row = (await mill.sql("SELECT * FROM jobs WHERE id = :j", j=job))[0]
    assert (row.error_code, row.error_message, row.finished_at, row.token, row.pages) == (None,) * 5
    assert view.chunk is not None
    assert view.chunk.job_id == job
    with pytest.raises(Conflict, match="PENDING"):
        await retry(mill, job)
    assignment = await mill.taken()
    assert assignment.parameters == {"tier": "fast"}
    await mill.close(assignment.chunk, [an_end(assignment.chunk, assignment.files[0])])
    assert await mill.one("SELECT status FROM jobs WHERE id = :j", j=job) == "COMPLETED"
    with pytest.raises(Conflict, match="COMPLETED"):
        await retry(mill, job)


async def test_a_job_whose_chunk_is_still_held_is_not_opened_twice(mill: Mill) -> None:
    job = await job_alone(mill)
    await mill.sql(
        "INSERT INTO chunks (project_id, job_type, queue, job_id, size, rank, state, token)"
        " VALUES (:p, 'parse_v2', 'parse', :j, 1, 0, 'TAKEN', gen_random_uuid())",
        p=mill.project_id,
        j=job,
    )
    with pytest.raises(Conflict, match="tried again already"):
        await retry(mill, job)
    assert await mill.one("SELECT status FROM jobs") == "FAILED"


async def test_a_job_of_a_batch_gets_a_new_one_and_the_batch_stays(mill: Mill, an_end: Any) -> None:
    batch = await mill.open_batch(1)
    await mill.advance(batch)
    await mill.dispatch()
    held = await mill.taken()
    await mill.close(held.chunk, [an_end(held.chunk, held.files[0], "TIMEOUT")])
    await mill.run_all(batch)
    failed = await mill.one("SELECT id FROM jobs")
    view = await retry(mill, failed)
    assert view.row.id != failed
    assert (view.row.batch_id, view.row.file_id, view.row.configuration_id) == (
        None,
        mill.file_id,
        "cfg-PARSE_FAST",
    )
    again = await mill.taken()
    assert (again.chunk.job_id, again.parameters) == (view.row.id, {"tier": "fast"})
    await mill.close(again.chunk, [an_end(again.chunk, again.files[0])])
    assert await mill.one("SELECT status FROM jobs WHERE id = :j", j=view.row.id) == "COMPLETED"
    assert await mill.one("SELECT status FROM jobs WHERE id = :j", j=failed) == "FAILED"
    await mill.assert_exact(batch)


async def test_a_retry_waits_for_the_limits_of_its_lane(mill: Mill, bells: HeardBells) -> None:
    await mill.add_worker()
    async with mill.resources.unit_of_work() as uow:
        await limiting.set_limits(uow, mill.project_id, KIND, LIMITED)
        await uow.commit()
    job = await job_alone(mill)
    bells.rung.clear()
    view = await retry(mill, job)
    assert view.chunk is not None
    assert view.chunk.state == "WAITING"
    assert bells.rung == [Dispatch(mill.project_id, KIND)]
    await mill.dispatch()
    assert await mill.one("SELECT state FROM chunks") == "READY"


async def test_a_job_that_nobody_knows_is_not_found(mill: Mill) -> None:
    with pytest.raises(NotFound):
        await retry(mill, uuid4())


async def test_a_job_of_a_batch_that_is_tried_again_already_is_not_tried_twice(
    mill: Mill, an_end: Any
) -> None:
    batch = await mill.open_batch(1)
    await mill.advance(batch)
    await mill.dispatch()
    held = await mill.taken()
    await mill.close(held.chunk, [an_end(held.chunk, held.files[0], "TIMEOUT")])
    await mill.run_all(batch)
    job: UUID = await mill.one("SELECT id FROM jobs WHERE batch_id = :b", b=batch)
    done = await asyncio.gather(retry(mill, job), retry(mill, job), return_exceptions=True)
    assert sorted(isinstance(one, Conflict) for one in done) == [False, True]
    again = await mill.taken()
    await mill.close(again.chunk, [an_end(again.chunk, again.files[0], "TIMEOUT")])
    assert (await retry(mill, job)).status == "PENDING", "its retry has an end, so there may be another"
