"""The steps of upkeep that remove things, as the process runs them."""

import asyncio
from pathlib import Path

import pytest

from services.worker.upkeep import clean
from services.worker.upkeep.clean import Cleaner
from services.worker.upkeep.process import cleaning, keep_up
from shared.config import Settings, Storage
from shared.retention.sweeping import Walk
from shared.wiring import open_resources
from tests.patience import GIVES_UP_S
from tests.shared.retention.conftest import Shelf, make_shelf
from tests.twins import HeardBells


@pytest.fixture
async def shelf(resources: object, tmp_path: Path) -> Shelf:
    return await make_shelf(resources, tmp_path)  # type: ignore[arg-type]


async def test_upkeep_removes_what_is_over(shelf: Shelf) -> None:
    await shelf.keep(results_days=30)
    old, young = await shelf.job(days=31), await shelf.job(days=29)
    stopping = asyncio.Event()
    running = asyncio.create_task(keep_up(shelf.resources, stopping, more=cleaning(Cleaner(shelf.resources))))
    try:
        async with asyncio.timeout(GIVES_UP_S):
            while await shelf.mill.one("SELECT purged_at FROM jobs WHERE id = :j", j=old) is None:
                await asyncio.sleep(0.05)
            await shelf.mill.sql("UPDATE doomed_blobs SET due_at = now()")
            while await shelf.mill.one("SELECT count(*) FROM doomed_blobs"):
                await asyncio.sleep(0.05)
    finally:
        stopping.set()
        await running
    assert {key for key in shelf.blobs() if key.startswith("p/")} == {await shelf.key(young)}


async def test_a_storage_that_is_anothers_loses_nothing_and_nothing_is_forgotten(
    shelf: Shelf, settings: Settings, tmp_path: Path
) -> None:
    """An upkeep on a host with a folder of its own would find no blob, and forget that there is one."""
    await shelf.resources.hold_to_storage()
    await shelf.keep(results_days=30)
    job = await shelf.job(days=31)
    await shelf.sweep()
    await shelf.let_time_pass()
    lost = settings.model_copy(update={"storage": Storage(url=(tmp_path / "elsewhere").as_uri())})
    elsewhere = open_resources(lost, name="tests", queue=HeardBells())
    try:
        async with elsewhere.unit_of_work() as uow:
            assert await Cleaner(elsewhere).remove_doomed(uow) == 0
    finally:
        await elsewhere.close()
    assert await shelf.mill.one("SELECT count(*) FROM doomed_blobs") == 1
    async with shelf.resources.unit_of_work() as uow:
        assert await Cleaner(shelf.resources).remove_doomed(uow) == 1
    assert await shelf.key(job) not in shelf.blobs()


async def test_terms_that_find_nothing_are_looked_at_seldom_unless_a_walk_goes_on(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelf.keep(results_days=30)
    cleaner = Cleaner(shelf.resources)
    async with shelf.resources.unit_of_work() as uow:
        assert await cleaner.enforce_terms(uow) == 0
    await shelf.job(days=31)
    async with shelf.resources.unit_of_work() as uow:
        assert await cleaner.enforce_terms(uow) > 0
        monkeypatch.setattr(Walk, "ended", False)
        monkeypatch.setattr(clean, "SWEEP_FOR_S", 0.2)
        assert await cleaner.enforce_terms(uow) == 1
