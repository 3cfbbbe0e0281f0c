"""Blobs that no row names: found by a walk over the storage, and removed when they are old enough."""

import os
from pathlib import Path
from uuid import uuid4

import pytest

from shared.pausing import Point, listening
from shared.retention import collecting
from shared.storage.port import StorageDown
from tests.shared.retention.conftest import Shelf

DAY_S = 24 * 3600


async def put(shelf: Shelf, key: str, *, age_s: float) -> str:
    await shelf.resources.storage.put(key, b"12345678")
    path = shelf.folder / key
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age_s))
    return key


def a_result(shelf: Shelf) -> str:
    return f"p/{shelf.project}/r/{uuid4()}/{uuid4()}.json.zst"


async def test_orphans_go_when_they_are_a_day_old(shelf: Shelf) -> None:
    job = await shelf.job()
    kept = {
        await put(shelf, await shelf.key(job), age_s=9 * DAY_S),
        f"p/{shelf.project}/f/{await shelf.file()}",
        await put(shelf, a_result(shelf), age_s=DAY_S - 60),
        await put(shelf, f"p/{shelf.project}/f/not-ours", age_s=9 * DAY_S),
        await put(shelf, "installation/mark", age_s=9 * DAY_S),
    }
    # The loser of a fence: another token of a job that has its result.
    loser = f"p/{shelf.project}/r/{job}/{uuid4()}.json.zst"
    await shelf.mill.sql("INSERT INTO purges (project_id, name) VALUES (:p, 'gone')", p=(purged := uuid4()))
    for key in (loser, a_result(shelf), f"p/{shelf.project}/f/{uuid4()}", f"p/{purged}/f/{uuid4()}"):
        await put(shelf, key, age_s=DAY_S + 60)
    # What a process that was killed left of an upload; the store's own list does not show it.
    left = shelf.folder / f"p/{shelf.project}/f/{uuid4()}#1"
    left.write_bytes(b"12345678")
    os.utime(left, (0, 0))
    seen = await shelf.collect(remove=False)
    assert (seen.orphans.blobs, seen.orphans.size_bytes, seen.young.blobs) == (5, 40, 1)
    assert (seen.kept.blobs, seen.foreign.blobs, seen.removed.blobs) == (2, 1, 0)
    done = await shelf.collect()
    assert (done.removed.blobs, done.removed.size_bytes) == (5, 40)
    assert shelf.blobs() == kept


async def test_what_another_database_put_stays(shelf: Shelf) -> None:
    """As a new database finds it that was started on a storage in use, before its dump is restored."""
    theirs = {
        await put(shelf, f"p/{uuid4()}/f/{uuid4()}", age_s=9 * DAY_S),
        await put(shelf, f"p/{uuid4()}/r/{uuid4()}/{uuid4()}.json.zst", age_s=9 * DAY_S),
    }
    await put(shelf, a_result(shelf), age_s=9 * DAY_S)
    found = await shelf.collect()
    assert (found.foreign.blobs, found.orphans.blobs, found.removed.blobs) == (2, 1, 1)
    assert shelf.blobs() == theirs


async def test_a_row_that_comes_before_the_delete_saves_its_blob(shelf: Shelf) -> None:
    file = uuid4()
    key = await put(shelf, f"p/{shelf.project}/f/{file}", age_s=2 * DAY_S)

    async def add_the_row(point: Point) -> None:
        if point is Point.BLOBS_TAKEN:
            await shelf.mill.sql(
                "INSERT INTO files (id, project_id, name, size_bytes, sha256, storage_key)"
                " VALUES (:i, :p, 'late', 8, '', :k)",
                i=file,
                p=shelf.project,
                k=key,
            )

    with listening(add_the_row):
        found = await shelf.collect()
    assert (found.orphans.blobs, found.removed.blobs) == (1, 0)
    assert shelf.blobs() == {key}


async def test_a_dry_run_says_what_would_go_and_what_it_weighs(shelf: Shelf) -> None:
    await shelf.keep(results_days=9, files_days=9)
    await shelf.job(days=10)
    await shelf.batch(days=10, jobs=2)
    await shelf.job(days=8)
    await shelf.file(days=10)
    needed = await shelf.file(days=10)
    await shelf.place(needed)
    batch = await shelf.live_batch()
    await put(shelf, a_result(shelf), age_s=2 * DAY_S)
    before = shelf.blobs()
    found = await shelf.collect(remove=False)
    assert (found.results.blobs, found.results.size_bytes) == (3, 18)
    assert (found.files.blobs, found.files.size_bytes) == (1, 5)
    assert (found.orphans.blobs, found.kept.blobs) == (1, 2)
    assert shelf.blobs() == before
    await shelf.end(batch)
    assert (await shelf.collect(remove=False)).files.blobs == 2


async def test_pages_are_walked_whole(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.storage.object_store.LISTED_AT_ONCE", 4)
    for _ in range(11):
        await put(shelf, a_result(shelf), age_s=2 * DAY_S)
    storage = shelf.resources.storage
    sizes = [len(page) async for page in storage.list_pages("p/")]
    assert sizes == [4, 4, 3]
    assert (await shelf.collect()).removed.blobs == 11
    assert [page async for page in storage.list_pages("p/")] == []


async def test_a_folder_that_lost_its_mark_is_down_and_not_empty(shelf: Shelf) -> None:
    mark = await shelf.resources.hold_to_storage()
    (shelf.folder / mark).unlink()
    with pytest.raises(StorageDown):
        await shelf.collect()


async def test_a_store_that_fails_keeps_what_is_doomed(shelf: Shelf) -> None:
    await shelf.keep(results_days=9)
    await shelf.job(days=10)
    await shelf.sweep()
    await shelf.let_time_pass()
    mark: Path = shelf.folder / await shelf.resources.hold_to_storage()
    text = mark.read_bytes()
    mark.unlink()
    storage, unit_of_work = shelf.resources.storage, shelf.resources.unit_of_work
    blobs = list(shelf.folder.rglob("*.zst"))
    for blob in blobs:
        blob.rename(shelf.folder.parent / blob.name)
    with pytest.raises(StorageDown):
        await collecting.remove_doomed(unit_of_work, storage)
    for blob in blobs:
        blob.parent.mkdir(parents=True, exist_ok=True)
        (shelf.folder.parent / blob.name).rename(blob)
    mark.write_bytes(text)
    await shelf.let_time_pass()
    assert await collecting.remove_doomed(unit_of_work, storage) == 1
    assert not list(shelf.folder.rglob("*.zst"))


async def test_the_walk_is_made_once_a_day(shelf: Shelf) -> None:
    storage, unit_of_work = shelf.resources.storage, shelf.resources.unit_of_work
    assert await collecting.collect_when_due(unit_of_work, storage, storage) is not None
    assert await collecting.collect_when_due(unit_of_work, storage, storage) is None
    await shelf.mill.sql("UPDATE chores SET due_at = due_at - interval '25 hours'")
    assert await collecting.collect_when_due(unit_of_work, storage, storage) is not None
