"""Keys, and the project that a request speaks of."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from shared.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput, NotFound, Unauthenticated
from shared.ids import Kind, show
from shared.projects import service
from shared.projects.model import Role
from shared.projects.service import Caller
from shared.wiring import Resources
from tests.conftest import Tenant

UNKNOWN = "8752379a-65b5-4ad8-aeaa-8f43b28d6628"


async def first_keys(resources: Resources) -> tuple[str | None, str | None]:
    async with resources.unit_of_work() as uow:
        keys = await service.bootstrap(uow)
        await uow.commit()
        return keys


async def caller_of(resources: Resources, token: str) -> Caller:
    async with resources.unit_of_work() as uow:
        return await service.authenticate(uow, token)


async def test_first_keys_open_the_default_project_and_everything(resources: Resources) -> None:
    project_key, operator_key = await first_keys(resources)
    assert project_key is not None
    assert operator_key is not None
    theirs = await caller_of(resources, project_key)
    assert theirs.role is Role.PROJECT
    assert theirs.project_id is not None
    ours = await caller_of(resources, operator_key)
    assert (ours.role, ours.project_id) == (Role.OPERATOR, None)


async def test_bootstrap_makes_each_thing_once_among_rivals(resources: Resources) -> None:
    found = await asyncio.gather(*(first_keys(resources) for _ in range(4)))
    assert len([key for key, _ in found if key]) == 1
    assert len([key for _, key in found if key]) == 1
    async with resources.unit_of_work() as uow:
        counts = await uow.session.execute(
            text("SELECT (SELECT count(*) FROM projects), (SELECT count(*) FROM organizations)")
        )
        assert counts.one() == (1, 1)


async def test_a_key_is_long_marked_and_stored_only_as_its_hash(resources: Resources, tenant: Tenant) -> None:
    async with resources.unit_of_work() as uow:
        token, row = await service.create_key(uow, project_id=tenant.project_id, name="mine")
        other, _ = await service.create_key(uow, project_id=None, name="operator")
        stored = str((await uow.session.execute(text("SELECT api_keys::text FROM api_keys"))).all())
    assert token.startswith("bmk_")
    assert other.startswith("bmo_")
    assert len(token.removeprefix("bmk_")) * 6 >= 190
    assert token.startswith(row.prefix)
    assert len(row.prefix) < 16
    assert row.hash == hashlib.sha256(token.encode()).digest()
    assert token not in stored


@pytest.mark.parametrize("token", [None, "", "bmk_", "bmk_nobody", "\udce9", "x" * 10_000])
async def test_keys_that_are_none_are_refused(uow: UnitOfWork, token: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await service.authenticate(uow, token)


@pytest.mark.parametrize("end", ["revoked_at = now()", "expires_at = now() - interval '1 s'"])
async def test_keys_that_ended_are_refused(resources: Resources, tenant: Tenant, end: str) -> None:
    assert (await caller_of(resources, tenant.key)).project_id == tenant.project_id
    async with resources.unit_of_work() as uow:
        await uow.session.execute(text(f"UPDATE api_keys SET {end}"))  # noqa: S608 - two constants
        await uow.commit()
    with pytest.raises(Unauthenticated):
        await caller_of(resources, tenant.key)


async def test_a_key_that_ends_tomorrow_is_good_today(uow: UnitOfWork, tenant: Tenant) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    token, _ = await service.create_key(uow, project_id=tenant.project_id, name="t", expires_at=tomorrow)
    assert (await service.authenticate(uow, token)).project_id == tenant.project_id


async def test_a_key_of_no_project_cannot_be_made(uow: UnitOfWork) -> None:
    with pytest.raises(NotFound):
        await service.create_key(uow, project_id=uuid4(), name="lost")


class TestTheProjectOfARequest:
    async def resolve(
        self, uow: UnitOfWork, caller: Caller, project: str | None, organization: str | None = None
    ) -> object:
        return await service.resolve_project(uow, caller, project_id=project, organization_id=organization)

    async def test_is_the_keys_own_however_it_is_said(self, uow: UnitOfWork, tenant: Tenant) -> None:
        caller = await service.authenticate(uow, tenant.key)
        for said in (None, str(tenant.project_id), show(Kind.PROJECT, tenant.project_id)):
            assert await self.resolve(uow, caller, said) == tenant.project_id

    @pytest.mark.parametrize("said", ["", "default", "prj-", "prj-x", UNKNOWN, f"prj-{UNKNOWN}"])
    async def test_is_not_one_that_nobody_has(self, uow: UnitOfWork, tenant: Tenant, said: str) -> None:
        with pytest.raises(NotFound):
            await self.resolve(uow, await service.authenticate(uow, tenant.key), said)

    async def test_is_never_a_neighbours(self, uow: UnitOfWork, tenant: Tenant, neighbour: Tenant) -> None:
        with pytest.raises(NotFound):
            await self.resolve(uow, await service.authenticate(uow, tenant.key), str(neighbour.project_id))

    async def test_lies_in_the_organisation_that_is_named(
        self, uow: UnitOfWork, tenant: Tenant, neighbour: Tenant
    ) -> None:
        caller = await service.authenticate(uow, tenant.key)
        ours = await service.get_project(uow, caller, tenant.project_id)
        stranger = await service.authenticate(uow, neighbour.key)
        theirs = await service.get_project(uow, stranger, neighbour.project_id)
        assert await self.resolve(uow, caller, None, str(ours.organization_id)) == tenant.project_id
        with pytest.raises(NotFound):
            await self.resolve(uow, caller, None, show(Kind.ORGANIZATION, theirs.organization_id))

    async def test_must_be_named_by_an_operator(
        self, uow: UnitOfWork, tenant: Tenant, operator_key: str
    ) -> None:
        operator = await service.authenticate(uow, operator_key)
        with pytest.raises(InvalidInput, match="project_id"):
            await self.resolve(uow, operator, None)
        assert await self.resolve(uow, operator, str(tenant.project_id)) == tenant.project_id
        with pytest.raises(NotFound):
            await self.resolve(uow, operator, str(uuid4()))
