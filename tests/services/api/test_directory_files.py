"""Files of directories: moved, and deleted many at once."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from shared.batches import advance as batch_advance
from shared.wiring import Resources

DIRECTORIES = "/api/v1/beta/directories"
FAST = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}


async def directory(http: httpx.AsyncClient, name: str = "d") -> str:
    made = await http.post(DIRECTORIES, json={"name": name})
    return f"{DIRECTORIES}/{made.json()['id']}"


async def placed(http: httpx.AsyncClient, place: str, name: str, **fields: str) -> dict[str, Any]:
    sent = {"upload_file": (name, name.encode())}
    made = await http.post(f"{place}/files/upload", files=sent, data=fields)
    assert made.status_code == 201, made.text
    return dict(made.json())


async def names(http: httpx.AsyncClient, place: str, **asked: Any) -> list[str]:
    found = await http.get(f"{place}/files", params=asked)
    return [one["display_name"] for one in found.json()["items"]]


async def opened(http: httpx.AsyncClient, place: str) -> str:
    body = {"source_directory_id": place.rsplit("/", 1)[-1], "config": {"job": FAST}}
    made = await http.post("/api/v2/batches", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def cancelled(http: httpx.AsyncClient, resources: Resources, batch: str) -> None:
    """Brought to its end, as nothing of it runs."""
    assert (await http.post(f"/api/v2/batches/{batch}/cancel")).status_code == 200
    for _ in range(10):
        if await batch_advance.advance(resources.unit_of_work, UUID(batch[4:])) is batch_advance.Step.ENDED:
            return
    raise AssertionError("the batch did not end")


class TestMove:
    async def test_a_file_moves_and_keeps_its_id(self, http: httpx.AsyncClient) -> None:
        here, there = await directory(http), await directory(http)
        first, _ = await placed(http, here, "a"), await placed(http, there, "b")
        sent = {"target_directory_id": there.rsplit("/", 1)[-1], "display_name": "new"}
        moved = (await http.patch(f"{here}/files/{first['id']}", json=sent)).json()
        assert (moved["id"], moved["file_id"]) == (first["id"], first["file_id"])
        assert (moved["directory_id"], moved["display_name"]) == (sent["target_directory_id"], "new")
        assert moved["unique_id"] == "a"
        assert moved["updated_at"] > first["updated_at"]
        assert (await names(http, here), await names(http, there)) == ([], ["new", "b"])
        assert (await http.get(f"{here}/files/{first['id']}")).status_code == 404
        assert (await http.get(f"{there}/files/{first['id']}")).status_code == 200

    async def test_a_move_to_where_it_is_changes_the_rest(self, http: httpx.AsyncClient) -> None:
        here = await directory(http)
        file = await placed(http, here, "a")
        sent = {"target_directory_id": here.rsplit("/", 1)[-1], "unique_id": "u"}
        moved = await http.patch(f"{here}/files/{file['id']}", json=sent)
        assert (moved.status_code, moved.json()["unique_id"]) == (200, "u")

    async def test_a_unique_id_that_is_taken_there_is_409(self, http: httpx.AsyncClient) -> None:
        here, there = await directory(http), await directory(http)
        file, _ = await placed(http, here, "a"), await placed(http, there, "a")
        sent = {"target_directory_id": there.rsplit("/", 1)[-1]}
        refused = await http.patch(f"{here}/files/{file['id']}", json=sent)
        assert (refused.status_code, refused.headers["x-should-retry"]) == (409, "false")
        assert await names(http, here) == ["a"]
        moved = await http.patch(f"{here}/files/{file['id']}", json={**sent, "unique_id": "a2"})
        assert moved.json()["unique_id"] == "a2"

    async def test_nothing_leaves_a_directory_that_a_batch_reads(
        self, http: httpx.AsyncClient, resources: Resources
    ) -> None:
        here, there = await directory(http), await directory(http)
        file = await placed(http, here, "a")
        batch = await opened(http, here)
        sent = {"target_directory_id": there.rsplit("/", 1)[-1]}
        refused = await http.patch(f"{here}/files/{file['id']}", json=sent)
        assert refused.status_code == 409
        assert batch in refused.json()["detail"]
        await cancelled(http, resources, batch)
        assert (await http.patch(f"{here}/files/{file['id']}", json=sent)).status_code == 200

    async def test_a_batch_over_the_other_directory_does_not_get_it(
        self, http: httpx.AsyncClient, resources: Resources
    ) -> None:
        here, there = await directory(http), await directory(http)
        file, _ = await placed(http, here, "a"), await placed(http, there, "b")
        await opened(http, there)
        sent = {"target_directory_id": there.rsplit("/", 1)[-1]}
        assert (await http.patch(f"{here}/files/{file['id']}", json=sent)).status_code == 200
        async with resources.unit_of_work() as uow:
            rows = await uow.session.execute(
                text(
                    "SELECT f.display_name FROM directory_files f JOIN batches b"
                    " ON b.source_directory_id = f.directory_id AND f.pos <= b.last_pos"
                )
            )
            assert list(rows.scalars()) == ["b"]

    async def test_two_directories_that_swap_do_not_wait_for_each_other(
        self, http: httpx.AsyncClient
    ) -> None:
        here, there = await directory(http), await directory(http)
        ours = [await placed(http, here, f"a{n}") for n in range(8)]
        theirs = [await placed(http, there, f"b{n}") for n in range(8)]
        found = await asyncio.gather(
            *(
                http.patch(
                    f"{source}/files/{file['id']}", json={"target_directory_id": target.rsplit("/", 1)[-1]}
                )
                for files, source, target in ((ours, here, there), (theirs, there, here))
                for file in files
            )
        )
        assert [one.status_code for one in found] == [200] * 16
        assert sorted(await names(http, here)) == [f"b{n}" for n in range(8)]

    @pytest.mark.parametrize("target", ["dir-00000000-0000-0000-0000-000000000000", "nothing"])
    async def test_a_directory_that_is_not_there_is_404(self, http: httpx.AsyncClient, target: str) -> None:
        here = await directory(http)
        file = await placed(http, here, "a")
        found = await http.patch(f"{here}/files/{file['id']}", json={"target_directory_id": target})
        assert found.status_code == 404
        assert await names(http, here) == ["a"]


class TestBulkDelete:
    async def test_many_are_deleted_at_once(self, http: httpx.AsyncClient) -> None:
        here = await directory(http)
        files = [(await placed(http, here, f"f{n}"))["id"] for n in range(3)]
        sent = {"directory_file_ids": [files[0], files[1].removeprefix("dfl-"), files[0]]}
        gone = await http.post(f"{here}/files/bulk-delete", json=sent)
        assert (gone.status_code, gone.content) == (204, b"")
        assert await names(http, here) == ["f2"]
        assert len(await names(http, here, include_deleted=True)) == 3
        # Its unique_id is free again.
        await placed(http, here, "other", unique_id="f0")

    async def test_one_that_is_not_there_keeps_them_all(self, http: httpx.AsyncClient) -> None:
        here, there = await directory(http), await directory(http)
        mine, other = await placed(http, here, "a"), await placed(http, there, "b")
        for strange in (other["id"], "dfl-00000000-0000-0000-0000-000000000000", "x"):
            sent = {"directory_file_ids": [mine["id"], strange]}
            assert (await http.post(f"{here}/files/bulk-delete", json=sent)).status_code == 404
        assert (await names(http, here), await names(http, there)) == (["a"], ["b"])

    @pytest.mark.parametrize("count", [0, 101])
    async def test_one_to_a_hundred_may_be_named(self, http: httpx.AsyncClient, count: int) -> None:
        here = await directory(http)
        sent = {"directory_file_ids": ["dfl-00000000-0000-0000-0000-000000000000"] * count}
        found = await http.post(f"{here}/files/bulk-delete", json=sent)
        assert found.status_code == 422
        assert found.json()["detail"][0]["loc"] == ["body", "directory_file_ids"]
