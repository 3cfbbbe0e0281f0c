"""Every route under /admin: 401 without a key, 403 with a project's, 2xx with an operator's; and every write
leaves one audit event, a refused one none."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from services.api.app import create_app
from shared.config import Settings
from tests.services.api.admin.conftest import ADMIN, DOCUMENTS, Rows


@dataclass(frozen=True)
class Entry:
    """What is sent to a route, and for a write the event it leaves and something that is refused."""

    status: int = 200
    body: dict[str, Any] | None = None
    action: str | None = None
    target: str = ""
    refused_with: dict[str, Any] | None = field(default=None)
    refused_as: int = 404


READ = Entry()
FOREIGN: dict[str, Any] = {
    "name": "theirs",
    "parameters": {"product_type": "parse_v2", "tier": "fast", "version": "latest"},
    "version": "2026-01-01T00:00:00Z",
}
MADE_UNDER_ITS_ID = "/configurations/{config_id}"
"""What is not there yet is what it is for."""
# A route without an entry here fails `test_every_route_has_an_entry`.
ROUTES: dict[tuple[str, str], Entry] = {
    ("GET", "/organizations"): READ,
    ("POST", "/organizations"): Entry(201, {"name": "new"}, "organization.create", "org-", {}, 422),
    ("GET", "/projects"): READ,
    ("POST", "/projects"): Entry(
        201, {"name": "new"}, "project.create", "prj-", {"name": "n", "organization_id": "org-none"}
    ),
    ("GET", "/projects/{project_id}"): READ,
    ("GET", "/projects/{project_id}/retention"): READ,
    ("PUT", "/projects/{project_id}/retention"): Entry(
        200, {"results_days": 30}, "retention.set", "prj-", {"results_days": 0}, 422
    ),
    ("GET", "/projects/{project_id}/purge"): Entry(404),
    ("POST", "/projects/{project_id}/purge"): Entry(202, None, "project.purge", "prj-"),
    ("GET", "/keys"): READ,
    ("POST", "/keys"): Entry(
        201, {"name": "new", "role": "operator"}, "key.create", "key-", {"name": "n", "role": "project"}, 422
    ),
    ("POST", "/keys/{key_id}/rotate"): Entry(201, None, "key.rotate", "key-", {"overlap_seconds": -1}, 422),
    ("POST", "/keys/{key_id}/revoke"): Entry(200, None, "key.revoke", "key-"),
    ("PUT", "/keys/{key_id}/limits"): Entry(
        200, {"requests_per_minute": 600}, "key.limit", "key-", {"requests_per_minute": -1}, 422
    ),
    ("PUT", "/configurations/{config_id}"): Entry(
        200, FOREIGN, "configuration.import", "cfg-", {**FOREIGN, "name": ""}, 422
    ),
    ("GET", "/projects/{project_id}/lanes/{job_type}"): READ,
    ("PUT", "/projects/{project_id}/lanes/{job_type}"): Entry(
        200, {"max_jobs": 3}, "lane.set", "prj-", {"max_jobs": 0}, 422
    ),
    ("GET", "/directories"): READ,
    ("POST", "/directories"): Entry(
        201, {"name": "new", "url": str(DOCUMENTS)}, "directory.add", "dir-", {"name": "n", "url": "/"}, 400
    ),
    ("POST", "/directories/{directory_id}/sync"): Entry(200, None, "directory.sync", "dir-"),
    ("GET", "/batches"): READ,
    ("GET", "/batches/{batch_id}"): READ,
    ("GET", "/batches/{batch_id}/explain"): READ,
    ("POST", "/batches/{batch_id}/cancel"): Entry(200, None, "batch.cancel", "bat-"),
    ("GET", "/jobs"): READ,
    ("GET", "/jobs/{job_id}"): READ,
    ("POST", "/jobs/{job_id}/retry"): Entry(200, None, "job.retry", "pjb-"),
    ("GET", "/chunks"): READ,
    ("POST", "/chunks/{chunk_id}/release"): Entry(200, None, "chunk.release", "chunk-"),
    ("GET", "/workers"): READ,
    ("POST", "/workers/{worker_id}/drain"): Entry(
        200, None, "worker.drain", "wrk-", {"drain": "perhaps"}, 422
    ),
    ("GET", "/queues"): READ,
    ("GET", "/webhook-deliveries"): READ,
    ("POST", "/webhook-deliveries/{delivery_id}/replay"): Entry(200, None, "webhook.replay", "whd-"),
    ("GET", "/audit"): READ,
    ("GET", "/health"): READ,
}
WRITES = [route for route, entry in ROUTES.items() if entry.action]


def served() -> set[tuple[str, str]]:
    paths = create_app(Settings(secret_key="x")).openapi()["paths"]  # type: ignore[arg-type]
    return {
        (method.upper(), path.removeprefix(ADMIN))
        for path, methods in paths.items()
        for method in methods
        if path.startswith(ADMIN)
    }


def test_every_route_has_an_entry() -> None:
    assert served() == ROUTES.keys()
    assert {route for route in ROUTES if route[0] != "GET"} == set(WRITES), "a write names its event"


async def test_a_route_opens_to_an_operator_only(
    admin: httpx.AsyncClient,
    http: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    made: dict[str, str],
    rows: Rows,
) -> None:
    for (method, path), entry in ROUTES.items():
        filled = path.format(**made)
        for client, status in ((anonymous, 401), (http, 403)):
            found = await client.request(method, ADMIN + filled, json=entry.body)
            assert found.status_code == status, (method, path, found.text)
            assert "key" in found.json()["detail"]
        if entry.action is None:
            found = await admin.request(method, filled)
            assert found.status_code == entry.status, (method, path, found.text)
    assert await rows.one("SELECT count(*) FROM audit_events") == 0


@pytest.mark.parametrize("route", WRITES, ids=[f"{method} {path}" for method, path in WRITES])
async def test_a_write_leaves_one_event_and_a_refused_one_none(
    route: tuple[str, str], admin: httpx.AsyncClient, made: dict[str, str], rows: Rows
) -> None:
    entry = ROUTES[route]
    nobody = dict.fromkeys(made, "0" * 8 + "-0000-0000-0000-" + "0" * 12) | {"chunk_id": "999999999"}
    ids = nobody if entry.refused_as == 404 else made
    refused = await admin.request(route[0], route[1].format(**ids), json=entry.refused_with)
    assert refused.status_code == entry.refused_as, refused.text
    assert await rows.one("SELECT count(*) FROM audit_events") == 0

    done = await admin.request(
        route[0], route[1].format(**made), json=entry.body, headers={"x-request-id": "asked-for"}
    )
    assert done.status_code == entry.status, done.text
    (event,) = await rows.all(
        "SELECT e.*, k.role FROM audit_events e LEFT JOIN api_keys k ON k.id = e.key_id"
    )
    assert (event.action, event.role) == (entry.action, "operator")
    assert event.target.startswith(entry.target)
    assert (event.request_id, event.address) == ("asked-for", "127.0.0.1")
    token = done.json().get("token")
    assert token is None or token not in str(event.detail)


async def test_what_is_not_there_is_404(admin: httpx.AsyncClient, made: dict[str, str]) -> None:
    with_an_id = [route for route in ROUTES if "{" in route[1] and route[1] != MADE_UNDER_ITS_ID]
    assert len(with_an_id) > 10
    for method, path in with_an_id:
        for odd in ("x", "0" * 8 + "-0000-0000-0000-" + "0" * 12, "9" * 30, "%00", "-1", "pjb-pjb-x"):
            filled = path.format(**dict.fromkeys(made, odd))
            found = await admin.request(method, filled, json=ROUTES[(method, path)].body)
            assert found.status_code == 404, (method, path, odd, found.text)


async def test_what_cannot_be_stored_leaves_neither_deed_nor_event(
    admin: httpx.AsyncClient, rows: Rows
) -> None:
    name = "n" * 200
    assert (await admin.post("/organizations", json={"name": name + "n"})).status_code == 422
    assert (await admin.post("/organizations", json={"name": "a\u0000b"})).status_code == 400
    assert await rows.one("SELECT count(*) FROM audit_events") == 0
    assert (await admin.post("/organizations", json={"name": name})).status_code == 201
