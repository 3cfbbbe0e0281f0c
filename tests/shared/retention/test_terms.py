"""What goes when its time is over, and what never goes."""

import asyncio
import os
from contextlib import nullcontext
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from shared.batches import repository as batch_repository
from shared.directories import service as directory_service
from shared.directories.service import EntryFilters
from shared.errors import InvalidInput, NotFound
from shared.files import service as file_service
from shared.files.service import FileFilters
from shared.jobs import opening
from shared.jobs import service as job_service
from shared.pausing import Point
from shared.retention import collecting, slices, sweeping
from tests.shared.conftest import done
from tests.shared.retention.conftest import KilledError, Shelf, dying_at


async def test_everything_is_kept_for_ever_unless_somebody_says_else(shelf: Shelf) -> None:
    await shelf.file(days=4_000)
    await shelf.job(days=4_000)
    await shelf.batch(days=4_000, jobs=2)
    before = shelf.blobs()
    assert await shelf.sweep() == {}
    await shelf.clean()
    assert shelf.blobs() == before


async def test_a_result_goes_and_its_job_says_so(shelf: Shelf) -> None:
    await shelf.keep(results_days=30)
    old, young = await shelf.job(days=31), await shelf.job(days=29)
    batch = await shelf.batch(days=31, jobs=3)
    kept_batch = await shelf.batch(days=29, jobs=2)
    await shelf.clean()
    assert shelf.blobs() == {await shelf.key(young)} | {
        row[0]
        for row in await shelf.mill.sql("SELECT result_key FROM jobs WHERE batch_id = :b", b=kept_batch)
    }
    assert await shelf.mill.one("SELECT count(*) FROM jobs WHERE batch_id = :b", b=batch) == 3
    async with shelf.resources.unit_of_work() as uow:
        view = await job_service.get_job(uow, shelf.project, "parse_v2", old)
        assert view.status == "COMPLETED"
        with pytest.raises(NotFound, match=r"removed at .* limited time"):
            await job_service.read_result(shelf.resources.storage, view)
        with pytest.raises(InvalidInput, match="retention"):
            await opening.input_of_parse_job(uow, shelf.project, old, named="pjb-x")
    (empty,) = shelf.folder.rglob(str(old))
    os.utime(empty, (0, 0))
    await shelf.collect()
    assert not empty.exists(), "the folder of a result follows it"


async def test_a_result_that_the_storage_has_lost_says_so(shelf: Shelf) -> None:
    job = await shelf.job()
    async with shelf.resources.unit_of_work() as uow:
        view = await job_service.get_job(uow, shelf.project, "parse_v2", job)
    (shelf.folder / await shelf.key(job)).unlink()
    with pytest.raises(NotFound, match="its bytes are gone"):
        await job_service.read_result(shelf.resources.storage, view)


async def test_a_shared_result_lives_as_long_as_anybody_who_shares_it(shelf: Shelf) -> None:
    await shelf.keep(jobs_days=30)
    first = await shelf.job(days=40)
    key = await shelf.key(first)
    second = await shelf.job(days=1, shares=first)
    await shelf.clean()
    assert not await shelf.has("jobs", first)
    assert shelf.blobs() == {key}
    assert await shelf.mill.one("SELECT count(*) FROM doomed_blobs") == 0
    await shelf.keep(jobs_days=1)
    await shelf.mill.sql(
        "UPDATE jobs SET id = uuidv7(-interval '2 days'), finished_at = now() - interval '2 days'"
        " WHERE id = :j",
        j=second,
    )
    await shelf.clean()
    assert shelf.blobs() == set()


async def test_a_result_stays_while_an_extraction_is_about_to_read_it(shelf: Shelf) -> None:
    await shelf.keep(results_days=30)
    parsed = await shelf.job(days=40)
    reader = await shelf.job(status="PENDING", shares=parsed)
    key = await shelf.key(parsed)
    await shelf.clean()
    assert shelf.blobs() == {key}
    await shelf.mill.sql("UPDATE jobs SET status = 'CANCELLED', finished_at = now() WHERE id = :j", j=reader)
    orphan = shelf.folder / key
    os.utime(orphan, (orphan.stat().st_atime, orphan.stat().st_mtime - 25 * 3600))
    assert (await shelf.collect()).removed.blobs == 1
    assert shelf.blobs() == set()


async def test_jobs_that_came_alone_go_when_they_are_final(shelf: Shelf) -> None:
    await shelf.keep(jobs_days=30)
    gone = [await shelf.job(days=31, status=status) for status in ("COMPLETED", "FAILED", "CANCELLED")]
    open_one = await shelf.job(days=31, status="PENDING")
    young = await shelf.job(days=29)
    batch = await shelf.batch(days=31, jobs=1)
    await shelf.clean()
    assert [await shelf.has("jobs", one) for one in gone] == [False] * 3
    assert await shelf.has("jobs", open_one)
    assert await shelf.has("jobs", young)
    assert await shelf.mill.one("SELECT count(*) FROM jobs WHERE batch_id = :b", b=batch) == 1


async def test_a_batch_goes_whole_and_not_before_it_is_final(shelf: Shelf) -> None:
    await shelf.keep(batches_days=30)
    old, young = await shelf.batch(days=31, jobs=3), await shelf.batch(days=29, jobs=1)
    open_one = await shelf.live_batch()
    await shelf.mill.sql(
        "UPDATE batches SET created_at = now() - interval '99 days' WHERE id = :b", b=open_one
    )
    await shelf.sweep()
    async with shelf.resources.unit_of_work() as uow:
        assert await batch_repository.get(uow.session, shelf.project, old) is None, "hidden before it goes"
    assert await shelf.mill.one("SELECT count(*) FROM jobs WHERE batch_id = :b", b=old) == 3
    await shelf.clean()
    assert [await shelf.has("batches", one) for one in (old, young, open_one)] == [False, True, True]
    assert await shelf.mill.one("SELECT count(*) FROM jobs") == 1
    assert await shelf.mill.one("SELECT count(*) FROM batch_events") == 1
    assert len(shelf.blobs()) == 1


async def test_a_batch_that_is_being_redriven_waits(shelf: Shelf) -> None:
    await shelf.keep(batches_days=30)
    old = await shelf.batch(days=31, jobs=1)
    redrive = await shelf.live_batch(redrive_of=old)
    await shelf.clean()
    assert await shelf.has("batches", old)
    await shelf.end(redrive)
    await shelf.clean()
    assert not await shelf.has("batches", old)
    assert await shelf.mill.one("SELECT redrive_of FROM batches WHERE id = :b", b=redrive) is None


async def test_files_go_with_their_places_and_those_of_a_live_batch_stay(shelf: Shelf) -> None:
    await shelf.keep(files_days=30)
    busy = await shelf.directory()
    old, young, needed = [await shelf.file(days=days) for days in (31, 29, 31)]
    place, needed_place = await shelf.place(old), await shelf.place(needed, busy)
    batch = await shelf.live_batch(busy)
    await shelf.clean()
    assert [await shelf.has("files", one) for one in (old, young, needed)] == [False, True, True]
    assert not await shelf.has("directory_files", place)
    row = await shelf.mill.sql("SELECT deleted_at FROM directory_files WHERE id = :i", i=needed_place)
    assert row[0].deleted_at is None, "hidden, it would be a file without a job"
    await shelf.end(batch)
    await shelf.clean()
    assert not await shelf.has("files", needed)
    assert shelf.blobs() == {f"p/{shelf.project}/f/{young}"}


async def test_a_file_stays_while_a_job_that_came_alone_wants_it(shelf: Shelf) -> None:
    await shelf.keep(files_days=30)
    file = await shelf.file(days=31)
    job = await shelf.job(status="PENDING", file=file)
    await shelf.mill.sql(
        "INSERT INTO chunks (project_id, job_type, queue, job_id, size, rank) VALUES"
        " (:p, 'parse_v2', 'parse', :j, 1, 0)",
        p=shelf.project,
        j=job,
    )
    await shelf.clean()
    assert await shelf.has("files", file)
    await shelf.mill.sql("DELETE FROM chunks")
    await shelf.clean()
    assert not await shelf.has("files", file)


async def test_a_deleted_file_goes_unless_a_directory_holds_it(shelf: Shelf) -> None:
    gone, held = await shelf.file(days=1, hidden=True), await shelf.file(days=1, hidden=True)
    place = await shelf.place(held)
    await shelf.clean()
    assert [await shelf.has("files", one) for one in (gone, held)] == [False, True]
    await shelf.mill.sql("UPDATE directory_files SET deleted_at = now() WHERE id = :i", i=place)
    await shelf.clean()
    assert not await shelf.has("files", held)
    assert shelf.blobs() == set()


async def test_bytes_that_lie_somewhere_else_are_nobodys_to_remove(shelf: Shelf) -> None:
    await shelf.keep(files_days=30)
    hidden, old = await shelf.file(days=31, hidden=True), await shelf.file(days=31)
    outside = shelf.folder.parent / "outside.txt"
    outside.write_text("theirs")
    await shelf.mill.sql("UPDATE files SET storage_key = :k", k=outside.as_uri())
    await shelf.clean()
    assert not await shelf.has("files", hidden)
    assert await shelf.has("files", old), "it goes with its directory, not by its age"
    assert outside.read_text() == "theirs"


async def test_an_ephemeral_directory_goes_with_what_came_through_it(shelf: Shelf) -> None:
    directory, other = await shelf.directory(expired_days=1), await shelf.directory()
    mine, own, both = (
        await shelf.file(purpose=None),
        await shelf.file(purpose="parse"),
        await shelf.file(purpose=None),
    )
    for file in (mine, own, both):
        await shelf.place(file, directory)
    await shelf.place(both, other)
    batch = await shelf.live_batch(directory)
    await shelf.clean()
    assert (
        await shelf.mill.one("SELECT count(*) FROM directory_files WHERE directory_id = :d", d=directory) == 3
    )
    assert await shelf.has("files", mine), "a batch reads it"

    await shelf.end(batch)
    await shelf.clean()
    assert [await shelf.has("files", one) for one in (mine, own, both)] == [False, True, True]
    assert await shelf.has("directories", directory), "the batch names it"
    assert await shelf.has("directories", other)

    await shelf.keep(batches_days=1)
    await shelf.mill.sql("UPDATE batches SET finished_at = now() - interval '2 days'")
    await shelf.clean()
    assert not await shelf.has("directories", directory)


async def test_results_of_a_batch_are_listed_when_its_files_are_gone(shelf: Shelf) -> None:
    batch = await shelf.batch(jobs=2)
    async with shelf.resources.unit_of_work() as uow:
        found = await batch_repository.results(uow.session, batch, after_seq=0, size=10)
    assert [one.status for one in found] == ["COMPLETED", "COMPLETED"]


async def test_slices_are_bounded_and_all_goes(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", 3)
    monkeypatch.setattr(slices, "SLICE_OF_FILES", 2)
    await shelf.keep(results_days=9, jobs_days=9, batches_days=9, files_days=9)
    await shelf.batch(days=10, jobs=7)
    for _ in range(7):
        await shelf.job(days=10)
        await shelf.place(await shelf.file(days=10))
    directory = await shelf.directory(expired_days=1)
    for _ in range(5):
        await shelf.place(await shelf.file(purpose=None), directory)
    counts = []
    async with shelf.resources.unit_of_work() as uow:
        while count := await slices.purge_results_alone(uow.session, shelf.project, 9):
            counts.append(count)
            await uow.commit()
    assert counts == [3, 3, 1]
    await shelf.clean()
    assert shelf.blobs() == set()
    for table in ("jobs", "batches", "batch_events", "directory_files", "doomed_blobs"):
        assert await shelf.mill.one(f"SELECT count(*) FROM {table}") == 0  # noqa: S608


async def test_two_sweepers_do_each_thing_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", 2)
    await shelf.keep(jobs_days=9)
    for _ in range(20):
        await shelf.job(days=10)
    first, second = await asyncio.gather(shelf.sweep(), shelf.sweep())
    assert first.get("jobs", 0) + second.get("jobs", 0) == 20
    await shelf.let_time_pass()
    storage, unit_of_work = shelf.resources.storage, shelf.resources.unit_of_work
    monkeypatch.setattr(collecting, "DOOMED_AT_ONCE", 12)
    taken = await asyncio.gather(*(collecting.remove_doomed(unit_of_work, storage) for _ in range(2)))
    assert sum(taken) == 20
    assert shelf.blobs() == set()


@pytest.mark.parametrize("point", [Point.SLICE_REMOVED, Point.BLOBS_TAKEN, Point.BLOBS_REMOVED])
async def test_a_remover_that_dies_is_followed(shelf: Shelf, point: Point) -> None:
    await shelf.keep(results_days=9, files_days=9)
    await shelf.job(days=10)
    await shelf.batch(days=10, jobs=2)
    await shelf.file(days=10)
    young = await shelf.job()
    kept = {await shelf.key(young)}
    with pytest.raises(KilledError), dying_at(point):
        await shelf.clean()
    assert kept <= shelf.blobs()
    # Whoever took blobs has a lease on them: the time passes.
    await shelf.let_time_pass()
    await shelf.clean()
    assert shelf.blobs() == kept
    assert await shelf.mill.one("SELECT count(*) FROM doomed_blobs") == 0


async def test_files_that_stay_are_not_looked_at_without_a_pause(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    remove = slices.remove_files

    async def counted(session: AsyncSession, after: UUID) -> tuple[int, UUID | None]:
        nonlocal looks
        looks += 1
        return await remove(session, after)

    monkeypatch.setattr(slices, "remove_files", counted)
    monkeypatch.setattr(slices, "SLICE_OF_FILES", 2)
    for _ in range(5):
        await shelf.place(await shelf.file(days=1, hidden=True))
    walk = sweeping.Walk()
    async with shelf.resources.unit_of_work() as uow:
        for _ in range(3):
            assert not await sweeping.sweep(uow, walk, within_s=60)
        assert looks == 4, "three slices and one that finds the end"
        walk.removing.rests_until = 0
        await shelf.mill.sql("UPDATE directory_files SET deleted_at = now()")
        assert await sweeping.sweep(uow, walk, within_s=60) == {"files": 5}


async def test_work_goes_on_beside_a_sweep_and_loses_nothing(shelf: Shelf) -> None:
    """Old files, the shortest terms, a walk over the storage: and a batch over them runs to its end."""
    await shelf.keep(results_days=1, jobs_days=1, batches_days=1, files_days=1)
    for _ in range(12):
        await shelf.place(await shelf.file(days=9))
    batch = await shelf.mill.open_batch()
    over, cleaned = asyncio.Event(), asyncio.Semaphore(0)

    async def clean() -> None:
        while not over.is_set():
            await shelf.sweep()
            await shelf.let_time_pass()
            await collecting.remove_doomed(shelf.resources.unit_of_work, shelf.resources.storage)
            await shelf.collect()
            cleaned.release()

    cleaning = asyncio.create_task(clean())
    try:
        # Each step has whole rounds of cleaning behind it: enough to hide, to remove, and to remove bytes.
        for step in (shelf.mill.advance(batch), shelf.mill.dispatch()):
            for _ in range(3):
                await asyncio.wait_for(cleaned.acquire(), 60)
            await step
        assignment = await shelf.mill.taken()
        assert len(assignment.files) > 0
        for file in assignment.files:
            assert file.storage_key is not None
            assert await shelf.resources.storage.read(file.storage_key) == b"words"
        await shelf.mill.close(assignment.chunk, [done(assignment.chunk, file) for file in assignment.files])
        await shelf.mill.run_all(batch)
    finally:
        over.set()
        await cleaning
    await shelf.mill.assert_exact(batch)
    assert await shelf.mill.one("SELECT ok FROM batches WHERE id = :b", b=batch) == 12


async def test_a_page_that_ended_at_a_row_that_went_is_no_end_of_the_list(shelf: Shelf) -> None:
    files = [await shelf.file() for _ in range(3)]
    places = [await shelf.place(file) for file in files]
    await shelf.mill.sql("DELETE FROM directory_files WHERE id = :i", i=places[1])
    await shelf.mill.sql("DELETE FROM files WHERE id = :i", i=files[1])
    async with shelf.resources.unit_of_work() as uow:
        for after, refused in ((files[0], False), (files[1], True)):
            with pytest.raises(InvalidInput, match="beginning") if refused else nullcontext():
                page = await file_service.list_files(
                    uow, shelf.project, filters=FileFilters(), order_by="name", size=1, after=after
                )
                assert [one.id for one in page.items] == [files[2]]
        for after, refused in ((places[2], False), (places[1], True)):
            with pytest.raises(InvalidInput, match="beginning") if refused else nullcontext():
                entries = await directory_service.list_entries(
                    uow, shelf.project, shelf.mill.directory_id, filters=EntryFilters(), size=1, after=after
                )
                assert [one.id for one in entries.items] == [places[0]]
