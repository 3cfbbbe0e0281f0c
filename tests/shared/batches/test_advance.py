"""Spread, settle and drain: pages, races, and what the directory does meanwhile."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from shared.batches import draining, spreading
from shared.batches.advance import STRIKES, Pages, Step, note_failure

PAGE = 7


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "PAGE", PAGE)


@pytest.mark.parametrize("files", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
async def test_every_file_becomes_one_job_and_the_batch_completes(mill: Any, files: int) -> None:
    batch_id = await mill.open_batch(files)
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)
    seqs = [
        seq for (seq,) in await mill.sql("SELECT seq FROM jobs WHERE batch_id = :b ORDER BY 1", b=batch_id)
    ]
    assert seqs == list(range(1, files + 1))


async def test_two_advances_at_once_spread_each_file_once(mill: Any) -> None:
    batch_id = await mill.open_batch(5 * PAGE + 3)
    for _ in range(3):
        await asyncio.gather(*(mill.advance(batch_id) for _ in range(3)))
    assert await mill.one("SELECT count(*) FROM jobs WHERE batch_id = :b", b=batch_id) == 5 * PAGE + 3
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)


async def test_the_file_list_is_frozen_at_create(mill: Any) -> None:
    await mill.add_files(3)
    await mill.sql(
        "UPDATE directory_files SET deleted_at = now() WHERE pos = (SELECT min(pos) FROM directory_files"
        " WHERE directory_id = :d)",
        d=mill.directory_id,
    )
    batch_id = await mill.open_batch(2)
    await mill.add_files(4)
    await mill.sql(
        "UPDATE directory_files SET deleted_at = now() WHERE pos = (SELECT min(pos) FROM directory_files"
        " WHERE directory_id = :d AND deleted_at IS NULL)",
        d=mill.directory_id,
    )
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)
    row = await mill.batch(batch_id)
    # Three before (one of them deleted before: not part of it), two with the create, four after.
    assert (row.total, row.unmapped, row.ok) == (4, 1, 3)
    message = await mill.one(
        "SELECT error_message FROM jobs WHERE status = 'UNMAPPED' AND batch_id = :b", b=batch_id
    )
    assert "deleted" in message


def test_pages_grow_while_they_are_short_and_no_further() -> None:
    pages = Pages()
    sizes = []
    for seconds in (0.05, 0.1, 0.1, 0.3, 0.9, 0.05):
        sizes.append(pages.files)
        pages.took(seconds)
    assert sizes == [PAGE, 2 * PAGE, 4 * PAGE, 4 * PAGE, 4 * PAGE, PAGE]


async def test_a_directory_gone_before_it_was_read_fails_the_batch(mill: Any) -> None:
    batch_id = await mill.open_batch(3)
    await mill.sql("UPDATE directories SET deleted_at = now() WHERE id = :d", d=mill.directory_id)
    assert await mill.advance(batch_id) is Step.ENDED
    await mill.assert_exact(batch_id, "FAILED")
    assert (await mill.batch(batch_id)).failure_code == "DIRECTORY_GONE"


async def test_a_directory_deleted_later_changes_nothing(mill: Any) -> None:
    batch_id = await mill.open_batch(2 * PAGE)
    await mill.advance(batch_id)
    await mill.sql("UPDATE directories SET deleted_at = now() WHERE id = :d", d=mill.directory_id)
    await mill.run_all(batch_id)
    await mill.assert_exact(batch_id)


async def test_a_stop_drains_and_keeps_what_is_done(mill: Any, an_end: Any) -> None:
    await mill.add_worker()
    batch_id = await mill.open_batch(40)
    await mill.advance(batch_id)
    await mill.advance(batch_id)
    await mill.dispatch()
    first, second = await mill.taken(), await mill.taken()
    await mill.close(first.chunk, [an_end(first.chunk, f) for f in first.files])
    async with mill.resources.unit_of_work() as uow:
        assert await draining.stop(uow.session, batch_id, end="CANCELLED", code=None, message=None)
        assert not await draining.stop(uow.session, batch_id, end="FAILED", code="X", message=None)
        await uow.commit()
    assert await mill.advance(batch_id) is Step.WAITING
    assert await mill.take() is None, "nothing starts after a stop was accepted"
    hand = await mill.flush(second.chunk, [an_end(second.chunk, second.files[0])])
    assert hand.name == "STOP"
    await mill.close(second.chunk, [])
    assert await mill.advance(batch_id) is Step.ENDED
    await mill.assert_exact(batch_id, "CANCELLED")
    row = await mill.batch(batch_id)
    assert row.ok == len(first.files) + 1
    assert row.cancelled == 40 - row.ok


async def test_settle_at_once_from_many_sides_is_one_final_move(mill: Any, an_end: Any) -> None:
    batch_id = await mill.open_batch(3)
    await mill.advance(batch_id)
    await mill.dispatch()
    while (assignment := await mill.take()) is not None:
        await mill.close(assignment.chunk, [an_end(assignment.chunk, f) for f in assignment.files])
    steps = await asyncio.gather(*(mill.advance(batch_id) for _ in range(6)))
    assert set(steps) == {Step.ENDED}
    await mill.assert_exact(batch_id)


async def test_a_batch_that_cannot_be_moved_ends_failed_with_a_reason(mill: Any) -> None:
    batch_id = await mill.open_batch(1)
    for _ in range(STRIKES):
        await note_failure(mill.resources.unit_of_work, batch_id)
    assert await mill.advance(batch_id) is Step.ENDED
    row = await mill.batch(batch_id)
    assert (row.status, row.failure_code) == ("FAILED", "ORCHESTRATION_ERROR")


async def test_sums_that_cannot_be_right_do_not_keep_a_batch_from_its_end(mill: Any, an_end: Any) -> None:
    batch_id = await mill.open_batch(3)
    await mill.advance(batch_id)
    await mill.dispatch()
    held = await mill.taken()
    await mill.close(held.chunk, [an_end(held.chunk, file) for file in held.files])
    await mill.sql("UPDATE chunks SET ok = 7 WHERE state = 'DONE'")
    for _ in range(STRIKES):
        with pytest.raises(IntegrityError):
            await mill.advance(batch_id)
        await note_failure(mill.resources.unit_of_work, batch_id)
    assert await mill.advance(batch_id) is Step.ENDED
    await mill.assert_exact(batch_id, "FAILED")
    row = await mill.batch(batch_id)
    assert (row.failure_code, row.ok) == ("ORCHESTRATION_ERROR", len(held.files))


async def test_every_open_batch_has_a_due_time_and_final_ones_have_none(mill: Any) -> None:
    batch_id = await mill.open_batch(2)
    for move in (mill.advance, mill.advance):
        await move(batch_id)
        assert (await mill.batch(batch_id)).wake_at is not None
    await mill.run_all(batch_id)
    assert (await mill.batch(batch_id)).wake_at is None
