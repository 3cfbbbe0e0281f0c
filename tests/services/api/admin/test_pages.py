"""What the operator's lists and pages say, and the limits they set."""

from typing import Any

import httpx
import pytest

from tests.conftest import Tenant
from tests.services.api.admin.conftest import Rows
from tests.twins import HeardBells

LANE = "/projects/{project_id}/lanes/parse_v2"
OPEN = {
    "jobs_per_minute": None,
    "burst": 1,
    "max_jobs": None,
    "max_batches": None,
    "max_files": 1_000_000,
    "weight": 1.0,
    "hold": None,
}


async def items(client: httpx.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    found = await client.get(path, params=params)
    assert found.status_code == 200, found.text
    return list(found.json()["items"])


async def test_limits_are_replaced_whole(admin: httpx.AsyncClient, made: dict[str, str]) -> None:
    lane = LANE.format(**made)
    assert (await admin.get(lane)).json() == OPEN
    wanted = {**OPEN, "jobs_per_minute": 120, "burst": 2, "max_jobs": 8, "weight": 2.5}
    assert (await admin.put(lane, json=wanted)).json() == wanted
    assert (await admin.get(lane)).json() == wanted
    assert (await admin.put(lane, json={"max_jobs": 8})).json() == {**OPEN, "max_jobs": 8}
    last, first = await items(admin, "/audit", action="lane.set")
    assert first["target"] == f"{made['project_id']}/parse_v2"
    assert (first["detail"]["jobs_per_minute"], first["detail"]["before"]) == (120, OPEN)
    assert last["detail"]["before"] == wanted


async def test_a_hold_stands_until_it_is_over(
    admin: httpx.AsyncClient, made: dict[str, str], bells: HeardBells
) -> None:
    lane = LANE.format(**made)
    held = {"reason": "moving the bucket", "until": None}
    assert (await admin.put(lane, json={"hold": held})).json()["hold"] == held
    (parse,) = [q for q in await queues(admin) if q["queue"] == "parse"]
    assert parse["held_lanes"] == [
        {"project_id": made["project_id"], "job_type": "parse_v2", "reason": "moving the bucket"}
    ]
    until = {"reason": "r", "until": "2099-01-01T00:00:00Z"}
    assert (await admin.put(lane, json={"hold": until})).json()["hold"] == until
    over = await admin.put(lane, json={"hold": {"reason": "r", "until": "2020-01-01T00:00:00Z"}})
    assert over.status_code == 400
    assert "hold.until" in over.json()["detail"]
    assert (await admin.get(lane)).json()["hold"] == until, "a refusal changes nothing"
    assert (await admin.put(lane, json={})).json() == OPEN


async def queues(admin: httpx.AsyncClient) -> list[dict[str, Any]]:
    return await items(admin, "/queues")


@pytest.mark.parametrize(
    "body",
    [
        {"jobs_per_minute": 0},
        {"jobs_per_minute": 1.5},
        {"burst": None},
        {"max_jobs": -1},
        {"max_files": 2**31},
        {"weight": 0},
        {"weight": 1e-300},
        {"weight": 1e300},
        {"weight": "many"},
        {"hold": {"reason": ""}},
        {"hold": {"until": None}},
        {"jobs_per_minut": 3},
    ],
    ids=str,
)
async def test_limits_that_cannot_be_are_refused_with_their_field(
    admin: httpx.AsyncClient, made: dict[str, str], body: dict[str, Any]
) -> None:
    found = await admin.put(LANE.format(**made), json=body)
    assert found.status_code == 422, found.text
    assert next(iter(body)) in found.json()["detail"][0]["loc"]
    assert (await admin.get(LANE.format(**made))).json() == OPEN


async def test_batches_of_all_projects_are_found_by_what_they_wait_for(
    admin: httpx.AsyncClient, made: dict[str, str], neighbour: Tenant, rows: Rows
) -> None:
    (mine,) = await items(admin, "/batches")
    assert (mine["id"], mine["project_id"], mine["status"]) == (
        made["batch_id"],
        made["project_id"],
        "PENDING",
    )
    assert await items(admin, "/batches", project_id=f"prj-{neighbour.project_id}") == []
    assert await items(admin, "/batches", status="RUNNING") == []
    assert await items(admin, "/batches", waiting="PROJECT_RATE") == []
    await rows.all("UPDATE batches SET status = 'THROTTLED', wait = '{\"code\"\\: \"PAUSED\"}', total = 5")
    await rows.all('UPDATE lanes SET wait = \'{"code"\\: "PROJECT_RATE"}\'')
    for code in ("PAUSED", "PROJECT_RATE"):
        (found,) = await items(admin, "/batches", waiting=code)
        assert found["id"] == made["batch_id"]
    await rows.all("UPDATE batches SET fed_seq = 5")
    assert await items(admin, "/batches", waiting="PROJECT_RATE") == [], "nothing of it waits for the lane"


async def test_explain_says_what_is_missing(
    admin: httpx.AsyncClient, made: dict[str, str], rows: Rows, bells: HeardBells
) -> None:
    await rows.all("DELETE FROM chunks")
    await rows.all("DELETE FROM workers")
    await rows.all("UPDATE batches SET status = 'RUNNING', total = 3, spread_done = true")
    found = (await admin.get(f"/batches/{made['batch_id']}/explain")).json()
    assert set(found) == {"state", "waiting", "checks", "next_look_at"}
    assert (found["state"], found["waiting"]["code"]) == ("RUNNING", "NO_WORKER")
    assert {check["name"]: check["ok"] for check in found["checks"]}["workers"] is False
    assert found["next_look_at"] is not None
    bells.broker_up = False
    checks = (await admin.get(f"/batches/{made['batch_id']}/explain")).json()["checks"]
    assert {check["name"]: check["ok"] for check in checks}["broker"] is False


async def test_cancel_is_the_projects_own(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, made: dict[str, str], rows: Rows
) -> None:
    answer = await admin.post(f"/batches/{made['batch_id']}/cancel")
    assert answer.json()["stop_as"] == "CANCELLED"
    await rows.all(
        "UPDATE batches SET status = 'CANCELLED', finished_at = now(), wake_at = NULL, spread_done = true"
    )
    again = await admin.post(f"/batches/{made['batch_id']}/cancel")
    assert again.status_code == 409
    assert (await http.get(f"/api/v2/batches/{made['batch_id']}")).json()["status"] == "CANCELLED"


async def test_a_job_says_what_lets_it_run(
    admin: httpx.AsyncClient, made: dict[str, str], rows: Rows
) -> None:
    await admin.post(f"/jobs/{made['job_id']}/retry")
    job = (await admin.get(f"/jobs/{made['job_id']}")).json()
    assert (job["status"], job["chunk"]["state"], job["error_code"]) == ("PENDING", "READY", None)
    await rows.all("UPDATE chunks SET state = 'TAKEN', token = gen_random_uuid() WHERE state = 'READY'")
    assert (await admin.get(f"/jobs/{made['job_id']}")).json()["status"] == "RUNNING"
    for filters, found in (
        ({"status": "RUNNING"}, 1),
        ({"status": "PENDING"}, 0),
        ({"job_type": "extract_v2"}, 0),
        ({"project_id": made["project_id"], "job_type": "parse_v2"}, 1),
        ({"batch_id": made["batch_id"]}, 0),
        ({"batch_id": "nonsense"}, 0),
    ):
        assert len(await items(admin, "/jobs", **filters)) == found, filters


async def test_chunks_and_workers_say_who_holds_what(admin: httpx.AsyncClient, made: dict[str, str]) -> None:
    (chunk,) = await items(admin, "/chunks", state="TAKEN")
    assert (chunk["id"], chunk["worker_id"]) == (int(made["chunk_id"]), made["worker_id"])
    assert chunk["due_at"] is None
    assert chunk["lease_ends_at"] is not None
    assert "token" not in chunk
    assert await items(admin, "/chunks", state="DONE") == []
    (worker,) = await items(admin, "/workers", queue="parse")
    assert (worker["alive"], worker["drain"], worker["chunks"][0]["id"]) == (True, False, chunk["id"])
    assert await items(admin, "/workers", queue="extract") == []
    assert (await admin.post(f"/workers/{made['worker_id']}/drain")).json()["drain"] is True
    body = {"drain": False}
    assert (await admin.post(f"/workers/{made['worker_id']}/drain", json=body)).json()["drain"] is False


async def test_chunks_page_by_number(admin: httpx.AsyncClient, made: dict[str, str], rows: Rows) -> None:
    await rows.all(
        "INSERT INTO chunks (project_id, job_type, queue, job_id, size, rank)"
        " SELECT project_id, job_type, queue, gen_random_uuid(), 1, 0 FROM chunks, generate_series(1, 4)"
    )
    seen: list[int] = []
    token: str | None = None
    while True:
        params: dict[str, str] = {"page_size": "2", "include_total": "true"}
        params |= {"page_token": token} if token else {}
        page = (await admin.get("/chunks", params=params)).json()
        assert page["total_size"] == 5
        seen += [chunk["id"] for chunk in page["items"]]
        token = page["next_page_token"]
        if token is None:
            break
        other = await admin.get("/chunks", params={"page_token": token, "project_id": made["project_id"]})
        assert other.status_code == 400, "a token belongs to its filters, the project among them"
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 5


async def test_queues_count_what_stands_before_them(
    admin: httpx.AsyncClient, made: dict[str, str], bells: HeardBells
) -> None:
    found = (await admin.get("/queues")).json()
    assert found["broker"] == "ok"
    by_name = {queue["queue"]: queue for queue in found["items"]}
    assert set(by_name) == {"orchestrate", "parse", "extract"}
    assert (by_name["parse"]["taken"], by_name["parse"]["live_slots"], by_name["parse"]["expired"]) == (
        1,
        1,
        0,
    )
    bells.broker_up = False
    assert (await admin.get("/queues")).json()["broker"] == "unreachable"


async def test_health_names_what_needs_a_hand(
    admin: httpx.AsyncClient, made: dict[str, str], rows: Rows, bells: HeardBells
) -> None:
    async def states() -> dict[str, str]:
        found = (await admin.get("/health")).json()
        return {"all": found["state"], **{part["name"]: part["state"] for part in found["parts"]}}

    assert (await states())["sweep"] == "attention", "upkeep never ran"
    await rows.all("INSERT INTO sweeps (name) VALUES ('chunks')")
    well = await states()
    assert set(well.values()) == {"ok"}
    assert set(well) > {"database", "migrations", "storage", "broker", "sweep", "workers", "oldest due"}
    await rows.all("UPDATE sweeps SET last_ok_at = now() - interval '1 minute'")
    await rows.all("DELETE FROM workers")
    bells.broker_up = False
    sick = await states()
    assert {name for name, state in sick.items() if state == "attention"} == {
        "all",
        "sweep",
        "broker",
        "workers",
    }


async def test_projects_are_made_and_found(admin: httpx.AsyncClient) -> None:
    owner = (await admin.post("/organizations", json={"name": "a house"})).json()
    project = (await admin.post("/projects", json={"name": "p", "organization_id": owner["id"]})).json()
    assert project["organization_id"] == owner["id"]
    default = (await admin.post("/projects", json={"name": "q"})).json()
    assert default["organization_id"] != owner["id"]
    assert await items(admin, "/projects", organization_id=owner["id"]) == [project]
    assert (await admin.get(f"/projects/{default['id']}")).json() == default
    assert owner in await items(admin, "/organizations")


async def test_the_audit_is_narrowed(admin: httpx.AsyncClient, made: dict[str, str]) -> None:
    await admin.post("/organizations", json={"name": "a"})
    await admin.post(f"/workers/{made['worker_id']}/drain")
    await admin.post(f"/keys/{made['key_id']}/revoke")
    newest = [event["action"] for event in await items(admin, "/audit")]
    assert newest == ["key.revoke", "worker.drain", "organization.create"]
    (one,) = await items(admin, "/audit", target=made["worker_id"])
    assert one["detail"] == {"drain": True}
    (two,) = await items(admin, "/audit", project_id=made["project_id"])
    assert two["action"] == "key.revoke"
    assert len(await items(admin, "/audit", key_id=one["key_id"])) == 3
    assert await items(admin, "/audit", key_id=made["key_id"]) == []
