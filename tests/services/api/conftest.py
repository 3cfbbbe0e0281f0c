"""The API by plain HTTP, for what the official client would never send."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conftest import Tenant


@pytest.fixture
async def http(api_url: str, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """With our key."""
    headers = {"authorization": f"Bearer {tenant.key}"}
    async with httpx.AsyncClient(base_url=api_url, headers=headers, timeout=60) as made:
        yield made


@pytest.fixture
async def anonymous(api_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Without any key."""
    async with httpx.AsyncClient(base_url=api_url, timeout=60) as made:
        yield made
