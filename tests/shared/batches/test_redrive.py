"""A redrive: which files it lists, when it is refused, and that the old batch never moves."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from shared.batches import draining, redriving, spreading
from shared.batches import service as batch_service
from shared.batches.advance import Step
from shared.batches.model import Batch
from shared.batches.redrive import RedriveKind, redrive_batch
from shared.errors import Conflict, InvalidInput, NotFound
from tests.shared.conftest import Mill


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three files a page, two old rows a look: every list has several of both."""
    monkeypatch.setattr(spreading, "PAGE", 3)
    monkeypatch.setattr(redriving, "SCAN", 2)


async def redriven(mill: Mill, batch_id: UUID, kind: RedriveKind = RedriveKind.FAILED) -> Batch:
    async with mill.resources.unit_of_work() as uow:
        batch = await redrive_batch(uow, mill.project_id, batch_id, kind)
        await uow.commit()
    return batch


async def ended(mill: Mill, an_end: Any, files: int, *, failing: set[int]) -> UUID:
    """A COMPLETED batch over `files` new files of which those at `failing` (from 1) failed."""
    batch_id = await mill.open_batch(files)
    for _ in range(100):
        if await mill.advance(batch_id) is Step.ENDED:
            return batch_id
        await mill.dispatch()
        while (held := await mill.take()) is not None:
            ends = []
            for file in held.files:
                seq = await mill.one("SELECT seq FROM jobs WHERE id = :j", j=file.job_id)
                ends.append(an_end(held.chunk, file, "CORRUPT_FILE" if seq in failing else None))
            await mill.close(held.chunk, ends)
    raise AssertionError("the batch did not end")


async def listed(mill: Mill, batch_id: UUID) -> list[str]:
    """The names of the batch's files, in their order."""
    rows = await mill.sql("SELECT name FROM jobs WHERE batch_id = :b ORDER BY seq", b=batch_id)
    return [name for (name,) in rows]


async def test_the_files_that_failed_run_again_in_a_new_batch(mill: Mill, an_end: Any) -> None:
    old = await ended(mill, an_end, 9, failing={1, 4, 5, 9})
    before = await mill.batch(old)
    batch = await redriven(mill, old)
    assert batch.redrive_of == old
    await mill.run_all(batch.id)
    await mill.assert_exact(batch.id)
    assert await listed(mill, batch.id) == ["n1", "n4", "n5", "n9"]
    assert (await mill.batch(batch.id)).ok == 4
    assert await mill.batch(old) == before, "a final batch never moves"


async def test_it_runs_with_what_was_resolved_when_the_old_batch_was_opened(mill: Mill, an_end: Any) -> None:
    old = await ended(mill, an_end, 1, failing={1})
    await mill.sql('UPDATE batches SET config = \'{"parameters": {"tier": "odd"}}\' WHERE id = :b', b=old)
    batch = await redriven(mill, old)
    assert batch.config == {"parameters": {"tier": "odd"}}


async def test_a_batch_that_is_under_way_is_refused(mill: Mill) -> None:
    batch_id = await mill.open_batch(1)
    with pytest.raises(Conflict, match="only a final one"):
        await redriven(mill, batch_id)


async def test_another_project_sees_nothing_to_redrive(mill: Mill, an_end: Any) -> None:
    old = await ended(mill, an_end, 1, failing={1})
    async with mill.resources.unit_of_work() as uow:
        with pytest.raises(NotFound):
            await redrive_batch(uow, UUID(int=1), old, RedriveKind.FAILED)


@pytest.mark.parametrize("kind", RedriveKind)
async def test_a_batch_in_which_all_went_well_is_refused(mill: Mill, an_end: Any, kind: RedriveKind) -> None:
    old = await ended(mill, an_end, 3, failing=set())
    with pytest.raises(Conflict, match="No file"):
        await redriven(mill, old, kind)


async def test_a_failed_file_that_is_gone_is_no_reason_and_no_part(mill: Mill, an_end: Any) -> None:
    old = await ended(mill, an_end, 3, failing={1, 2})
    await mill.sql("UPDATE directory_files SET deleted_at = now() WHERE display_name = 'n1'")
    batch = await redriven(mill, old)
    await mill.run_all(batch.id)
    assert await listed(mill, batch.id) == ["n2"]
    await mill.sql("UPDATE directory_files SET deleted_at = now() WHERE display_name = 'n2'")
    with pytest.raises(Conflict, match="No file"):
        await redriven(mill, batch.id)


async def test_a_file_that_goes_after_the_redrive_was_opened_is_unmapped(mill: Mill, an_end: Any) -> None:
    old = await ended(mill, an_end, 3, failing={1, 2})
    batch = await redriven(mill, old)
    await mill.sql("UPDATE directory_files SET deleted_at = clock_timestamp() WHERE display_name = 'n1'")
    await mill.run_all(batch.id)
    await mill.assert_exact(batch.id)
    assert (await mill.batch(batch.id)).unmapped == 1


async def test_a_redrive_sent_again_is_answered_with_the_same_batch(mill: Mill, an_end: Any) -> None:
    old = await ended(mill, an_end, 2, failing={1})
    first, second = await asyncio.gather(redriven(mill, old), redriven(mill, old))
    assert first.id == second.id
    await mill.run_all(first.id)
    assert (await redriven(mill, old)).id == first.id, "the answer may have been lost a moment ago"
    await mill.sql("UPDATE batches SET created_at = created_at - interval '61 s'")
    assert (await redriven(mill, old)).id != first.id


async def test_a_redrive_can_be_redriven(mill: Mill, an_end: Any) -> None:
    old = await ended(mill, an_end, 4, failing={2, 3})
    again = await redriven(mill, old)
    await mill.advance(again.id)
    for _ in range(10):
        if await mill.advance(again.id) is Step.ENDED:
            break
        await mill.dispatch()
        while (held := await mill.take()) is not None:
            await mill.close(held.chunk, [an_end(held.chunk, file, "CORRUPT_FILE") for file in held.files])
    assert (await mill.batch(again.id)).failed == 2
    third = await redriven(mill, again.id)
    await mill.run_all(third.id)
    assert await listed(mill, third.id) == ["n2", "n3"]


async def test_files_that_a_cancel_left_unlisted_are_redriven_too(
    mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.batches.spreading.PAGE", 4)
    monkeypatch.setattr("shared.batches.advance.SLICE_S", -1.0)
    batch_id = await mill.open_batch(11)
    assert await mill.advance(batch_id) is Step.FIRST_PAGE
    async with mill.resources.unit_of_work() as uow:
        await batch_service.cancel_batch(uow, mill.project_id, batch_id)
        await uow.commit()
    monkeypatch.setattr("shared.batches.advance.SLICE_S", 2.0)
    assert await mill.advance(batch_id) is Step.ENDED
    assert (await mill.batch(batch_id)).total == 4
    await mill.add_files(3)
    batch = await redriven(mill, batch_id)
    await mill.run_all(batch.id)
    await mill.assert_exact(batch.id)
    assert await listed(mill, batch.id) == [f"n{n}" for n in range(1, 12)], "and none that came later"


async def test_a_cancelled_redrive_has_listed_all_its_files(
    mill: Mill, an_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await ended(mill, an_end, 9, failing=set(range(1, 10)))
    batch = await redriven(mill, old)
    monkeypatch.setattr("shared.batches.advance.SLICE_S", -1.0)
    await mill.advance(batch.id)
    async with mill.resources.unit_of_work() as uow:
        await batch_service.cancel_batch(uow, mill.project_id, batch.id)
        await uow.commit()
    monkeypatch.setattr("shared.batches.advance.SLICE_S", 2.0)
    assert await mill.advance(batch.id) is Step.ENDED
    await mill.assert_exact(batch.id, "CANCELLED")
    again = await redriven(mill, batch.id)
    await mill.run_all(again.id)
    assert await listed(mill, again.id) == [f"n{n}" for n in range(1, 10)]


async def test_a_redrive_that_cannot_list_its_files_ends_and_says_where_to_go_on(
    mill: Mill, an_end: Any
) -> None:
    old = await ended(mill, an_end, 3, failing={1, 2, 3})
    batch = await redriven(mill, old)
    async with mill.resources.unit_of_work() as uow:
        await draining.stop(uow.session, batch.id, end="FAILED", code="ORCHESTRATION_ERROR", message="m")
        await uow.commit()
    await mill.sql("UPDATE batches SET strikes = 8 WHERE id = :b", b=batch.id)
    assert await mill.advance(batch.id) is Step.ENDED
    with pytest.raises(Conflict, match=f"Redrive bat-{old} again"):
        await redriven(mill, batch.id)
    await mill.sql("UPDATE batches SET redrive_of = NULL WHERE id = :b", b=batch.id)
    with pytest.raises(Conflict, match=r"were listed\.$"):
        await redriven(mill, batch.id)


async def test_what_came_or_was_replaced_since_runs_in_a_redrive_of_what_changed(
    mill: Mill, an_end: Any
) -> None:
    old = await ended(mill, an_end, 5, failing={2})
    await mill.sql("UPDATE directory_files SET deleted_at = now() WHERE display_name IN ('n1', 'n2')")
    await mill.add_files(2)
    await mill.sql(
        "UPDATE directory_files SET display_name = 'new ' || display_name WHERE pos >"
        " (SELECT last_pos FROM batches WHERE id = :b)",
        b=old,
    )
    batch = await redriven(mill, old, RedriveKind.CHANGED)
    await mill.add_files(1)
    await mill.run_all(batch.id)
    await mill.assert_exact(batch.id)
    assert await listed(mill, batch.id) == ["new n1", "new n2"]
    later = await redriven(mill, old, RedriveKind.CHANGED)
    assert later.id != batch.id, "one more file came: that is another list"
    await mill.run_all(later.id)
    assert len(await listed(mill, later.id)) == 3
    with pytest.raises(Conflict, match="since the batch was opened"):
        await redriven(mill, later.id, RedriveKind.CHANGED)


async def test_more_new_files_than_a_batch_may_have_are_refused(mill: Mill, an_end: Any) -> None:
    old = await ended(mill, an_end, 1, failing=set())
    await mill.add_files(3)
    await mill.sql("UPDATE lanes SET max_files = 2")
    with pytest.raises(InvalidInput, match="More than 2 files"):
        await redriven(mill, old, RedriveKind.CHANGED)
