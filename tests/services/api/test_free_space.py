"""Uploads end before the disk does."""

import httpx
import pytest

from services.api.free_space import FreeSpace
from shared.config import Settings
from shared.errors import StorageFull
from tests.conftest import Server, Tenant
from tests.twins import HeardBells

UPLOADS = {
    "/api/v1/beta/files": ("file", {"purpose": "parse"}),
    "/api/v2/parse/upload": ("file", {"configuration": '{"tier": "fast", "version": "latest"}'}),
}


async def test_a_full_disk_refuses_uploads_and_serves_the_rest(
    settings: Settings, bells: HeardBells, tenant: Tenant, operator_key: str
) -> None:
    storage = settings.storage.model_copy(update={"min_free_bytes": 1 << 62})
    server = Server(settings.model_copy(update={"storage": storage}), bells)
    await server.start()
    headers = {"authorization": f"Bearer {tenant.key}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:
        made = await client.post("/api/v1/beta/directories", json={"name": "d"})
        directory = made.json()["id"]
        uploads = UPLOADS | {f"/api/v1/beta/directories/{directory}/files/upload": ("upload_file", {})}
        for path, (field, form) in uploads.items():
            refused = await client.post(path, files={field: ("f.txt", b"words")}, data=form)
            assert (refused.status_code, refused.headers["retry-after"]) == (507, "30"), path
            detail = refused.json()["detail"]
            assert "BATCHMILL_STORAGE__MIN_FREE_BYTES" in detail
            assert f"{1 << 62:,} must stay free" in detail
        assert (await client.get("/api/v1/beta/files")).json()["items"] == []
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["checks"]["space"].startswith("uploads are refused")

        job = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}
        batch = await client.post(
            "/api/v2/batches", json={"source_directory_id": directory, "config": {"job": job}}
        )
        assert batch.status_code == 201, batch.text
        told = await client.get(
            f"/api/v1/admin/batches/{batch.json()['id']}/explain",
            headers={"authorization": f"Bearer {operator_key}"},
        )
        (space,) = [check for check in told.json()["checks"] if check["name"] == "space"]
        assert not space["ok"]
    await server.stop()


async def test_what_is_announced_counts_and_nobody_asks_the_disk_each_time() -> None:
    asked = 0

    def ask() -> int | None:
        nonlocal asked
        asked += 1
        return 1_000

    space = FreeSpace(ask, 600)
    await space.insist("400")
    await space.insist(None)
    with pytest.raises(StorageFull, match=r"1,000 bytes are free, this upload brings 401"):
        await space.insist("401")
    assert await space.shortage() is None
    assert asked == 1
    await FreeSpace(lambda: None, 600).insist("9999999")
    await FreeSpace(ask, 0).insist("9999999")


async def test_a_folder_that_is_not_there_is_not_a_full_one() -> None:
    def ask() -> int | None:
        raise FileNotFoundError

    await FreeSpace(ask, 600).insist("1")
