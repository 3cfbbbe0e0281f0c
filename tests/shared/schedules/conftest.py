"""Each schedule runs under witnesses, with a conductor."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.batches import advance, spreading
from shared.wiring import Resources
from tests.shared.schedules import witness
from tests.shared.schedules.conductor import Conductor, conducting
from tests.shared.schedules.stage import Stage


async def waits_for_a_lock(engine: AsyncEngine) -> bool:
    """Does anybody in this database wait for a lock?"""
    async with engine.connect() as connection:
        found = await connection.execute(
            text(
                "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock' AND state = 'active')"
            )
        )
        return bool(found.scalar_one())


@pytest.fixture(autouse=True)
async def witnesses(database_url: str, emptying: AsyncEngine) -> AsyncIterator[None]:
    """They judge every move of the test."""
    assert database_url
    await witness.install(emptying)
    yield
    await witness.remove(emptying)


@pytest.fixture
async def conductor(emptying: AsyncEngine) -> AsyncIterator[Conductor]:
    """Stops whom it started at the points it was told."""
    with conducting(lambda: waits_for_a_lock(emptying)) as made:
        yield made
        await made.close()


@pytest.fixture
async def stage(mill: Any, conductor: Conductor, bells: Any, resources: Resources) -> Stage:
    """A mill with a conductor, and a sweeper that was never away."""
    made = Stage(mill, conductor, bells, resources)
    await made.sweep()
    return made


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files a page, and one page a look."""
    monkeypatch.setattr(spreading, "PAGE", 2)
    monkeypatch.setattr(advance, "SLICE_S", -1.0)
