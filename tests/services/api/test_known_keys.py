"""A key that ended reads for a second at most, and writes nothing from then on."""

import asyncio
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from services.api import known_keys
from services.api.known_keys import FOR_S, KnownKeys
from shared.projects.model import Role
from shared.projects.service import Caller
from shared.wiring import Resources
from tests.conftest import Tenant

DIRECTORIES = "/api/v1/beta/directories"
NOW = 1_000.0


def caller(ends_in_s: float | None = None) -> Caller:
    return Caller(uuid4(), Role.PROJECT, uuid4(), ends_in_s)


def test_a_key_is_known_for_a_second_after_it_was_looked_up() -> None:
    known, who = KnownKeys(), caller()
    known.note("bmk_a", who, asked_at=NOW)
    assert known.find("bmk_a", now=NOW + FOR_S - 0.01) is who
    assert known.find("bmk_a", now=NOW + FOR_S) is None
    assert known.find("bmk_b", now=NOW) is None
    assert known.find(None, now=NOW) is None


def test_a_key_that_ends_sooner_is_known_until_its_end() -> None:
    known = KnownKeys()
    known.note("bmk_a", caller(ends_in_s=0.2), asked_at=NOW)
    assert known.find("bmk_a", now=NOW + 0.19) is not None
    assert known.find("bmk_a", now=NOW + 0.2) is None


def test_the_keys_that_came_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_keys, "KEYS", 3)
    known = KnownKeys()
    for n in range(5):
        known.note(f"bmk_{n}", caller(), asked_at=NOW)
    assert len(known) == 3
    assert [n for n in range(5) if known.find(f"bmk_{n}", now=NOW)] == [2, 3, 4]
    known.forget()
    assert len(known) == 0


def test_no_token_is_kept() -> None:
    known = KnownKeys()
    known.note("bmk_secret", caller(), asked_at=NOW)
    assert "bmk_secret" not in repr(vars(known))


async def test_a_key_that_was_revoked_elsewhere(
    http: httpx.AsyncClient, resources: Resources, tenant: Tenant
) -> None:
    """As `batchmill keys revoke` does it: on the database, and nobody tells the API."""
    assert (await http.get(DIRECTORIES)).status_code == 200
    async with resources.unit_of_work() as uow:
        await uow.session.execute(text("UPDATE api_keys SET revoked_at = now()"))
        await uow.commit()
    assert (await http.post(DIRECTORIES, json={"name": "d"})).status_code == 401, "it writes nothing"
    await asyncio.sleep(FOR_S)
    assert (await http.get(DIRECTORIES)).status_code == 401
