"""Which storage is the database's: recorded once, held to by everybody, whatever happens at once or half."""

import asyncio
import shutil
from pathlib import Path

import pytest

from shared.config import Settings, Storage
from shared.installation import repository, service
from shared.installation.service import OtherStorage, adopt_storage, hold_to_storage, look
from shared.storage.object_store import ObjectStore
from shared.storage.port import StorageDown
from shared.wiring import Resources, storage_place
from tests.conftest import Tenant


def store_at(folder: Path) -> ObjectStore:
    return ObjectStore(folder.as_uri())


@pytest.fixture
def ours(tmp_path: Path) -> ObjectStore:
    return store_at(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> ObjectStore:
    return store_at(tmp_path / "theirs")


def marks(folder: Path) -> list[str]:
    return [path.name for path in (folder / "installation").glob("*")]


async def recorded(resources: Resources) -> str | None:
    async with resources.unit_of_work() as uow:
        return await repository.find(uow.session, service.STORAGE)


async def test_the_first_who_starts_records_its_storage(
    resources: Resources, ours: ObjectStore, tmp_path: Path
) -> None:
    assert await look(resources.unit_of_work, ours) == service.Standing(None, here=False)
    await hold_to_storage(resources.unit_of_work, ours, "here")
    assert marks(tmp_path / "ours") == [str(await recorded(resources)).split(" ")[0]]
    assert await look(resources.unit_of_work, ours) == service.Standing("here", here=True)


async def test_the_next_ones_change_nothing(resources: Resources, ours: ObjectStore, tmp_path: Path) -> None:
    await hold_to_storage(resources.unit_of_work, ours, "here")
    before = await recorded(resources), marks(tmp_path / "ours")
    await hold_to_storage(resources.unit_of_work, ours, "a name of the same place")
    assert (await recorded(resources), marks(tmp_path / "ours")) == before


async def test_the_same_folder_by_another_path_is_the_same(
    resources: Resources, ours: ObjectStore, tmp_path: Path
) -> None:
    await hold_to_storage(resources.unit_of_work, ours, "here")
    (tmp_path / "mounted").symlink_to(tmp_path / "ours")
    await hold_to_storage(resources.unit_of_work, store_at(tmp_path / "mounted"), "mounted")


async def test_another_folder_is_refused_with_both_places_and_what_to_do(
    resources: Resources, ours: ObjectStore, theirs: ObjectStore, tmp_path: Path
) -> None:
    await hold_to_storage(resources.unit_of_work, ours, "the folder /a on first")
    with pytest.raises(OtherStorage) as refusal:
        await hold_to_storage(resources.unit_of_work, theirs, "the folder /a on second")
    for words in ("/a on first", "/a on second", "same mounted folder", "BATCHMILL_STORAGE__URL", "adopt"):
        assert words in refusal.value.message
    assert marks(tmp_path / "theirs") == []


async def test_many_at_once_on_one_storage_all_pass_and_leave_one_mark(
    resources: Resources, ours: ObjectStore, tmp_path: Path
) -> None:
    await asyncio.gather(*(hold_to_storage(resources.unit_of_work, ours, f"nr {n}") for n in range(20)))
    assert marks(tmp_path / "ours") == [str(await recorded(resources)).split(" ")[0]]


async def test_of_two_storages_at_once_one_wins(
    resources: Resources, ours: ObjectStore, theirs: ObjectStore, tmp_path: Path
) -> None:
    ends = await asyncio.gather(
        *(hold_to_storage(resources.unit_of_work, ours, "ours") for _ in range(5)),
        *(hold_to_storage(resources.unit_of_work, theirs, "theirs") for _ in range(5)),
        return_exceptions=True,
    )
    refused = [isinstance(end, OtherStorage) for end in ends]
    assert refused in ([False] * 5 + [True] * 5, [True] * 5 + [False] * 5), ends
    assert len(marks(tmp_path / "ours") + marks(tmp_path / "theirs")) == 1


async def test_a_death_between_blob_and_row_is_mended_by_the_next_start(
    resources: Resources, ours: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(repository, "record", dies)
        with pytest.raises(KeyboardInterrupt):
            await hold_to_storage(resources.unit_of_work, ours, "here")
    assert len(marks(tmp_path / "ours")) == 1
    assert await recorded(resources) is None
    await hold_to_storage(resources.unit_of_work, ours, "here")
    assert (await look(resources.unit_of_work, ours)).here


async def test_a_folder_that_was_emptied_is_refused(
    resources: Resources, ours: ObjectStore, tmp_path: Path
) -> None:
    await hold_to_storage(resources.unit_of_work, ours, "here")
    shutil.rmtree(tmp_path / "ours")
    with pytest.raises(OtherStorage, match="emptied holds no results"):
        await hold_to_storage(resources.unit_of_work, store_at(tmp_path / "ours"), "here")


async def keep_a_file(resources: Resources, tenant: Tenant, storage: ObjectStore) -> None:
    key = f"p/{tenant.project_id}/f/one"
    await storage.put(key, b"bytes")
    async with resources.unit_of_work() as uow:
        connection = await uow.session.connection()
        await connection.exec_driver_sql(
            "INSERT INTO files (project_id, name, size_bytes, sha256, storage_key)"
            " VALUES ($1, 'a', 5, '', $2)",
            (tenant.project_id, key),
        )
        await uow.commit()


async def test_an_installation_from_before_the_marks_takes_the_storage_with_its_files(
    resources: Resources, tenant: Tenant, ours: ObjectStore, theirs: ObjectStore
) -> None:
    await keep_a_file(resources, tenant, ours)
    with pytest.raises(OtherStorage, match="the newest file is not found in an empty folder"):
        await hold_to_storage(resources.unit_of_work, theirs, "an empty folder")
    assert await recorded(resources) is None
    await hold_to_storage(resources.unit_of_work, ours, "here")
    assert (await look(resources.unit_of_work, ours)).here


async def test_a_storage_is_adopted_when_an_operator_says_so(
    resources: Resources, ours: ObjectStore, theirs: ObjectStore
) -> None:
    for storage, place, before in ((ours, "old", None), (theirs, "new", "old")):
        async with resources.unit_of_work() as uow:
            assert await adopt_storage(uow, storage, place) == before
            await uow.commit()
    await hold_to_storage(resources.unit_of_work, theirs, "new")
    with pytest.raises(OtherStorage, match="the storage of this database is new"):
        await hold_to_storage(resources.unit_of_work, ours, "old")


async def test_a_storage_that_is_away_is_not_called_another(
    resources: Resources, ours: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StorageDown("out of reach")

    await hold_to_storage(resources.unit_of_work, ours, "here")
    monkeypatch.setattr(ours, "stream", away)
    with pytest.raises(StorageDown):
        await hold_to_storage(resources.unit_of_work, ours, "here")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://key:secret@bucket/prefix?token=secret", "s3://bucket/prefix"),
        ("az://container", "az://container"),
    ],
)
def test_a_place_tells_no_secret(url: str, place: str) -> None:
    assert storage_place(Settings(storage=Storage(url=url))) == place


def test_a_folder_is_told_with_its_host() -> None:
    assert storage_place(Settings(storage=Storage(url="file:///a%20b"))).startswith("the folder /a b on ")
