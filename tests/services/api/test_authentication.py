"""Who is let in, and to which project."""

import re

import httpx
import pytest
from fastapi.routing import APIRoute

from services.api.app import create_app
from shared.config import Settings
from shared.ids import Kind, show
from tests.conftest import Tenant

DIRECTORIES = "/api/v1/beta/directories"
OPEN = {
    "/health",
    "/ready",
    "/metrics",
    "/api/v1/beta/files/{file_id}/download",
    "/api/v2/parse/{job_id}/content/{part}",
}


def routes() -> list[tuple[str, str]]:
    """Every route of the application, by method and path."""
    app = create_app(Settings(secret_key="x"))  # type: ignore[arg-type]
    found = [(method, path) for path, operations in app.openapi()["paths"].items() for method in operations]
    assert len(found) > 25
    return found


async def test_every_page_wants_a_key(anonymous: httpx.AsyncClient) -> None:
    for method, path in routes():
        found = await anonymous.request(method, re.sub(r"\{\w+\}", "x", path))
        if path in OPEN:
            assert found.status_code != 401, path
            continue
        assert found.status_code == 401, (method, path)
        assert found.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer" in found.json()["detail"]


@pytest.mark.parametrize("header", ["Bearer nobody", "Bearer", "Basic dTpw", "bmk_x", "Bearer \xff"])
async def test_a_wrong_key_is_refused(anonymous: httpx.AsyncClient, header: str) -> None:
    found = await anonymous.get(DIRECTORIES, headers=[(b"authorization", header.encode("latin-1"))])
    assert found.status_code == 401


async def test_the_scheme_is_written_as_one_likes(anonymous: httpx.AsyncClient, tenant: Tenant) -> None:
    for scheme in ("Bearer", "bearer", "BEARER "):
        headers = {"authorization": f"{scheme} {tenant.key}"}
        assert (await anonymous.get(DIRECTORIES, headers=headers)).status_code == 200


async def test_the_cookie_counts_when_no_header_does(anonymous: httpx.AsyncClient, tenant: Tenant) -> None:
    cookie = {"cookie": f"session={tenant.key}"}
    assert (await anonymous.get(DIRECTORIES, headers=cookie)).status_code == 200
    both = {**cookie, "authorization": "Bearer nobody"}
    assert (await anonymous.get(DIRECTORIES, headers=both)).status_code == 401


async def test_a_key_may_say_its_project_and_no_other(
    http: httpx.AsyncClient, tenant: Tenant, neighbour: Tenant
) -> None:
    for said in (str(tenant.project_id), show(Kind.PROJECT, tenant.project_id), ""):
        assert (await http.get(DIRECTORIES, params={"project_id": said})).status_code == 200
    for foreign in (str(neighbour.project_id), "prj-x"):
        assert (await http.get(DIRECTORIES, params={"project_id": foreign})).status_code == 404


async def test_an_operator_names_the_project(
    anonymous: httpx.AsyncClient, tenant: Tenant, operator_key: str
) -> None:
    headers = {"authorization": f"Bearer {operator_key}"}
    unnamed = await anonymous.get(DIRECTORIES, headers=headers)
    assert unnamed.status_code == 400
    assert "project_id" in unnamed.json()["detail"]
    params = {"project_id": str(tenant.project_id)}
    made = await anonymous.post(DIRECTORIES, json={"name": "d"}, headers=headers, params=params)
    assert made.status_code == 201
    assert made.json()["project_id"] == show(Kind.PROJECT, tenant.project_id)


def test_no_route_commits_after_its_answer() -> None:
    """A dependency of request scope would commit too late for a failure to be told."""
    app = create_app(Settings(secret_key="x"))  # type: ignore[arg-type]
    checked = 0
    pages = [route for route in _flat(app.routes) if isinstance(route, APIRoute)]
    for route in pages:
        waiting = list(route.dependant.dependencies)
        while waiting:
            dependant = waiting.pop()
            waiting += dependant.dependencies
            if getattr(dependant.call, "__name__", "") == "unit_of_work":
                checked += 1
                assert dependant.scope == "function"
    assert checked > len(pages) / 2


def _flat(routes: object) -> list[object]:
    found: list[object] = []
    for route in routes:  # type: ignore[attr-defined]
        found.append(route)
        found += _flat(getattr(getattr(route, "original_router", None), "routes", None) or [])
    return found
