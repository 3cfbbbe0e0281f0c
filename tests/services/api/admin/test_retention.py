"""Retention and purge through the operator's door."""

import asyncio

import httpx

from services.worker.upkeep.clean import Cleaner
from shared.config import Settings
from shared.wiring import Resources
from tests.services.api.admin.conftest import Rows

EVER = {"results_days": None, "jobs_days": None, "batches_days": None, "files_days": None}


async def test_terms_are_for_ever_until_they_are_set_and_set_whole(
    admin: httpx.AsyncClient, made: dict[str, str], rows: Rows
) -> None:
    path = f"/projects/{made['project_id']}/retention"
    assert (await admin.get(path)).json() == EVER
    body = {"results_days": 30, "files_days": 7}
    assert (await admin.put(path, json=body)).json() == EVER | body
    assert (await admin.put(path, json={"files_days": 8})).json() == EVER | {"files_days": 8}
    assert (await admin.get(path)).json() == EVER | {"files_days": 8}
    (first, second) = await rows.all("SELECT detail FROM audit_events ORDER BY id")
    assert first.detail == EVER | body | {"before": EVER}
    assert second.detail["before"] == EVER | body
    for odd in ({"result_days": 1}, {"results_days": 10_001}, {"results_days": "x"}, {"jobs_days": 0.5}):
        assert (await admin.put(path, json=odd)).status_code == 422, odd


async def test_a_purge_ends_and_goes_on_telling(
    admin: httpx.AsyncClient,
    http: httpx.AsyncClient,
    made: dict[str, str],
    rows: Rows,
    resources: Resources,
    settings: Settings,
) -> None:
    path = f"/projects/{made['project_id']}/purge"
    assert (await admin.get(path)).status_code == 404
    asked = await admin.post(path)
    assert (asked.status_code, asked.json()["state"], asked.json()["name"]) == (202, "ROWS", "ours")
    assert (await http.get("/api/v1/beta/files")).status_code == 401, "its keys are gone"
    assert (await admin.get(f"/projects/{made['project_id']}")).status_code == 404
    assert (await admin.get("/projects", params={"name": "ours"})).json()["items"] == []
    other = await admin.put(f"/projects/{made['project_id']}/retention", json={})
    assert other.status_code == 404

    cleaner = Cleaner(resources)
    async with asyncio.timeout(30):
        while (found := (await admin.get(path)).json())["state"] != "DONE":
            async with resources.unit_of_work() as uow:
                await cleaner.purge(uow)
            await asyncio.sleep(0.05)
    assert (found["blobs_gone"], found["bytes_gone"]) == (1, 1)
    again = await admin.post(path)
    assert (again.status_code, again.json()) == (200, found)
    assert await rows.one("SELECT count(*) FROM projects WHERE name = 'ours'") == 0
    events = await rows.all("SELECT action, detail FROM audit_events")
    assert [(one.action, one.detail) for one in events] == [("project.purge", {"name": "ours"})]


async def test_the_default_project_stays(admin: httpx.AsyncClient, rows: Rows) -> None:
    await admin.post("/projects", json={"name": "makes the default organisation"})
    (default,) = [one for one in (await admin.get("/projects")).json()["items"] if one["is_default"]]
    refused = await admin.post(f"/projects/{default['id']}/purge")
    assert (refused.status_code, refused.headers["x-should-retry"]) == (409, "false")
    assert await rows.one("SELECT count(*) FROM purges") == 0
