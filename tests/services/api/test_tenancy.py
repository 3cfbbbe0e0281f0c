"""A tenant sees only itself: what is another project's is 404 on every page, and in no list."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from services.api.app import create_app
from shared.config import Settings
from tests.conftest import Tenant

FAST = {"product_type": "parse_v2", "tier": "fast", "version": "latest"}
SCHEMA = {"data_schema": {"type": "object", "properties": {"total": {"type": "number"}}}}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("patch", "/api/v1/beta/directories/{directory_id}"): {"json": {"name": "stolen"}},
    ("post", "/api/v1/beta/directories/{directory_id}/files"): {"json": {"file_id": "{own_file}"}},
    ("post", "/api/v1/beta/directories/{directory_id}/files/upload"): {"files": {"upload_file": ("a", b"x")}},
    ("patch", "/api/v1/beta/directories/{directory_id}/files/{directory_file_id}"): {
        "json": {"display_name": "stolen"}
    },
    ("post", "/api/v1/beta/directories/{directory_id}/files/bulk-delete"): {
        "json": {"directory_file_ids": ["dfl-00000000-0000-0000-0000-000000000000"]}
    },
    ("put", "/api/v1/beta/configurations/{config_id}"): {"json": {"name": "stolen"}},
    ("put", "/api/v1/beta/webhook-configs/{config_id}"): {"json": {"webhook_url": "https://stolen.test/"}},
    ("patch", "/api/v2/batches/{batch_id}"): {"json": {"failure_threshold": None}},
}


@dataclass
class Owned:
    """The ids of one of each thing."""

    ids: dict[str, str]

    def fill(self, path: str) -> str:
        job = self.ids["extract_id" if "/extract/" in path else "job_id"]
        config = self.ids["webhook_id" if "/webhook-configs/" in path else "config_id"]
        return path.format(**{**self.ids, "job_id": job, "config_id": config})


async def make_all(http: httpx.AsyncClient) -> Owned:
    async def made(path: str, **sent: Any) -> dict[str, Any]:
        found = await http.post(path, **sent)
        assert found.is_success, found.text
        return dict(found.json())

    directory = await made("/api/v1/beta/directories", json={"name": "d"})
    upload = f"/api/v1/beta/directories/{directory['id']}/files/upload"
    entry = await made(upload, files={"upload_file": ("a", b"x")})
    file = await made("/api/v1/beta/files", files={"file": ("f", b"x")}, data={"purpose": "parse"})
    config = await made("/api/v1/beta/configurations", json={"name": "n", "parameters": FAST})
    webhook = await made("/api/v1/beta/webhook-configs", json={"webhook_url": "https://ours.test/"})
    job = {"type": "parse_v2", "configuration_id": config["id"]}
    batch = await made(
        "/api/v2/batches", json={"source_directory_id": directory["id"], "config": {"job": job}}
    )
    parse = await made("/api/v2/parse", json={"file_id": file["id"], "tier": "fast", "version": "latest"})
    extract = await made("/api/v2/extract", json={"file_input": file["id"], "configuration": SCHEMA})
    return Owned(
        {
            "project_id": directory["project_id"],
            "directory_id": directory["id"],
            "directory_file_id": entry["id"],
            "file_id": file["id"],
            "config_id": config["id"],
            "webhook_id": webhook["id"],
            "batch_id": batch["id"],
            "job_id": parse["id"],
            "extract_id": extract["id"],
        }
    )


@pytest.fixture
async def theirs(api_url: str, neighbour: Tenant) -> Owned:
    """What the neighbour has."""
    headers = {"authorization": f"Bearer {neighbour.key}"}
    async with httpx.AsyncClient(base_url=api_url, headers=headers, timeout=60) as their_http:
        return await make_all(their_http)


@pytest.fixture
async def ours(http: httpx.AsyncClient) -> Owned:
    """What we have."""
    return await make_all(http)


ADMIN = "/api/v1/admin/"


def every_page() -> list[tuple[str, str]]:
    paths = create_app(Settings(secret_key="x")).openapi()["paths"]  # type: ignore[arg-type]
    return [(method, path) for path, methods in paths.items() for method in methods]


def pages() -> list[tuple[str, str]]:
    """Those of tenants."""
    return [(method, path) for method, path in every_page() if not path.startswith(ADMIN)]


def with_an_id() -> list[tuple[str, str]]:
    found = [page for page in pages() if "{" in page[1] and not page[1].endswith(("/download", "/{part}"))]
    assert len(found) > 15
    return found


def filled(value: Any, ours: Owned) -> Any:
    return value.format(own_file=ours.ids["file_id"]) if isinstance(value, str) else value


async def test_what_is_theirs_is_404_on_every_page(
    http: httpx.AsyncClient, ours: Owned, theirs: Owned
) -> None:
    for method, path in with_an_id():
        sent = BODIES.get((method, path), {})
        if "json" in sent:
            sent = {"json": {k: filled(v, ours) for k, v in sent["json"].items()}}
        found = await http.request(method, theirs.fill(path), **sent)
        assert found.status_code == 404, (method, path, found.text)


async def test_operators_pages_tell_a_project_key_nothing(
    http: httpx.AsyncClient, ours: Owned, theirs: Owned
) -> None:
    """403 whatever the id: whether a thing is there is not told either."""
    asked = [page for page in every_page() if page[1].startswith(ADMIN)]
    assert len(asked) > 20
    for owned in (ours, theirs):
        ids = {
            **dict.fromkeys(("key_id", "worker_id", "chunk_id", "job_type", "delivery_id"), "1"),
            **owned.ids,
        }
        for method, path in asked:
            found = await http.request(method, path.format(**ids), json={"name": "x"})
            assert found.status_code == 403, (method, path, found.text)


async def test_our_directory_does_not_show_their_file(
    http: httpx.AsyncClient, ours: Owned, theirs: Owned
) -> None:
    mixed = f"/api/v1/beta/directories/{ours.ids['directory_id']}/files"
    for method, sent in (("GET", {}), ("PATCH", {"json": {"display_name": "x"}}), ("DELETE", {})):
        found = await http.request(method, f"{mixed}/{theirs.ids['directory_file_id']}", **sent)  # type: ignore[arg-type]
        assert found.status_code == 404
    found = await http.post(mixed, json={"file_id": theirs.ids["file_id"]})
    assert found.status_code == 404
    named = [ours.ids["directory_file_id"], theirs.ids["directory_file_id"]]
    found = await http.post(f"{mixed}/bulk-delete", json={"directory_file_ids": named})
    assert found.status_code == 404
    elsewhere = {"target_directory_id": theirs.ids["directory_id"]}
    found = await http.patch(f"{mixed}/{ours.ids['directory_file_id']}", json=elsewhere)
    assert found.status_code == 404
    assert (await http.get(f"{mixed}/{ours.ids['directory_file_id']}")).status_code == 200


async def test_their_ids_open_nothing_of_ours(http: httpx.AsyncClient, ours: Owned, theirs: Owned) -> None:
    for directory, config in (("ours", "theirs"), ("theirs", "ours")):
        owned = {"ours": ours, "theirs": theirs}
        job = {"type": "parse_v2", "configuration_id": owned[config].ids["config_id"]}
        body = {"source_directory_id": owned[directory].ids["directory_id"], "config": {"job": job}}
        assert (await http.post("/api/v2/batches", json=body)).status_code == 404
    good = {"tier": "fast", "version": "latest"}
    asked: list[dict[str, str]] = [
        {**good, "file_id": theirs.ids["file_id"]},
        {**good, "file_id": theirs.ids["directory_file_id"]},
        {"file_id": ours.ids["file_id"], "configuration_id": theirs.ids["config_id"]},
    ]
    for one in asked:
        assert (await http.post("/api/v2/parse", json=one)).status_code == 404
    inputs = ("file_id", "directory_file_id", "job_id")
    named = [theirs.ids[name] for name in inputs]
    for text in (*named, *(one.split("-", 1)[1] for one in named)):
        body = {"file_input": text, "configuration": SCHEMA}
        found = await http.post("/api/v2/extract", json=body)
        assert found.status_code == 404, (text, found.text)
    body = {"file_input": ours.ids["file_id"], "configuration_id": theirs.ids["config_id"]}
    assert (await http.post("/api/v2/extract", json=body)).status_code == 404
    body = {**SCHEMA, "parse_config_id": theirs.ids["config_id"]}
    body = {"file_input": ours.ids["file_id"], "configuration": body}
    assert (await http.post("/api/v2/extract", json=body)).status_code == 404


async def test_no_list_shows_what_is_theirs(http: httpx.AsyncClient, ours: Owned, theirs: Owned) -> None:
    lists = [path for method, path in pages() if method == "get" and "{" not in path]
    checked = 0
    for path in lists:
        if not path.startswith("/api") or path.endswith("/versions"):
            continue
        found = await http.get(path, params={"include_total": "true", "include_deleted": "true"})
        body = found.json()
        items = body if isinstance(body, list) else body["items"]
        assert {item.get("project_id", item["id"]) for item in items} <= {
            ours.ids["project_id"],
            *ours.ids.values(),
        }
        assert not any(their_id in found.text for their_id in theirs.ids.values()), path
        checked += 1
    assert checked >= 7
    ids = {"file_ids": theirs.ids["file_id"]}
    assert (await http.get("/api/v1/beta/files", params=ids)).json()["items"] == []
    ids = {"job_ids": theirs.ids["job_id"]}
    assert (await http.get("/api/v2/parse", params=ids)).json()["items"] == []
    for params in (
        {"job_ids": theirs.ids["extract_id"]},
        {"file_input": theirs.ids["file_id"]},
        {"configuration_id": theirs.ids["config_id"]},
    ):
        assert (await http.get("/api/v2/extract", params=params)).json()["items"] == []


async def test_ids_count_with_and_without_prefix(http: httpx.AsyncClient, ours: Owned) -> None:
    gets = [path for method, path in with_an_id() if method == "get" and not path.endswith("/content")]
    bare = Owned({name: text.split("-", 1)[1] for name, text in ours.ids.items()})
    for path in gets:
        assert (await http.get(ours.fill(path))).json() == (await http.get(bare.fill(path))).json()


async def test_odd_ids_are_the_ids_of_nothing(http: httpx.AsyncClient) -> None:
    odd = ("x", "prj-", "%00", "%ff", "bat-bat-x", "..%2f", "'; drop", "{0}", "x" * 5_000, "%F0%9F%92%A9")
    for method, path in with_an_id():
        for text in odd:
            names = (
                "project_id",
                "directory_id",
                "directory_file_id",
                "file_id",
                "config_id",
                "batch_id",
                "job_id",
            )
            filled = path.format(**dict.fromkeys(names, text))
            found = await http.request(method, filled, **BODIES.get((method, path), {}))
            assert found.status_code == 404, (method, path, text, found.text)
