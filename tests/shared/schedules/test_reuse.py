"""Schedules of spread with files whose result is known: deaths, rivals, deletions, stops."""

from typing import Any

import pytest

from shared.jobs import service as job_service
from shared.pausing import Point
from tests.shared.conftest import KIND, done
from tests.shared.schedules import known
from tests.shared.schedules.conductor import without
from tests.shared.schedules.stage import Stage

MIXED = [True, False, True, True, False, True]


@pytest.fixture
async def stage(stage: Stage) -> Stage:
    """A stage on which one document is known, and a directory in which every second file is that one."""
    await known.make_known(stage.mill)
    return stage


async def open_mixed(stage: Stage, files: list[bool]) -> Any:
    await known.add_mixed(stage.mill, files)
    return await stage.mill.open_batch()


@pytest.mark.parametrize("point", [Point.SPREAD_LOCKED, Point.SPREAD_PAGE, Point.FOLDED])
@pytest.mark.parametrize("files", [MIXED, [True] * 5])
async def test_a_process_that_dies_while_it_lists_counts_nothing_twice(
    stage: Stage, point: Point, files: list[bool], small_pages: None
) -> None:
    batch_id = await open_mixed(stage, files)
    for _ in range(4):
        await stage.conductor.killed(stage.mill.advance(batch_id), point)
        await stage.mill.advance(batch_id)
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)
    await known.assert_reused(stage.mill, batch_id)


async def test_two_who_list_at_once_count_each_file_once(stage: Stage, small_pages: None) -> None:
    batch_id = await open_mixed(stage, MIXED)
    first = await stage.conductor.stopped(stage.mill.advance(batch_id), Point.SPREAD_PAGE)
    second = await stage.conductor.beside(stage.mill.advance(batch_id))
    await first.end()
    await second.end()
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)
    await known.assert_reused(stage.mill, batch_id)


async def test_a_result_that_is_deleted_while_a_page_is_listed_is_shared_or_made_anew(stage: Stage) -> None:
    origin = await stage.mill.one("SELECT id FROM jobs")
    batch_id = await open_mixed(stage, [True])
    listing = await stage.conductor.stopped(stage.mill.advance(batch_id), Point.SPREAD_PAGE)
    async with stage.resources.unit_of_work() as uow:
        await job_service.delete_job(uow, stage.mill.project_id, KIND, origin)
        await uow.commit()
    await listing.end()
    later = await open_mixed(stage, [])
    for one in (batch_id, later):
        await stage.bring_to_end(one)
        await stage.mill.assert_exact(one)
    reused = [(await stage.mill.batch(one)).reused for one in (batch_id, later)]
    assert reused == [1, 0]


async def test_a_file_that_is_known_lies_in_a_chunk_of_others_and_counts_once(stage: Stage) -> None:
    batch_id = await open_mixed(stage, MIXED)
    await stage.mill.advance(batch_id)
    await stage.mill.sql("UPDATE batches SET seconds_per_file = 0.001")
    await stage.mill.dispatch()
    held = await stage.mill.taken()
    assert (held.chunk.lo, held.chunk.hi, held.chunk.size) == (1, 6, 2), "it reaches over what is known"
    await stage.hand_in(held)
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)
    row = await stage.mill.batch(batch_id)
    assert (row.ok, row.reused) == (6, 4)


async def test_a_lost_chunk_and_a_stop_around_known_files_count_them_once(stage: Stage) -> None:
    batch_id = await open_mixed(stage, MIXED)
    await stage.mill.advance(batch_id)
    await stage.mill.sql("UPDATE batches SET seconds_per_file = 0.001")
    await stage.mill.dispatch()
    held = await stage.mill.taken()
    await stage.mill.flush(held.chunk, [done(held.chunk, held.files[0])])
    await stage.expire()
    await stage.sweep()
    await stage.cancel(batch_id)
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id, "CANCELLED")
    row = await stage.mill.batch(batch_id)
    assert (row.ok, row.cancelled, row.reused) == (5, 1, 4)


async def test_a_key_whose_job_is_another_projects_is_not_believed(stage: Stage) -> None:
    await stage.mill.sql("UPDATE jobs SET project_id = gen_random_uuid()")
    batch_id = await open_mixed(stage, [True])
    await stage.bring_to_end(batch_id)
    assert (await stage.mill.batch(batch_id)).reused == 0


COUNTED_TWICE = " AND reused_from IS NULL"


async def test_without_the_exception_in_the_count_a_chunk_counts_it_again(stage: Stage) -> None:
    """The control: what keeps a known file from being counted twice must be missed when it is gone."""
    batch_id = await open_mixed(stage, MIXED)
    await stage.mill.advance(batch_id)
    await stage.mill.sql("UPDATE batches SET seconds_per_file = 0.001")
    await stage.mill.dispatch()
    held = await stage.mill.taken()
    with without(stage.resources.engine, COUNTED_TWICE), pytest.raises(Exception, match="witness: chunk"):
        await stage.hand_in(held)
