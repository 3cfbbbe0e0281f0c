"""A real upkeep is killed while receivers hold its requests, again and again: nothing is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from shared.config import Settings
from shared.webhooks import announcing
from shared.webhooks.service import Endpoint
from shared.webhooks.vault import Vault
from shared.wiring import Resources
from tests.conftest import NO_BROKER
from tests.services.worker.upkeep.conftest import Heard, over, receiving, rows, say, until
from tests.shared.conftest import make_mill

NEWS = 60
KILLS = 3


def start(settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("BATCHMILL_")} | {
        "BATCHMILL_DATABASE__URL": settings.database_url(),
        "BATCHMILL_STORAGE__URL": settings.storage_url(),
        "BATCHMILL_BROKER__URL": NO_BROKER,
        "BATCHMILL_SECRET_KEY": "a key of tests",
        "BATCHMILL_WEBHOOKS__ALLOW_PRIVATE": "true",
    }
    command = [sys.executable, "-m", "services.cli", "upkeep"]
    with (folder / "upkeep.log").open("ab") as log:
        return subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log)


async def test_upkeep_killed_in_the_middle_loses_nothing(
    resources: Resources, settings: Settings, tmp_path: Path
) -> None:
    mill = await make_mill(resources)
    sealed = Vault.of(b"a key of tests").seal(mill.project_id, "s")

    async def slow(_: Heard, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        await say(writer, 200)

    async with receiving(slow) as other:
        batch = await mill.open_batch()
        endpoints = [Endpoint(f"{other.url}/{n}", None, None, "string", sealed) for n in range(NEWS)]
        async with resources.unit_of_work() as uow:
            await announcing.attach(uow, mill.project_id, batch, about="BATCH", endpoints=endpoints)
            await announcing.batch_moved(uow, batch)
            await uow.commit()
        for kill in range(1, KILLS + 1):
            process = start(settings, tmp_path)
            before = len(other.heard)

            async def in_the_middle(before: int = before) -> bool:
                return len(other.heard) > before + 3 and other.open_now > 0

            await until(in_the_middle)
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            held = await mill.one("SELECT count(*) FROM webhook_deliveries WHERE token IS NOT NULL")
            assert held > 0, f"kill {kill} found it with nothing in hand"
            # Its lease would end within a minute.
            await mill.sql("UPDATE webhook_deliveries SET due_at = now() WHERE token IS NOT NULL")
        last = start(settings, tmp_path)
        try:
            await until(over(mill))
        finally:
            last.terminate()
            last.wait(20)
    told = await rows(mill)
    assert {row.status for row in told} == {"SENT"}
    heard = Counter(one.path for one in other.heard)
    assert set(heard) == {f"/{n}" for n in range(NEWS)}, "each at least once"
    assert sum(heard.values()) <= NEWS + KILLS * 8, "twice only what was in hand"
