"""A data folder outlives its stack: Ctrl-C, kill -9, an older schema, a newer one."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from alembic import command
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.local.postgres import EmbeddedPostgres
from shared.db import migrations
from shared.db.engine import open_engine
from tests.flows.person import ENV
from tests.flows.test_faults import some_files
from tests.live_stack import LiveStack, start_live_stack
from tests.patience import GIVES_UP_S

Answer = TypeVar("Answer")
FILES = 80
CTRL_C = 130
REFUSED = 4


def interrupt(stack: LiveStack) -> None:
    """Ctrl-C."""
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(timeout=GIVES_UP_S) == CTRL_C


def kill(stack: LiveStack) -> None:
    """kill -9 of the process that keeps the others."""
    stack.process.kill()
    stack.process.wait(timeout=GIVES_UP_S)


def interrupt_and_age(stack: LiveStack) -> None:
    """Ctrl-C, and the data becomes what the first version would have left."""
    interrupt(stack)

    async def down_to_the_first(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: command.downgrade(migrations.config_for(sync), "0001"))
        assert await migrations.current(engine) == "0001"

    asyncio.run(in_the_data(stack.data_dir, down_to_the_first))


async def in_the_data(data_dir: Path, act: Callable[[AsyncEngine], Awaitable[Answer]]) -> Answer:
    """What `act` answers about the database of a folder on which no stack lives."""
    postgres = EmbeddedPostgres(data_dir / "postgres")
    await postgres.start()
    engine = open_engine(postgres.url(), name="tests", pooled=False)
    try:
        return await act(engine)
    finally:
        await engine.dispose()
        await postgres.stop()


def open_and_end(stack: LiveStack, end: Callable[[LiveStack], None]) -> str:
    """A batch, some of whose files were done when its stack ended."""
    batch_id = stack.open_batch(some_files(FILES))
    stack.wait_for(lambda: stack.done_of(batch_id) > 0)
    end(stack)
    return batch_id


def test_batches_go_on_after_every_end_of_their_stack(tmp_path: Path) -> None:
    batches = []
    stack = start_live_stack(tmp_path / "data")
    try:
        key = stack.key("project")
        for end in (kill, interrupt_and_age):
            batches.append(open_and_end(stack, end))
            stack = start_live_stack(tmp_path / "data")
            assert stack.key("project") == key
            assert stack.sql("SELECT version_num FROM alembic_version")[0][0] == migrations.head()
        for batch_id in batches:
            assert stack.wait_final(batch_id) == "COMPLETED"
            stack.assert_exact(batch_id, FILES)
        blamed = stack.sql("SELECT count(*) FROM jobs WHERE status <> 'COMPLETED'")
        assert blamed[0][0] == 0, "an end of the stack is no file's fault"
    finally:
        if stack.process.poll() is None:
            stack.close()


async def test_data_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    async def make_newer(engine: AsyncEngine) -> list[str]:
        await migrations.upgrade(engine)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            await connection.execute(text("ALTER TABLE organizations ADD COLUMN from_the_future text"))
            await connection.execute(text("INSERT INTO organizations (name) VALUES ('kept')"))
        return await everything_in(engine)

    before = await in_the_data(tmp_path, make_newer)
    command_line = [sys.executable, "-m", "services.cli", "up", "--port", "0", "--data-dir", str(tmp_path)]
    ended = await asyncio.to_thread(
        subprocess.run, command_line, env=ENV, capture_output=True, text=True, timeout=GIVES_UP_S, check=False
    )
    assert ended.returncode == REFUSED, ended.stderr
    assert "9999" in ended.stderr
    assert "newer Batchmill" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "project-key").exists()
    assert await in_the_data(tmp_path, everything_in) == before


async def everything_in(engine: AsyncEngine) -> list[str]:
    """Each column, index, constraint and row."""
    questions = [
        "SELECT table_name || column_name || data_type FROM information_schema.columns ORDER BY 1",
        "SELECT indexdef FROM pg_indexes ORDER BY 1",
        "SELECT conrelid::regclass || pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1",
    ]
    async with engine.connect() as connection:
        tables = await connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        questions += [f'SELECT t::text FROM "{table}" t ORDER BY 1' for table in sorted(tables)]  # noqa: S608
        found = [str(row) for ask in questions for row in await connection.scalars(text(ask))]
    assert any("kept" in row for row in found)
    return found
