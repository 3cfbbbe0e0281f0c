"""Trying keys: slowed down, told once, and no harm to who has one."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from services.api import wrong_keys
from services.api.wrong_keys import BURST, REFILL_S, WrongKeys
from shared.errors import TooMany
from shared.wiring import Resources
from tests.conftest import Tenant

DIRECTORIES = "/api/v1/beta/directories"


def allowed(wrong: WrongKeys, address: str, now: float) -> bool:
    try:
        wrong.note(address, now=now)
    except TooMany:
        return False
    return True


async def test_many_wrong_keys_are_429_and_a_right_one_is_served_meanwhile(
    anonymous: httpx.AsyncClient, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    tries = [f"bmk_{n}" for n in range(BURST * 2)]
    answers = [await anonymous.get(DIRECTORIES, headers={"authorization": f"Bearer {key}"}) for key in tries]
    seen = [one.status_code for one in answers]
    assert seen[:BURST] == [401] * BURST
    assert seen[-1] == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= REFILL_S
    right = {"authorization": f"Bearer {tenant.key}"}
    assert (await anonymous.get(DIRECTORIES, headers=right)).status_code == 200
    assert (await anonymous.get(DIRECTORIES)).status_code == 401
    told = [one.getMessage() for one in caplog.records if "many wrong API keys" in one.getMessage()]
    assert len(told) == 1
    assert not any(key in caplog.text for key in (*tries, tenant.key))


def test_an_allowance_grows_again() -> None:
    wrong = WrongKeys()
    assert sum(allowed(wrong, "a", 0.0) for _ in range(100)) == BURST
    assert allowed(wrong, "b", 0.0)
    assert [allowed(wrong, "a", REFILL_S + 0.1), allowed(wrong, "a", REFILL_S + 0.2)] == [True, False]
    assert sum(allowed(wrong, "a", 1e6) for _ in range(100)) == BURST


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "ADDRESSES", 100)
    wrong = WrongKeys()
    for number in range(1_000):
        wrong.note(f"10.0.{number}", now=0.0)
    assert len(wrong) == 100


async def test_ten_thousand_keys_are_found_by_index(resources: Resources, tenant: Tenant) -> None:
    async with resources.unit_of_work() as uow:
        await uow.session.execute(
            text(
                "INSERT INTO api_keys (id, project_id, role, name, prefix, hash)"
                " SELECT gen_random_uuid(), :p, 'project', 'k', 'bmk_' || n, sha256(n::text::bytea)"
                " FROM generate_series(1, 10000) n"
            ),
            {"p": tenant.project_id},
        )
        await uow.session.execute(text("ANALYZE api_keys"))
        plan = await uow.session.execute(
            text("EXPLAIN SELECT * FROM api_keys WHERE hash = sha256('500') AND revoked_at IS NULL")
        )
        told = "\n".join(plan.scalars())
    assert "Index Scan" in told, told


async def test_a_key_in_the_query_opens_nothing_and_is_not_logged(
    anonymous: httpx.AsyncClient, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for name in ("api_key", "key", "token", "authorization", "session"):
        found = await anonymous.get(DIRECTORIES, params={name: tenant.key})
        assert found.status_code == 401
        assert tenant.key not in found.text
    ours = [one for one in caplog.records if one.name.startswith(("services", "shared", "uvicorn.error"))]
    assert not any(tenant.key in one.getMessage() for one in ours)


async def test_who_tries_at_once_is_counted_too(anonymous: httpx.AsyncClient) -> None:
    headers = {"authorization": "Bearer bmk_x"}
    answers = await asyncio.gather(*(anonymous.get(DIRECTORIES, headers=headers) for _ in range(60)))
    assert {one.status_code for one in answers} == {401, 429}
