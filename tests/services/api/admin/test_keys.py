"""Keys over HTTP: shown once, two at a time while one replaces the other, gone at once when revoked."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.api.known_keys import FOR_S
from tests.conftest import Tenant
from tests.services.api.admin.conftest import Rows

ASKED = "/api/v1/projects"


async def opens(client: httpx.AsyncClient, token: str) -> bool:
    found = await client.get(ASKED, headers={"authorization": f"Bearer {token}"})
    assert found.status_code in {200, 401}
    return found.status_code == 200


def soon(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


async def test_a_key_is_shown_once(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, tenant: Tenant
) -> None:
    body = {"role": "project", "project_id": f"prj-{tenant.project_id}", "name": "mine"}
    made = (await admin.post("/keys", json=body)).json()
    assert made["token"].startswith("bmk_")
    assert await opens(anonymous, made["token"])
    listed = await admin.get("/keys", params={"project_id": body["project_id"]})
    assert {one["name"] for one in listed.json()["items"]} == {"mine", "ours"}
    everything = listed.text + (await admin.get("/audit")).text
    assert made["token"] not in everything
    assert made["starts_with"] == made["token"][:12]


async def test_both_keys_work_until_the_overlap_ends(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, made: dict[str, str], tenant: Tenant, rows: Rows
) -> None:
    rotated = (await admin.post(f"/keys/{made['key_id']}/rotate", json={"overlap_seconds": 3600})).json()
    assert (rotated["name"], rotated["role"], rotated["project_id"]) == (
        "ours",
        "project",
        made["project_id"],
    )
    assert (rotated["expires_at"], rotated["replaces"]["id"]) == (None, made["key_id"])
    ends = datetime.fromisoformat(rotated["replaces"]["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < ends < timedelta(minutes=61)
    assert await opens(anonymous, tenant.key)
    assert await opens(anonymous, rotated["token"])
    await rows.all("UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE expires_at IS NOT NULL")
    await asyncio.sleep(FOR_S)  # nobody told the API
    assert not await opens(anonymous, tenant.key)
    assert await opens(anonymous, rotated["token"])


async def test_the_overlap_is_a_day_unless_told_and_may_be_nothing(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, made: dict[str, str], tenant: Tenant
) -> None:
    first = (await admin.post(f"/keys/{made['key_id']}/rotate")).json()
    ends = datetime.fromisoformat(first["replaces"]["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < ends < timedelta(hours=25)
    await admin.post(f"/keys/{first['id']}/rotate", json={"overlap_seconds": 0})
    assert not await opens(anonymous, first["token"])
    assert await opens(anonymous, tenant.key)


async def test_the_successor_of_a_key_with_an_end_needs_a_word_about_its_own(
    admin: httpx.AsyncClient, made: dict[str, str]
) -> None:
    body = {"role": "project", "project_id": made["project_id"], "name": "n", "expires_at": soon(days=1)}
    key = (await admin.post("/keys", json=body)).json()
    refused = await admin.post(f"/keys/{key['id']}/rotate")
    assert refused.status_code == 400
    assert "expires_at" in refused.json()["detail"]
    for_ever = await admin.post(f"/keys/{key['id']}/rotate", json={"expires_at": None, "overlap_seconds": 60})
    assert for_ever.json()["expires_at"] is None
    again = await admin.post(f"/keys/{key['id']}/rotate", json={"expires_at": soon(days=9)})
    assert again.status_code == 201
    assert again.json()["replaces"]["expires_at"] == for_ever.json()["replaces"]["expires_at"], "sooner stays"


async def test_revoked_is_at_once_and_for_good(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, made: dict[str, str], tenant: Tenant
) -> None:
    first = await admin.post(f"/keys/{made['key_id']}/revoke")
    assert not await opens(anonymous, tenant.key)
    second = await admin.post(f"/keys/{made['key_id']}/revoke")
    assert (second.status_code, second.json()) == (200, first.json())
    assert (await admin.post(f"/keys/{made['key_id']}/rotate")).status_code == 409
    live = await admin.get("/keys", params={"live": "true"})
    assert made["key_id"] not in live.text
    assert made["key_id"] in (await admin.get("/keys", params={"live": "false"})).text


async def test_nobody_locks_the_door_with_its_own_key(admin: httpx.AsyncClient, rows: Rows) -> None:
    (own,) = (await admin.get("/keys", params={"role": "operator"})).json()["items"]
    refused = await admin.post(f"/keys/{own['id']}/revoke")
    assert refused.status_code == 409
    assert "this very request" in refused.json()["detail"]
    assert await rows.one("SELECT count(*) FROM audit_events") == 0
    other = (await admin.post("/keys", json={"role": "operator", "name": "other"})).json()
    headers = {"authorization": f"Bearer {other['token']}"}
    assert (await admin.post(f"/keys/{own['id']}/revoke", headers=headers)).status_code == 200
    assert (await admin.get("/keys")).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"role": "project", "name": "n"}, 422, "project_id"),
        ({"role": "operator", "name": "n", "project_id": "prj-1"}, 422, "project_id"),
        ({"role": "king", "name": "n"}, 422, "role"),
        ({"role": "operator", "name": ""}, 422, "name"),
        ({"role": "operator", "name": "n", "expires_at": "2020-01-01T00:00:00Z"}, 400, "expires_at"),
        (
            {"role": "project", "name": "n", "project_id": f"prj-{'0' * 8}-0000-0000-0000-{'0' * 12}"},
            404,
            "prj-",
        ),
    ],
)
async def test_what_makes_no_key_is_refused_with_its_field(
    admin: httpx.AsyncClient, body: dict[str, str], status: int, word: str
) -> None:
    found = await admin.post("/keys", json=body)
    assert found.status_code == status, found.text
    assert word in found.text


@pytest.mark.parametrize("end", ["revoked", "expired", "rotated with no overlap"])
async def test_the_cookie_ends_with_its_key(
    admin: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    made: dict[str, str],
    tenant: Tenant,
    rows: Rows,
    end: str,
) -> None:
    cookie = {"cookie": f"session={tenant.key}"}
    await admin.post(f"/keys/{made['key_id']}/rotate", json={"overlap_seconds": 3600})
    assert (await anonymous.get(ASKED, headers=cookie)).status_code == 200, "during the overlap"
    if end == "revoked":
        await admin.post(f"/keys/{made['key_id']}/revoke")
    elif end == "expired":
        await rows.all("UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE expires_at IS NOT NULL")
        await asyncio.sleep(FOR_S)  # nobody told the API
    else:
        await admin.post(f"/keys/{made['key_id']}/rotate", json={"overlap_seconds": 0, "expires_at": None})
    assert (await anonymous.get(ASKED, headers=cookie)).status_code == 401
