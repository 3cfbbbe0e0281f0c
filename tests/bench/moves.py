"""What a batch whose files do nothing costs the database: WAL and statements a file, and rows of events.

python -m tests.bench.moves --files 20000 --chunk 100

Takes and closes chunks by hand, with a look at the lane between them, so that only the moves are measured.
Databases of their own on the embedded server.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import event, text

from services.local.postgres import EmbeddedPostgres
from shared.config import Settings
from shared.db import migrations
from shared.wiring import Resources, open_resources
from tests.conftest import NO_BROKER, at, run_alone
from tests.shared.conftest import Mill, done, make_mill
from tests.twins import HeardBells


async def measure(resources: Resources, files: int, chunk: int, pause_s: float) -> str:
    """One batch, from its first look to its end."""
    mill = await make_mill(resources)
    await mill.add_worker()
    batch_id = await mill.open_batch(files)
    await mill.sql("UPDATE batches SET seconds_per_file = :s WHERE id = :b", b=batch_id, s=1 / chunk)
    await _checkpoint(resources)
    said: Counter[str] = Counter()

    def hear(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said["all"] += 1
        said["events"] += "batch_events" in statement

    event.listen(resources.engine.sync_engine, "before_cursor_execute", hear)
    before, began = await _wal(mill), time.monotonic()
    await mill.advance(batch_id)
    chunks = await _work(mill, batch_id, chunk, pause_s)
    took, wal = time.monotonic() - began, await _wal(mill) - before
    event.remove(resources.engine.sync_engine, "before_cursor_execute", hear)
    await mill.assert_exact(batch_id)
    rows = await mill.one("SELECT count(*) FROM batch_events WHERE batch_id = :b", b=batch_id)
    return (
        f"{files} files in {chunks} chunks, {took:.1f} s: {wal / files:.0f} bytes of WAL a file,"
        f" {said['all'] / files:.3f} statements a file ({said['events']} of {said['all']} about events),"
        f" {rows} events"
    )


async def _work(mill: Mill, batch_id: Any, chunk: int, pause_s: float) -> int:
    chunks = 0
    while True:
        await mill.sql("UPDATE batches SET seconds_per_file = :s WHERE id = :b", b=batch_id, s=1 / chunk)
        await mill.dispatch()
        held = await mill.take()
        if held is None:
            await mill.advance(batch_id)
            if (await mill.batch(batch_id)).wake_at is None:
                return chunks
            continue
        await mill.close(held.chunk, [done(held.chunk, file) for file in held.files])
        chunks += 1
        await asyncio.sleep(pause_s)


async def _wal(mill: Mill) -> int:
    return int(await mill.one("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


async def _checkpoint(resources: Resources) -> None:
    # The first change of a page after a checkpoint writes all of it: one before each run, none in it.
    async with resources.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("CHECKPOINT"))


async def run(files: int, chunk: int, pause_s: float, rounds: int) -> None:
    """Measures on a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder), durable=False)
        await server.start()
        try:
            for _ in range(rounds):
                name = f"moves_{uuid4().hex}"
                await run_alone(server.url("postgres"), f"CREATE DATABASE {name}")
                settings = Settings.model_validate(
                    {
                        "secret_key": "of a measurement",
                        "database": {"url": at(server.url("postgres"), name)},
                        "broker": {"url": NO_BROKER},
                        "storage": {"url": (Path(folder) / "blobs").as_uri()},
                    }
                )
                resources = open_resources(settings, name="moves", queue=HeardBells())
                await migrations.upgrade(resources.engine)
                print(await measure(resources, files, chunk, pause_s), flush=True)
                await resources.close()
        finally:
            await server.stop()


def main() -> None:
    """As the arguments say."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--files", type=int, default=20_000)
    asked.add_argument("--chunk", type=int, default=100)
    asked.add_argument("--pause", type=float, default=0.0, help="seconds after each chunk")
    asked.add_argument("--rounds", type=int, default=3)
    given = asked.parse_args()
    asyncio.run(run(given.files, given.chunk, given.pause, given.rounds))


if __name__ == "__main__":
    main()
