"""Storing bytes and rows together, and finding them again."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from shared.errors import InvalidInput, NotFound
from shared.files import service
from shared.files.model import File
from shared.files.service import FileFilters
from shared.wiring import Resources
from tests.conftest import Tenant


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def broken(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    raise ConnectionResetError("the sender went away")


def blobs(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def store(resources: Resources, tenant: Tenant, name: str, content: bytes = b"x") -> File:
    async with resources.unit_of_work() as uow:
        file = await service.store_file(uow, resources.storage, tenant.project_id, name, pieces(content))
        await uow.commit()
    return file


async def names(resources: Resources, tenant: Tenant, **choices: object) -> list[str]:
    async with resources.unit_of_work() as uow:
        page = await service.list_files(
            uow,
            tenant.project_id,
            **{"filters": FileFilters(), "size": 50, **choices},  # type: ignore[arg-type]
        )
    return [file.name for file in page.items]


async def test_a_stored_file_knows_its_bytes(resources: Resources, tenant: Tenant) -> None:
    async with resources.unit_of_work() as uow:
        file = await service.store_file(
            uow, resources.storage, tenant.project_id, "a/b.PDF", pieces(b"one", b"", b"two"), purpose="parse"
        )
        await uow.commit()
    assert (file.name, file.file_type, file.purpose) == ("a/b.PDF", "pdf", "parse")
    assert file.size_bytes == 6
    assert file.sha256 == hashlib.sha256(b"onetwo").digest()
    assert file.storage_key == f"p/{tenant.project_id}/f/{file.id}"
    assert await resources.storage.read(file.storage_key) == b"onetwo"


async def test_no_transaction_is_open_while_bytes_come(resources: Resources, tenant: Tenant) -> None:
    async with resources.unit_of_work() as uow:
        open_while_reading: list[bool] = []

        async def watched() -> AsyncIterator[bytes]:
            open_while_reading.append(uow.session.in_transaction())
            yield b"x"

        await service.store_file(uow, resources.storage, tenant.project_id, "n", watched())
    assert open_while_reading == [False]


async def test_a_sender_that_goes_away_leaves_nothing(
    resources: Resources, tenant: Tenant, tmp_path: Path
) -> None:
    async with resources.unit_of_work() as uow:
        with pytest.raises(ConnectionResetError):
            await service.store_file(
                uow, resources.storage, tenant.project_id, "n", broken(b"x" * 20_000_000)
            )
        await uow.commit()
    assert blobs(tmp_path) == []
    assert await names(resources, tenant) == []


async def test_bytes_whose_row_is_refused_are_removed(
    resources: Resources, tenant: Tenant, tmp_path: Path
) -> None:
    async with resources.unit_of_work() as uow:
        with pytest.raises(InvalidInput, match="purpose"):
            await service.store_file(
                uow, resources.storage, tenant.project_id, "n", pieces(b"x"), purpose="fun"
            )
    assert blobs(tmp_path) == []


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("plain.pdf", "plain.pdf"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("a\x00b\r\nc\x7f\x85", "abc"),
        ("Größe 日本.pdf", "Größe 日本.pdf"),
        ("lone\ud800surrogate", "lonesurrogate"),
        ("  spaces  ", "spaces"),
        ("\x00", "upload"),
        ("", "upload"),
        (None, "upload"),
        ("x" * 3_000, "x" * 3_000),
    ],
)
def test_names_are_kept_but_for_what_cannot_be_shown(sent: str | None, kept: str) -> None:
    assert service.clean_name(sent) == kept


def test_a_name_of_more_than_3000_characters_is_refused() -> None:
    with pytest.raises(InvalidInput, match="3,000"):
        service.clean_name("x" * 3_001)


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.PDF", "pdf"),
        ("a.tar.gz", "gz"),
        ("noext", None),
        (".bashrc", None),
        ("d.x/noext", None),
        ("a.", None),
        ("a.b c", None),
        ("a." + "x" * 17, None),
        (r"c:\d\a.Txt", "txt"),
    ],
)
async def test_the_type_is_the_extension(
    resources: Resources, tenant: Tenant, name: str, extension: str | None
) -> None:
    assert (await store(resources, tenant, name)).file_type == extension


async def test_lists_are_filtered_and_ordered(
    resources: Resources, tenant: Tenant, neighbour: Tenant
) -> None:
    made = [await store(resources, tenant, name) for name in ("b", "a", "c", "a")]
    await store(resources, neighbour, "a")
    assert await names(resources, tenant) == ["a", "c", "a", "b"]
    assert await names(resources, tenant, order_by="created_at") == ["a", "c", "a", "b"]
    assert await names(resources, tenant, order_by="name") == ["a", "a", "b", "c"]
    assert await names(resources, tenant, order_by="id") == ["b", "a", "c", "a"]
    assert await names(resources, tenant, filters=FileFilters(name="a")) == ["a", "a"]
    one = FileFilters(file_ids=[made[2].id, uuid4()])
    assert await names(resources, tenant, filters=one) == ["c"]
    assert await names(resources, tenant, filters=FileFilters(file_ids=[])) == []
    with pytest.raises(InvalidInput, match="order_by"):
        await names(resources, tenant, order_by="size")


@pytest.mark.parametrize("order", ["name", "id", "created_at"])
@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
async def test_pages_hold_each_file_once(resources: Resources, tenant: Tenant, order: str, size: int) -> None:
    made = [(await store(resources, tenant, name)).id for name in ("b", "a", "b", "a", "b", "a")]
    found = []
    after = None
    async with resources.unit_of_work() as uow:
        for _ in range(7):
            page = await service.list_files(
                uow,
                tenant.project_id,
                filters=FileFilters(),
                order_by=order,
                size=size,
                after=after,
                count=True,
            )
            assert page.items
            assert page.total == 6
            found += page.items
            after = page.next_after
            if after is None:
                break
    assert sorted(file.id for file in found) == sorted(made)
    if order == "name":
        assert [file.name for file in found] == ["a"] * 3 + ["b"] * 3


async def test_a_deleted_file_is_hidden_and_keeps_its_bytes(resources: Resources, tenant: Tenant) -> None:
    file = await store(resources, tenant, "n", b"kept")
    async with resources.unit_of_work() as uow:
        await service.delete_file(uow, tenant.project_id, file.id)
        await uow.commit()
    assert await names(resources, tenant) == []
    async with resources.unit_of_work() as uow:
        with pytest.raises(NotFound):
            await service.get_file(uow, tenant.project_id, file.id)
    assert await resources.storage.read(file.storage_key) == b"kept"
