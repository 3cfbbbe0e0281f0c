"""Directories by reference over HTTP: what an operator adds, and what a project sees of it."""

from pathlib import Path

import httpx
import pytest
from llama_cloud import ConflictError, LlamaCloud, NotFoundError

from shared import ids
from shared.config import Settings
from tests.conftest import Tenant


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "root" / "papers"
    made.mkdir(parents=True)
    (made / "a.txt").write_text("words of a")
    (made / ".hidden").touch()
    return made


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    settings.storage.roots = [str(folder.parent)]
    return settings


@pytest.fixture
def asked(tenant: Tenant, folder: Path) -> dict[str, str]:
    return {
        "project_id": ids.show(ids.Kind.PROJECT, tenant.project_id),
        "name": "papers",
        "url": str(folder),
    }


async def test_a_project_sees_the_files_and_may_not_add_to_them(
    admin: httpx.AsyncClient,
    client: LlamaCloud,
    stranger: LlamaCloud,
    asked: dict[str, str],
    folder: Path,
) -> None:
    added = (await admin.post("/directories", json=asked)).raise_for_status().json()
    assert (added["files"], added["bytes"], added["left_out"]) == (1, 10, {"hidden": 1})
    directory = client.beta.directories.get(added["id"])
    assert directory.to_dict()["source_url"] == folder.as_uri()
    (file,) = client.beta.directories.files.list(added["id"], expand=["download_url"])
    assert (file.unique_id, file.display_name) == ("a.txt", "a.txt")
    assert file.download_url is not None
    assert (await admin.get(file.download_url.url)).content == b"words of a"
    with pytest.raises(ConflictError, match="read in place"):
        client.beta.directories.files.upload(added["id"], upload_file=("b.txt", b"x"))
    stored = client.files.create(file=("c.txt", b"x"), purpose="parse")
    with pytest.raises(ConflictError, match="read in place"):
        client.beta.directories.files.add(added["id"], file_id=stored.id)
    with pytest.raises(ConflictError, match="read in place"):
        client.beta.directories.files.update(file.id, directory_id=added["id"], unique_id="z")
    with pytest.raises(NotFoundError):
        stranger.beta.directories.get(added["id"])
    (folder / "a.txt").write_text("other words")
    assert (await admin.get(file.download_url.url)).status_code == httpx.codes.NOT_FOUND
    client.beta.directories.delete(added["id"])
    assert (folder / "a.txt").read_text() == "other words"


async def test_a_sync_says_what_it_found(
    admin: httpx.AsyncClient, asked: dict[str, str], folder: Path
) -> None:
    added = (await admin.post("/directories", json=asked)).json()
    (folder / "b.txt").write_text("new")
    found = (await admin.post(f"/directories/{added['id']}/sync")).json()
    assert found == {"new": 1, "changed": 0, "removed": 0, "same": 1, "left_out": {"hidden": 1}}
    (listed,) = (await admin.get("/directories")).json()["items"]
    assert listed["source_url"] == added["source_url"]


@pytest.mark.parametrize(
    "url", ["/etc", "papers", "/proc/self", "s3://bucket/x", "{folder}/../..", "{folder}no"]
)
async def test_a_place_outside_the_roots_is_refused(
    admin: httpx.AsyncClient, asked: dict[str, str], folder: Path, url: str
) -> None:
    found = await admin.post("/directories", json={**asked, "url": url.format(folder=folder)})
    assert found.status_code == 400
    assert "absolute" in found.text or "BATCHMILL_STORAGE__ROOTS" in found.text or "no folder" in found.text


async def test_a_root_that_is_away_is_503(
    admin: httpx.AsyncClient, asked: dict[str, str], folder: Path, tmp_path: Path
) -> None:
    added = (await admin.post("/directories", json=asked)).json()
    folder.parent.rename(tmp_path / "away")
    assert (await admin.post(f"/directories/{added['id']}/sync")).status_code == 503
