"""Limits of a lane on real rows: what is granted, refused, written down, and given free again."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.batches import repository as batch_repository
from shared.batches import service as batch_service
from shared.db.repository import Page
from shared.errors import InvalidInput
from shared.jobs import running
from shared.jobs import service as job_service
from shared.lanes import service as lane_service
from shared.lanes.limits import Hold
from shared.queue.messages import Dispatch, Work
from shared.wiring import Resources
from tests.shared.batches.by_hand import (
    KIND,
    OPEN,
    alone,
    explained,
    files_granted,
    finish,
    limit,
    opened,
    status_of,
)
from tests.shared.conftest import Mill, make_mill


async def test_concurrency_is_never_passed_however_many_dispatch(mill: Any) -> None:
    for _ in range(4):
        await mill.add_worker()
    for _ in range(3):
        await opened(mill, 40)
    await limit(mill, max_jobs=7)
    await asyncio.gather(*(mill.dispatch() for _ in range(8)))
    assert await files_granted(mill) == 7


async def test_the_end_of_a_chunk_rings_a_lane_that_refused(mill: Any, bells: Any, an_end: Any) -> None:
    await mill.add_worker()
    await limit(mill, max_jobs=1)
    await opened(mill, 5)
    await mill.dispatch()
    held = await mill.taken()
    bells.rung.clear()
    await finish(mill, held, an_end)
    assert Dispatch(mill.project_id, KIND) in bells.rung
    assert await mill.dispatch() == 1


async def test_a_batch_without_a_place_is_throttled_with_its_reason_until_a_grant(
    mill: Any, an_end: Any
) -> None:
    await mill.add_worker()
    await limit(mill, max_jobs=1)
    first = await opened(mill, 1)
    await mill.dispatch()
    second = await opened(mill, 3)
    await mill.dispatch()
    assert (await status_of(mill, first), await status_of(mill, second)) == ("RUNNING", "THROTTLED")
    waiting = (await explained(mill, second)).waiting
    assert waiting is not None
    assert (waiting["code"], waiting["limit"], waiting["used"]) == ("PROJECT_CONCURRENCY", 1, 1)
    await finish(mill, await mill.taken(), an_end)
    await mill.dispatch()
    assert await status_of(mill, second) == "RUNNING"
    assert (await mill.batch(second)).wait is None


async def test_a_rate_spaces_due_times_and_says_when_it_lifts(mill: Any) -> None:
    await mill.add_worker()
    await limit(mill, jobs_per_minute=12)
    batch_id = await opened(mill, 10)
    await mill.dispatch()
    assert await files_granted(mill) == 1
    await mill.taken()
    await mill.dispatch()
    assert await files_granted(mill) == 1, "the next may start in five seconds, and is not granted yet"
    seconds = await mill.one(
        "SELECT extract(epoch FROM CAST(wait->>'until' AS timestamptz) - now()) FROM lanes"
    )
    assert 4 < seconds <= 5
    waiting = (await explained(mill, batch_id)).waiting
    assert waiting is not None
    assert (waiting["code"], waiting["limit"]) == ("PROJECT_RATE", 12)
    assert await status_of(mill, batch_id) == "RUNNING", "something of it runs"


async def test_a_batch_that_waits_for_its_rate_is_throttled(mill: Any, an_end: Any) -> None:
    await mill.add_worker()
    await limit(mill, jobs_per_minute=12)
    batch_id = await opened(mill, 10)
    await mill.dispatch()
    await finish(mill, await mill.taken(), an_end)
    await mill.dispatch()
    row = await mill.batch(batch_id)
    assert row.status == "THROTTLED"
    assert row.wait["code"] == "PROJECT_RATE"
    promised = datetime.fromisoformat(row.wait["until"])
    # A second and a half before its time the next one is granted, due at the promised moment.
    await mill.sql("UPDATE lanes SET tat = tat - interval '3.6 s'")
    await mill.dispatch()
    assert await status_of(mill, batch_id) == "RUNNING"
    due = await mill.one("SELECT due_at FROM chunks WHERE state = 'READY'")
    assert abs((due - (promised - timedelta(seconds=3.6))).total_seconds()) < 0.05
    assert await mill.take() is None, "granted, but not before its time"


async def test_what_is_due_soon_is_known(mill: Any) -> None:
    await mill.add_worker()
    await limit(mill, jobs_per_minute=120)
    await opened(mill, 10)
    await mill.dispatch()
    await mill.taken()
    async with mill.resources.unit_of_work() as uow:
        due_in = await running.next_due(uow, "parse")
    assert due_in is not None
    assert 0 < due_in <= 0.5


async def test_a_hold_stops_the_next_take_and_lets_go_at_once(mill: Any, bells: Any) -> None:
    await mill.add_worker()
    batch_id = await opened(mill, 10)
    await mill.dispatch()
    until = datetime.now(UTC) + timedelta(hours=1)
    found = await limit(mill, hold=Hold("moving the storage", until))
    assert found.hold == Hold("moving the storage", until)
    assert await mill.take() is None, "granted before, and on hold"
    assert await mill.dispatch() == 0
    waiting = (await explained(mill, batch_id)).waiting
    assert waiting is not None
    assert waiting["code"] == "MAINTENANCE"
    assert datetime.fromisoformat(waiting["until"]) == until
    bells.rung.clear()
    await limit(mill)
    assert Dispatch(mill.project_id, KIND) in bells.rung
    assert await mill.dispatch() > 0
    assert await mill.take() is not None


async def test_a_held_batch_with_nothing_granted_is_throttled_for_as_long_as_it_takes(mill: Any) -> None:
    await limit(mill, hold=Hold("no end in sight"))
    batch_id = await opened(mill, 3)
    await mill.dispatch()
    row = await mill.batch(batch_id)
    assert (row.status, row.wait["code"], row.wait["until"]) == ("THROTTLED", "MAINTENANCE", None)
    assert await mill.one("SELECT wake_at <= now() + interval '31 s' FROM lanes")
    await limit(mill)
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)


async def test_lowered_limits_take_back_what_was_granted_and_not_started(mill: Any) -> None:
    for _ in range(2):
        await mill.add_worker()
    batch_id = await opened(mill, 60)
    await mill.dispatch()
    assert await files_granted(mill) > 2
    await limit(mill, max_jobs=2)
    assert await files_granted(mill) == 0
    await mill.dispatch()
    assert await files_granted(mill) == 2
    await limit(mill)
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)


async def test_a_recall_beside_a_cancelled_file_counts_each_file_once(mill: Any) -> None:
    await mill.add_worker()
    batch_id = await opened(mill, 20)
    await mill.dispatch()
    job_id = await mill.one("SELECT id FROM jobs WHERE batch_id = :b AND seq = 1", b=batch_id)
    async with mill.resources.unit_of_work() as uow:
        await job_service.cancel_job(uow, mill.project_id, KIND, job_id)
        await uow.commit()
    await limit(mill, max_jobs=3)
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)
    assert (await mill.batch(batch_id)).cancelled == 1


async def test_only_so_many_batches_are_worked_on_the_oldest_first(mill: Any) -> None:
    await mill.add_worker()
    await limit(mill, max_batches=2)
    batches = [await opened(mill, 6) for _ in range(4)]
    for _ in range(3):
        await mill.dispatch()
    assert [await status_of(mill, b) for b in batches] == ["RUNNING", "RUNNING", "THROTTLED", "THROTTLED"]
    granted = {b for (b,) in await mill.sql("SELECT DISTINCT batch_id FROM chunks")}
    assert granted == set(batches[:2])
    waiting = (await explained(mill, batches[2])).waiting
    assert waiting is not None
    assert (waiting["code"], waiting["limit"]) == ("BATCH_CONCURRENCY", 2)
    for batch_id in batches:
        await mill.run_all(batch_id)
        await mill.assert_exact(batch_id)


async def test_a_job_that_comes_alone_into_a_limited_lane_waits_for_a_grant(mill: Any, bells: Any) -> None:
    await mill.add_worker()
    await limit(mill, max_jobs=1)
    first, second = await alone(mill), await alone(mill)
    assert bells.heard(Work) == []
    assert await mill.take() is None
    assert await mill.dispatch() == 1
    held = await mill.taken()
    assert held.chunk.job_id == first.id
    assert await mill.dispatch() == 0
    await mill.close(held.chunk, [])
    await mill.sql("UPDATE chunks SET state = 'READY', token = NULL, due_at = now() WHERE state = 'TAKEN'")
    assert await mill.one("SELECT count(*) FROM chunks WHERE job_id = :j", j=second.id) == 1


async def test_neither_batches_nor_jobs_that_come_alone_starve_each_other(mill: Any, an_end: Any) -> None:
    await mill.add_worker()
    await limit(mill, max_jobs=1)
    await opened(mill, 40)
    for _ in range(40):
        await alone(mill)
    kinds = []
    for _ in range(40):
        await mill.dispatch()
        held = await mill.taken()
        kinds.append(held.chunk.batch_id is None)
        await finish(mill, held, an_end)
    assert 5 < sum(kinds) < 35


async def test_waiting_for_a_limit_earns_no_credit_before_others(mill: Any) -> None:
    await mill.add_worker()
    await limit(mill, hold=Hold("wait"))
    for _ in range(3):
        await alone(mill)
    await mill.sql(
        "INSERT INTO chunks (project_id, job_type, queue, batch_id, lo, hi, size, rank, state,"
        " token, worker_id) VALUES (:p, 'parse_v2', 'parse', :b, 1, 1, 1, 500, 'TAKEN',"
        " gen_random_uuid(), gen_random_uuid())",
        p=mill.project_id,
        b=mill.directory_id,
    )
    await limit(mill)
    await mill.dispatch()
    assert await mill.one("SELECT min(rank) FROM chunks WHERE state = 'READY'") >= 500


@pytest.mark.parametrize(
    "wrong",
    [
        {"jobs_per_minute": 0},
        {"burst": 0},
        {"max_jobs": -1},
        {"weight": float("nan")},
        {"weight": 0.0},
        {"weight": 1e-300},
        {"weight": 1e300},
        {"max_files": 2**31},
        {"hold": Hold(" ")},
    ],
)
async def test_limits_that_make_no_sense_are_refused_and_change_nothing(
    mill: Any, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        await limit(mill, **wrong)
    async with mill.resources.unit_of_work() as uow:
        assert await lane_service.get_limits(uow, mill.project_id, KIND) == OPEN


async def test_nothing_starts_after_a_cancel_was_answered(mill: Any) -> None:
    await mill.add_worker()
    batch_id = await opened(mill, 10)
    await mill.dispatch()
    async with mill.resources.unit_of_work() as uow:
        await batch_service.cancel_batch(uow, mill.project_id, batch_id)
        await uow.commit()
    assert await mill.take() is None, "before anybody drained it"
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id, "CANCELLED")


async def test_an_open_lane_reports_a_page_of_jobs_as_before(mill: Any) -> None:
    await alone(mill)
    async with mill.resources.unit_of_work() as uow:
        page = await job_service.list_jobs(
            uow, mill.project_id, KIND, filters=job_service.JobFilters(), size=5
        )
    assert isinstance(page, Page)
    assert [view.status for view in page.items] == ["PENDING"]


async def test_the_files_of_a_directory_are_counted_against_the_limit_of_a_batch(
    mill: Mill, resources: Resources
) -> None:
    async def beyond() -> list[bool]:
        async with resources.unit_of_work() as uow:
            return [
                await batch_repository.too_many_files(uow.session, mill.directory_id, cap)
                for cap in (0, 1, 2, 3, 4, 1_000)
            ]

    assert await beyond() == [False] * 6
    await mill.add_files(2)
    # The places of a directory's files are not next to each other when others upload at the same time.
    await (await make_mill(resources)).add_files(5)
    await mill.add_files(1)
    assert await beyond() == [True, True, True, False, False, False]
    await mill.sql(
        "UPDATE directory_files SET deleted_at = now() WHERE id ="
        " (SELECT id FROM directory_files WHERE directory_id = :d ORDER BY pos LIMIT 1)",
        d=mill.directory_id,
    )
    assert await beyond() == [True, True, False, False, False, False]
