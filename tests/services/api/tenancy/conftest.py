"""Two projects that each own one of everything."""

from collections.abc import AsyncIterator

import httpx
import pytest

from shared.batches.advance import advance
from shared.ids import Kind, parse
from shared.wiring import Resources
from tests.conftest import Tenant
from tests.services.api.tenancy.owned import Owned, make_all


@pytest.fixture
async def theirs(api_url: str, neighbour: Tenant, resources: Resources) -> AsyncIterator[Owned]:
    """What the neighbour has."""
    headers = {"authorization": f"Bearer {neighbour.key}"}
    async with httpx.AsyncClient(base_url=api_url, headers=headers, timeout=60) as http:
        yield await with_results(await make_all(http), resources)


@pytest.fixture
async def ours(http: httpx.AsyncClient, resources: Resources) -> Owned:
    """What we have."""
    return await with_results(await make_all(http), resources)


async def with_results(owned: Owned, resources: Resources) -> Owned:
    """The same, its batches spread over their files, as a worker does it."""
    for things in (owned.first, owned.second):
        await advance(resources.unit_of_work, parse(Kind.BATCH, things["batch_id"]))
    return owned


@pytest.fixture
async def operator(api_url: str, operator_key: str, ours: Owned) -> AsyncIterator[httpx.AsyncClient]:
    """An operator who works in our project."""
    headers = {"authorization": f"Bearer {operator_key}"}
    params = {"project_id": ours.first["project_id"]}
    async with httpx.AsyncClient(base_url=api_url, headers=headers, params=params, timeout=60) as made:
        yield made
