"""Directories by reference: registered whole or not at all, and brought up to what lies there."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shared.config import Settings
from shared.directories import service, syncing
from shared.directories.model import Directory
from shared.directories.service import DirectoryFilters
from shared.errors import Conflict, InvalidInput, NotFound
from shared.storage import sightings
from shared.storage.port import StorageDown
from shared.wiring import Resources
from tests.conftest import Tenant


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "root" / "papers"
    made.mkdir(parents=True)
    (made.parent / "other").write_text("so that the root is not bare")
    return made


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    settings.storage.roots = [str(folder.parent)]
    return settings


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few files are many pages."""
    monkeypatch.setattr(sightings, "PAGE", 4)
    monkeypatch.setattr(syncing, "PAGE", 3)


def fill(folder: Path, count: int) -> None:
    for number in range(count):
        place = folder / f"d{number % 3}" / f"{number:03}.txt"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"words {number}")


async def rows(resources: Resources, statement: str, **values: Any) -> list[Any]:
    async with resources.unit_of_work() as uow:
        found = await uow.session.execute(text(statement), values)
        kept = list(found.all()) if found.returns_rows else []  # type: ignore[attr-defined]
        await uow.commit()
        return kept


async def add(resources: Resources, tenant: Tenant, folder: Path) -> tuple[Directory, syncing.Reading]:
    return await syncing.add(
        resources.unit_of_work,
        resources.sources,
        project_id=tenant.project_id,
        name="papers",
        url=str(folder),
    )


async def sync(resources: Resources, tenant: Tenant, directory: Directory) -> syncing.Reading:
    return await syncing.sync(
        resources.unit_of_work, resources.sources, project_id=tenant.project_id, directory_id=directory.id
    )


async def live(resources: Resources, directory_id: UUID) -> dict[str, tuple[int, bytes | None]]:
    found = await rows(
        resources,
        "SELECT unique_id, size_bytes, sha256 FROM directory_files WHERE directory_id = :d"
        " AND deleted_at IS NULL",
        d=directory_id,
    )
    return {name: (size, digest) for name, size, digest in found}


def on_disk(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}


async def assert_as_on_disk(resources: Resources, directory_id: UUID, folder: Path) -> None:
    listed = await live(resources, directory_id)
    assert {name: size for name, (size, _) in listed.items()} == on_disk(folder)


async def test_every_file_is_a_row_and_no_byte_is_read(
    resources: Resources, tenant: Tenant, folder: Path
) -> None:
    fill(folder, 25)
    directory, reading = await add(resources, tenant, folder)
    assert (reading.files, reading.new, reading.bytes) == (25, 25, sum(on_disk(folder).values()))
    assert directory.source_url == folder.as_uri()
    await assert_as_on_disk(resources, directory.id, folder)
    (kept,) = await rows(resources, "SELECT count(*), count(sha256), count(source_version) FROM files")
    assert tuple(kept) == (25, 0, 25)


async def test_a_sync_finds_new_changed_and_removed_and_keeps_the_rest(
    resources: Resources, tenant: Tenant, folder: Path
) -> None:
    fill(folder, 25)
    directory, _ = await add(resources, tenant, folder)
    before = await rows(resources, "SELECT id, unique_id FROM directory_files")
    (folder / "d0" / "000.txt").write_text("other words, and more")
    os.utime(folder / "d1" / "001.txt", ns=(7, 7))
    (folder / "d2" / "002.txt").unlink()
    (folder / "d0" / "new.txt").write_text("new")
    found = await sync(resources, tenant, directory)
    assert (found.new, found.changed, found.removed, found.same) == (1, 2, 1, 22)
    await assert_as_on_disk(resources, directory.id, folder)
    gone = {name for (name,) in await rows(
        resources, "SELECT unique_id FROM directory_files WHERE deleted_at IS NOT NULL"
    )}  # fmt: skip
    assert gone == {"d0/000.txt", "d1/001.txt", "d2/002.txt"}
    after = await rows(resources, "SELECT id, unique_id FROM directory_files")
    assert set(before) <= set(after), "a batch that froze its list finds each row again"
    again = await sync(resources, tenant, directory)
    assert (again.new, again.changed, again.removed, again.same) == (0, 0, 0, 25)


async def test_a_known_hash_is_known_again(resources: Resources, tenant: Tenant, folder: Path) -> None:
    fill(folder, 4)
    directory, _ = await add(resources, tenant, folder)
    for table, name in (("files", "name"), ("directory_files", "display_name")):
        await rows(resources, f"UPDATE {table} SET sha256 = CAST({name} AS bytea)")  # noqa: S608
    os.utime(folder / "d0" / "000.txt", ns=(7, 7))
    second, _ = await add(resources, tenant, folder)
    assert second.id != directory.id
    hashes = {name: digest for name, (_, digest) in (await live(resources, second.id)).items()}
    assert hashes == {
        "d0/000.txt": None,
        "d1/001.txt": b"001.txt",
        "d2/002.txt": b"002.txt",
        "d0/003.txt": b"003.txt",
    }


async def test_half_a_directory_is_seen_by_nobody_and_is_gone_on_with(
    resources: Resources, tenant: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, 25)
    whole = sightings.of_folder

    async def breaking(*given: Any, **named: Any) -> AsyncIterator[Any]:
        async with aclosing(whole(*given, **named)) as pages:  # type: ignore[type-var]
            yield await anext(pages)
            yield await anext(pages)
            raise ConnectionResetError("the process died here")

    with monkeypatch.context() as broken:
        broken.setattr("shared.storage.by_reference.of_folder", breaking)
        with pytest.raises(ConnectionResetError):
            await add(resources, tenant, folder)
    ((half, placed),) = await rows(
        resources, "SELECT d.id, count(*) FROM directories d, directory_files GROUP BY d.id"
    )
    assert placed == 8
    async with resources.unit_of_work() as uow:
        with pytest.raises(NotFound):
            await service.get_directory(uow, tenant.project_id, half)
        for deleted in (False, True):
            filters = DirectoryFilters(include_deleted=deleted)
            page = await service.list_directories(uow, tenant.project_id, filters=filters, size=5)
            assert page.items == []
    directory, reading = await add(resources, tenant, folder)
    assert directory.id == half
    assert (reading.files, reading.new, reading.same) == (25, 17, 8)
    await assert_as_on_disk(resources, directory.id, folder)


async def test_twice_at_once_is_once(resources: Resources, tenant: Tenant, folder: Path) -> None:
    fill(folder, 40)
    (one, _), (two, _) = await asyncio.gather(add(resources, tenant, folder), add(resources, tenant, folder))
    for directory in {one.id, two.id}:
        await assert_as_on_disk(resources, directory, folder)
    for number in range(0, 40, 3):
        (folder / "d0" / f"{number:03}.txt").write_text("changed")
    (folder / "d1" / "001.txt").unlink()
    (folder / "d0" / "new.txt").write_text("new")
    syncs = await asyncio.gather(*(sync(resources, tenant, one) for _ in range(3)))
    await assert_as_on_disk(resources, one.id, folder)
    assert sum(found.changed for found in syncs) == 14
    assert sum(found.removed for found in syncs) == 1
    assert sum(found.new for found in syncs) == 1


async def test_a_root_that_is_not_mounted_takes_nothing_out(
    resources: Resources, tenant: Tenant, folder: Path, tmp_path: Path
) -> None:
    fill(folder, 5)
    directory, _ = await add(resources, tenant, folder)
    folder.parent.rename(tmp_path / "away")
    for _ in ("gone", "bare"):
        with pytest.raises(StorageDown):
            await sync(resources, tenant, directory)
        folder.parent.mkdir(exist_ok=True)
    assert len(await live(resources, directory.id)) == 5
    folder.parent.rmdir()
    (tmp_path / "away").rename(folder.parent)
    assert (await sync(resources, tenant, directory)).same == 5


async def test_a_folder_that_became_a_link_is_read_no_more(
    resources: Resources, tenant: Tenant, folder: Path, tmp_path: Path
) -> None:
    fill(folder, 3)
    directory, _ = await add(resources, tenant, folder)
    folder.rename(tmp_path / "moved")
    (tmp_path / "moved" / "secret.txt").write_text("not yours")
    folder.symlink_to(tmp_path / "moved")
    with pytest.raises(InvalidInput, match="link"):
        await sync(resources, tenant, directory)
    assert "secret.txt" not in await live(resources, directory.id)


async def test_only_a_place_read_in_place_is_synced(
    resources: Resources, tenant: Tenant, neighbour: Tenant, folder: Path
) -> None:
    fill(folder, 1)
    directory, _ = await add(resources, tenant, folder)
    async with resources.unit_of_work() as uow:
        uploaded = await service.open_directory(uow, project_id=tenant.project_id, name="d")
        await uow.commit()
    with pytest.raises(Conflict, match="uploaded"):
        await sync(resources, tenant, uploaded)
    with pytest.raises(NotFound):
        await sync(resources, neighbour, directory)
    with pytest.raises(InvalidInput, match="BATCHMILL_STORAGE__ROOTS"):
        await add(resources, tenant, Path("/etc"))
    async with resources.unit_of_work() as uow:
        await service.delete_directory(uow, tenant.project_id, directory.id)
        await uow.commit()
    with pytest.raises(NotFound):
        await sync(resources, tenant, directory)
    assert (folder / "d0" / "000.txt").read_text() == "words 0", "its bytes are their owner's"


async def test_many_files_are_registered_in_little_memory(
    resources: Resources, tenant: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tracemalloc

    monkeypatch.setattr(sightings, "PAGE", 1_000)
    monkeypatch.setattr(syncing, "PAGE", 1_000)
    for number in range(20_000):
        (folder / f"{number:05}").touch()
    tracemalloc.start()
    _, reading = await add(resources, tenant, folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reading.new == 20_000
    assert peak < 12 * 2**20, "a page at a time, and eight bytes for each file"


async def test_a_slow_sync_undoes_nothing_of_a_newer_one(
    resources: Resources, tenant: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, 3)
    directory, _ = await add(resources, tenant, folder)
    whole = sightings.of_folder

    async def overtaken(*given: Any, **named: Any) -> AsyncIterator[Any]:
        pages = [page async for page in whole(*given, **named)]
        monkeypatch.setattr("shared.storage.by_reference.of_folder", whole)
        (folder / "d0" / "000.txt").write_text("newer words")
        (folder / "d0" / "new.txt").write_text("new")
        newer = await sync(resources, tenant, directory)
        assert (newer.changed, newer.new) == (1, 1)
        for page in pages:
            yield page

    monkeypatch.setattr("shared.storage.by_reference.of_folder", overtaken)
    slow = await sync(resources, tenant, directory)
    assert (slow.changed, slow.new, slow.removed) == (0, 0, 0)
    await assert_as_on_disk(resources, directory.id, folder)
