"""A worker at its start: what is not known is waited for, what is known to be wrong is refused."""

import asyncio
from pathlib import Path

import pytest

from services.worker import doorstep
from shared.config import Database, Settings, Storage
from shared.db import migrations
from shared.db.engine import open_engine
from shared.installation.service import OtherStorage, look
from shared.wiring import Resources, open_resources
from tests.twins import HeardBells


def over(settings: Settings, **changes: object) -> Resources:
    return open_resources(settings.model_copy(update=changes), name="start", queue=HeardBells())


async def test_a_schema_that_is_missing_is_waited_for(
    settings: Settings, unmigrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorstep, "PAUSE_S", (0.05, 0.2))
    database = Database.model_validate({"url": unmigrated})
    waiting = asyncio.create_task(doorstep.wait_for_storage(over(settings, database=database)))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    engine = open_engine(unmigrated, name="tests", pooled=False)
    await migrations.upgrade(engine)
    await engine.dispose()
    await asyncio.wait_for(waiting, 10)
    after = over(settings, database=database)
    assert (await look(after.unit_of_work, after.storage)).here
    await after.close()


async def test_a_database_that_is_away_is_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorstep, "PAUSE_S", (0.05, 0.2))
    nowhere = Database.model_validate({"url": "postgresql+asyncpg://nobody@127.0.0.1:1/none"})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(doorstep.wait_for_storage(over(settings, database=nowhere)), 0.7)


async def test_another_storage_is_refused_at_once(
    settings: Settings, resources: Resources, tmp_path: Path
) -> None:
    await resources.hold_to_storage()
    elsewhere = Storage(url=(tmp_path / "elsewhere").as_uri())
    with pytest.raises(OtherStorage, match="elsewhere"):
        await asyncio.wait_for(doorstep.wait_for_storage(over(settings, storage=elsewhere)), 5)
