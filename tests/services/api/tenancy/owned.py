"""One of everything that a project can own, over HTTP; and how its owner sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.services.api.tenancy.pages import PAGES, TENANTS_LISTS, Page

TIER = {"tier": "fast", "version": "latest"}
FAST = {"product_type": "parse_v2", **TIER}
SCHEMA = {"data_schema": {"type": "object", "properties": {"total": {"type": "number"}}}}
EVERYTHING = {"include_deleted": "true", "include_total": "true"}
MOVING = ("/content", "/download", "/{part}", "/ready", "/metrics", "/export", "/events")
"""What their pages say changes by itself, or is no JSON."""


@dataclass
class Owned:
    """A project's client, and the ids of two of each thing it made, by what they are ids of."""

    http: httpx.AsyncClient
    first: dict[str, str] = field(default_factory=dict)
    second: dict[str, str] = field(default_factory=dict)

    def ids(self, path: str) -> Mapping[str, str]:
        """The first ones, by the names that the parameters of this path have."""
        job = self.first["extract_job_id" if "/extract" in path else "parse_job_id"]
        config = self.first["webhook_id" if "/webhook-configs" in path else "config_id"]
        return {**self.first, "job_id": job, "config_id": config}

    async def view(self) -> dict[str, Any]:
        """Every answer that the owner gets on a page without side effects."""
        seen: dict[str, Any] = {}
        for page in PAGES:
            if page.method == "GET" and not page.path.endswith(MOVING):
                path = page.path.format_map(self.ids(page.path))
                answer = await self.http.get(path, params=EVERYTHING)
                assert answer.is_success, (page, answer.text)
                seen[path] = answer.json()
        return seen


async def make_all(http: httpx.AsyncClient) -> Owned:
    """Two of each, so that each list has a second page."""
    first, second = [await _one_of_each(http, name) for name in ("first", "second")]
    return Owned(http, first, second)


async def made(http: httpx.AsyncClient, path: str, **sent: Any) -> dict[str, Any]:
    """The thing that a request made."""
    found = await http.post(path, **sent)
    assert found.is_success, found.text
    return dict(found.json())


async def _one_of_each(http: httpx.AsyncClient, name: str) -> dict[str, str]:
    directory = await made(http, "/api/v1/beta/directories", json={"name": "d"})
    upload = f"/api/v1/beta/directories/{directory['id']}/files/upload"
    content = f"{directory['project_id']} {name}".encode()
    entry = await made(http, upload, files={"upload_file": ("a", content)})
    await made(http, upload, files={"upload_file": ("b", content)})
    sent = {"files": {"file": ("f", content)}, "data": {"purpose": "parse"}}
    file = await made(http, "/api/v1/beta/files", **sent)
    config = await made(http, "/api/v1/beta/configurations", json={"name": name, "parameters": FAST})
    job = {"type": "parse_v2", "configuration_id": config["id"]}
    batch = await made(
        http, "/api/v2/batches", json={"source_directory_id": directory["id"], "config": {"job": job}}
    )
    webhook = await made(http, "/api/v1/beta/webhook-configs", json={"webhook_url": f"https://{name}.test/"})
    extraction = {"name": name, "parameters": {"product_type": "extract_v2", **SCHEMA}}
    extract_config = await made(http, "/api/v1/beta/configurations", json=extraction)
    parse = await made(http, "/api/v2/parse", json={"file_id": file["id"], **TIER})
    extract = await made(http, "/api/v2/extract", json={"file_input": file["id"], "configuration": SCHEMA})
    return {
        "project_id": directory["project_id"],
        "directory_id": directory["id"],
        "directory_file_id": entry["id"],
        "file_id": file["id"],
        "config_id": config["id"],
        "webhook_id": webhook["id"],
        "extract_config_id": extract_config["id"],
        "batch_id": batch["id"],
        "parse_job_id": parse["id"],
        "extract_job_id": extract["id"],
    }


async def tokens_of(owner: Owned) -> dict[Page, str]:
    """A page token of each list that has one."""
    found: dict[Page, str] = {}
    for page in TENANTS_LISTS:
        path = page.path.format_map(owner.ids(page.path))
        body = (await owner.http.get(path, params={"page_size": 1})).json()
        if isinstance(body, dict) and body.get("next_page_token"):
            found[page] = body["next_page_token"]
    return found
