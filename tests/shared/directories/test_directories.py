"""Directories: their lives, and which file has which place."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.unit_of_work import UnitOfWork
from shared.directories import repository, service
from shared.directories.model import Directory, DirectoryFile
from shared.directories.service import DirectoryFilters, EntryFilters
from shared.errors import Conflict, InvalidInput, NotFound
from shared.files.model import File
from shared.wiring import Resources
from tests.conftest import Tenant


async def a_file(uow: UnitOfWork, tenant: Tenant, name: str = "n", digest: bytes = b"1") -> File:
    file = File(project_id=tenant.project_id, name=name, size_bytes=1, sha256=digest, storage_key="k")
    uow.session.add(file)
    await uow.session.flush()
    return file


async def listed(uow: UnitOfWork, tenant: Tenant, directory: Directory, **filters: Any) -> list[str]:
    page = await service.list_entries(
        uow, tenant.project_id, directory.id, filters=EntryFilters(**filters), size=50
    )
    return [entry.display_name for entry in page.items]


@pytest.fixture
async def directory(uow: UnitOfWork, tenant: Tenant) -> Directory:
    made = await service.open_directory(uow, project_id=tenant.project_id, name="d")
    await uow.commit()
    return made


class TestLife:
    async def test_an_ephemeral_one_lives_seven_days(self, uow: UnitOfWork, tenant: Tenant) -> None:
        made = await service.open_directory(uow, project_id=tenant.project_id, name="d", kind="ephemeral")
        assert made.expires_at is not None
        assert made.expires_at - made.created_at == timedelta(days=7)

    @pytest.mark.parametrize("kind", ["ephemeral", "user"])
    async def test_a_given_end_is_kept(self, uow: UnitOfWork, tenant: Tenant, kind: str) -> None:
        end = datetime.now(UTC) + timedelta(days=2)
        made = await service.open_directory(
            uow, project_id=tenant.project_id, name="d", kind=kind, expires_at=end
        )
        assert made.expires_at == end

    async def test_an_ordinary_one_has_no_end(self, directory: Directory) -> None:
        assert directory.expires_at is None

    @pytest.mark.parametrize("end", ["deleted_at = now()", "expires_at = now() - interval '1 s'"])
    async def test_one_that_ended_is_hidden_unless_asked_for(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory, end: str
    ) -> None:
        await uow.session.execute(text(f"UPDATE directories SET {end}"))  # noqa: S608 - two constants
        with pytest.raises(NotFound):
            await service.get_directory(uow, tenant.project_id, directory.id)
        for include, count in ((False, 0), (True, 1)):
            page = await service.list_directories(
                uow, tenant.project_id, filters=DirectoryFilters(include_deleted=include), size=9
            )
            assert len(page.items) == count

    async def test_names_need_not_be_unique(self, uow: UnitOfWork, tenant: Tenant) -> None:
        for _ in range(2):
            await service.open_directory(uow, project_id=tenant.project_id, name="batch-example")
        filters = DirectoryFilters(name="batch-example")
        page = await service.list_directories(uow, tenant.project_id, filters=filters, size=9)
        assert len(page.items) == 2

    async def test_lists_know_types(self, uow: UnitOfWork, tenant: Tenant) -> None:
        for kind in ("user", "ephemeral", "index"):
            await service.open_directory(uow, project_id=tenant.project_id, name=kind, kind=kind)
        filters = DirectoryFilters(types=["user", "index"])
        page = await service.list_directories(uow, tenant.project_id, filters=filters, size=9)
        assert [d.name for d in page.items] == ["index", "user"]

    async def test_a_change_is_dated(self, uow: UnitOfWork, tenant: Tenant, directory: Directory) -> None:
        before = directory.updated_at
        made = await service.change_directory(uow, tenant.project_id, directory.id, {"name": "other"})
        assert (made.name, made.description) == ("other", None)
        assert made.updated_at > before


class TestPlaces:
    async def test_defaults_come_from_the_file(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory
    ) -> None:
        entry = await service.add_entry(uow, directory, await a_file(uow, tenant, "a/b.pdf"))
        assert (entry.display_name, entry.unique_id) == ("a/b.pdf", "a/b.pdf")
        assert (entry.size_bytes, entry.sha256, entry.project_id) == (1, b"1", tenant.project_id)
        other = await service.add_entry(
            uow, directory, await a_file(uow, tenant, "c"), external_file_id="ext", display_name="shown"
        )
        assert (other.display_name, other.unique_id, other.external_file_id) == ("shown", "ext", "ext")
        assert other.pos > entry.pos

    async def test_the_same_bytes_again_are_the_same_place(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory
    ) -> None:
        first = await service.add_entry(uow, directory, await a_file(uow, tenant))
        second = await service.add_entry(uow, directory, await a_file(uow, tenant))
        assert second.id == first.id

    async def test_other_bytes_are_a_conflict(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory
    ) -> None:
        await service.add_entry(uow, directory, await a_file(uow, tenant))
        with pytest.raises(Conflict):
            await service.add_entry(uow, directory, await a_file(uow, tenant, digest=b"2"))

    async def test_a_deleted_place_is_free(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory
    ) -> None:
        first = await service.add_entry(uow, directory, await a_file(uow, tenant))
        await service.delete_entry(uow, tenant.project_id, directory.id, first.id)
        second = await service.add_entry(uow, directory, await a_file(uow, tenant, digest=b"2"))
        assert second.id != first.id
        assert await listed(uow, tenant, directory) == ["n"]
        assert len(await listed(uow, tenant, directory, include_deleted=True)) == 2

    async def test_rivals_get_one_place(
        self, resources: Resources, uow: UnitOfWork, tenant: Tenant, directory: Directory
    ) -> None:
        async def place() -> UUID:
            async with resources.unit_of_work() as unit:
                entry = await service.add_entry(unit, directory, await a_file(unit, tenant))
                await unit.commit()
                return entry.id

        assert len(set(await asyncio.gather(*(place() for _ in range(4))))) == 1
        assert await listed(uow, tenant, directory) == ["n"]

    @pytest.mark.parametrize("name", ["x" * 3_000, "日" * 1_500])
    async def test_a_long_name_has_a_short_unique_id_of_its_own(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory, name: str
    ) -> None:
        first = await service.add_entry(uow, directory, await a_file(uow, tenant, name))
        second = await service.add_entry(uow, directory, await a_file(uow, tenant, name[:-1] + "y", b"2"))
        assert first.unique_id != second.unique_id
        assert len(first.unique_id.encode()) <= 2_500

    async def test_a_given_unique_id_that_no_index_can_hold_is_refused(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory
    ) -> None:
        with pytest.raises(InvalidInput, match="2,500"):
            await service.add_entry(uow, directory, await a_file(uow, tenant), unique_id="x" * 2_501)

    @pytest.mark.parametrize("value", [{"a": 1}, [1], [["a"]], object()])
    async def test_metadata_of_another_shape_is_refused(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory, value: Any
    ) -> None:
        with pytest.raises(InvalidInput, match="metadata"):
            await service.add_entry(uow, directory, await a_file(uow, tenant), metadata={"k": value})

    async def test_metadata_is_kept(self, uow: UnitOfWork, tenant: Tenant, directory: Directory) -> None:
        kept = {"a": "b", "n": 1, "f": 1.5, "t": True, "z": None, "l": ["x"]}
        entry = await service.add_entry(uow, directory, await a_file(uow, tenant), metadata=kept)
        found = await service.get_entry(uow, tenant.project_id, directory.id, entry.id)
        assert found.file_metadata == kept

    async def test_a_changed_unique_id_must_be_free(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory
    ) -> None:
        entries = [await service.add_entry(uow, directory, await a_file(uow, tenant, name)) for name in "ab"]

        async def rename(unique_id: str) -> DirectoryFile:
            return await service.change_entry(
                uow, tenant.project_id, directory.id, entries[0].id, {"unique_id": unique_id}
            )

        with pytest.raises(Conflict):
            await rename("b")
        assert (await rename("c")).unique_id == "c"


class TestLists:
    @pytest.fixture(autouse=True)
    async def places(self, uow: UnitOfWork, tenant: Tenant, directory: Directory) -> None:
        for name in ("one.pdf", "Two.PDF", "100%_x.txt"):
            await service.add_entry(uow, directory, await a_file(uow, tenant, name))

    async def test_the_last_placed_is_first(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory
    ) -> None:
        assert await listed(uow, tenant, directory) == ["100%_x.txt", "Two.PDF", "one.pdf"]

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({"display_name": "one.pdf"}, ["one.pdf"]),
            ({"display_name": "ONE.pdf"}, []),
            ({"display_name_contains": ".pdf"}, ["Two.PDF", "one.pdf"]),
            ({"display_name_contains": "0%_"}, ["100%_x.txt"]),
            ({"display_name_contains": "_"}, ["100%_x.txt"]),
            ({"unique_id": "one.pdf"}, ["one.pdf"]),
            ({"updated_at_on_or_after": datetime(2200, 1, 1, tzinfo=UTC)}, []),
            ({"updated_at_on_or_before": datetime(2000, 1, 1, tzinfo=UTC)}, []),
        ],
    )
    async def test_filters(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory, filters: Any, expected: list[str]
    ) -> None:
        assert await listed(uow, tenant, directory, **filters) == expected

    async def test_times_are_inclusive(self, uow: UnitOfWork, tenant: Tenant, directory: Directory) -> None:
        found = await service.list_entries(
            uow, tenant.project_id, directory.id, filters=EntryFilters(unique_id="one.pdf"), size=1
        )
        moment = found.items[0].updated_at
        assert "one.pdf" in await listed(uow, tenant, directory, updated_at_on_or_after=moment)
        assert "one.pdf" in await listed(uow, tenant, directory, updated_at_on_or_before=moment)

    @pytest.mark.parametrize("size", [1, 2, 3])
    async def test_pages_hold_each_file_once(
        self, uow: UnitOfWork, tenant: Tenant, directory: Directory, size: int
    ) -> None:
        found: list[str] = []
        after = None
        while True:
            page = await service.list_entries(
                uow,
                tenant.project_id,
                directory.id,
                filters=EntryFilters(),
                size=size,
                after=after,
                count=True,
            )
            assert page.total == 3
            found += [entry.display_name for entry in page.items]
            if (after := page.next_after) is None:
                break
        assert found == ["100%_x.txt", "Two.PDF", "one.pdf"]


class TestDeletedWhileItMoves:
    @pytest.fixture
    async def entry(self, uow: UnitOfWork, tenant: Tenant, directory: Directory) -> DirectoryFile:
        made = await service.add_entry(uow, directory, await a_file(uow, tenant))
        await uow.commit()
        return made

    @pytest.fixture
    async def other(self, uow: UnitOfWork, tenant: Tenant) -> Directory:
        made = await service.open_directory(uow, project_id=tenant.project_id, name="other")
        await uow.commit()
        return made

    async def test_a_move_that_came_between_a_look_and_a_delete_wins(
        self,
        resources: Resources,
        tenant: Tenant,
        directory: Directory,
        other: Directory,
        entry: DirectoryFile,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        hide = repository.hide_entry

        async def hide_later(session: AsyncSession, seen: DirectoryFile) -> bool:
            await self.move(resources, tenant, directory, other, entry)
            return await hide(session, seen)

        monkeypatch.setattr(repository, "hide_entry", hide_later)
        async with resources.unit_of_work() as unit:
            with pytest.raises(NotFound, match="No file of this directory"):
                await service.delete_entry(unit, tenant.project_id, directory.id, entry.id)
        await self.assert_in(resources, tenant, other, entry)

    async def test_a_delete_that_waits_for_a_move_looks_again(
        self,
        resources: Resources,
        tenant: Tenant,
        directory: Directory,
        other: Directory,
        entry: DirectoryFile,
    ) -> None:
        async def delete() -> None:
            async with resources.unit_of_work() as unit:
                await service.delete_entry(unit, tenant.project_id, directory.id, entry.id)
                await unit.commit()

        async with resources.unit_of_work() as unit:
            await service.lock_for_move(unit, tenant.project_id, directory.id, other.id)
            await service.move_entry(unit, tenant.project_id, directory.id, entry.id, other.id)
            deleting = asyncio.create_task(delete())
            await self.until_somebody_waits(resources)
            await unit.commit()
        with pytest.raises(NotFound):
            await deleting
        await self.assert_in(resources, tenant, other, entry)

    async def test_a_move_of_what_was_deleted_meanwhile_is_refused(
        self,
        resources: Resources,
        tenant: Tenant,
        directory: Directory,
        other: Directory,
        entry: DirectoryFile,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        move = repository.move_entry

        async def move_later(session: AsyncSession, seen: DirectoryFile, *place: Any) -> bool:
            async with resources.unit_of_work() as unit:
                await service.delete_entry(unit, tenant.project_id, directory.id, entry.id)
                await unit.commit()
            return await move(session, seen, *place)

        monkeypatch.setattr(repository, "move_entry", move_later)
        with pytest.raises(NotFound):
            await self.move(resources, tenant, directory, other, entry)
        async with resources.unit_of_work() as unit:
            assert await listed(unit, tenant, other) == []

    @staticmethod
    async def move(
        resources: Resources, tenant: Tenant, source: Directory, target: Directory, entry: DirectoryFile
    ) -> None:
        async with resources.unit_of_work() as unit:
            await service.lock_for_move(unit, tenant.project_id, source.id, target.id)
            await service.move_entry(unit, tenant.project_id, source.id, entry.id, target.id)
            await unit.commit()

    @staticmethod
    async def assert_in(resources: Resources, tenant: Tenant, place: Directory, entry: DirectoryFile) -> None:
        async with resources.unit_of_work() as unit:
            found = await service.get_entry(unit, tenant.project_id, place.id, entry.id)
            assert found.deleted_at is None

    @staticmethod
    async def until_somebody_waits(resources: Resources) -> None:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND query LIKE 'UPDATE directory_files%'"
        )
        async with asyncio.timeout(20):
            while True:
                async with resources.unit_of_work() as unit:
                    if (await unit.session.execute(waiting)).scalar_one():
                        return
                await asyncio.sleep(0.02)
