"""A dump of the database, restored as docs/operations.md says: what the schema promises comes with it."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.local.postgres_files import environment, program
from shared.db import migrations
from shared.db.engine import open_engine
from tests.shared.conftest import Mill

JOBS = (
    "INSERT INTO jobs (project_id, job_type, batch_id, seq, file_id, name, size_bytes)"
    " SELECT gen_random_uuid(), 'parse_v2', :b, n, gen_random_uuid(), 'n', 1 FROM generate_series(1, :n) n"
)
ROWS = "SELECT (SELECT count(*) FROM batches), (SELECT count(*) FROM jobs), (SELECT count(*) FROM projects)"


async def tool(name: str, *arguments: object) -> None:
    """Run a program of PostgreSQL to its end, which must be a good one."""
    process = await asyncio.create_subprocess_exec(
        program(name), *map(str, arguments), env=environment(), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


def for_tools(url: str) -> str:
    return url.replace("+asyncpg", "")


async def look(engine: AsyncEngine) -> tuple[int, ...]:
    async with engine.connect() as connection:
        return tuple((await connection.execute(text(ROWS))).one())


async def filled(mill: Mill) -> tuple[int, ...]:
    """A batch that has jobs and one that redrives it, as no order of rows by their keys would have them."""
    first, second = await mill.open_batch(), await mill.open_batch()
    await mill.sql(
        "UPDATE batches SET redrive_of = :s, redrive_kind = 'FAILED' WHERE id = :f", f=first, s=second
    )
    await mill.sql(JOBS, b=first, n=3)
    await mill.sql(JOBS, b=second, n=2)
    return await look(mill.resources.engine)


async def check(url: str, rows: tuple[int, ...]) -> None:
    """All rows are there, the schema is this version's, and no job comes without its batch."""
    engine = open_engine(url, name="restored", pooled=False)
    assert await look(engine) == rows
    await migrations.upgrade(engine)
    async with engine.connect() as connection:
        with pytest.raises(IntegrityError, match="there is no batch"):
            await connection.execute(text(JOBS), {"b": uuid4(), "n": 1})
    async with engine.connect() as connection:
        with pytest.raises(IntegrityError):
            await connection.execute(text("DELETE FROM batches"))
    await engine.dispose()


async def test_a_dump_is_restored_into_an_empty_database_and_over_itself(
    mill: Mill, database_url: str, unmigrated: str, tmp_path: Path
) -> None:
    rows = await filled(mill)
    dump = tmp_path / "batchmill.dump"
    await tool("pg_dump", "-Fc", "--no-owner", "-f", dump, for_tools(database_url))
    await tool("pg_restore", "--no-owner", "--single-transaction", "-d", for_tools(unmigrated), dump)
    await check(unmigrated, rows)
    again = ("--clean", "--if-exists", "--no-owner", "--single-transaction")
    await tool("pg_restore", *again, "-d", for_tools(unmigrated), dump)
    await check(unmigrated, rows)


async def test_rows_alone_are_restored_into_a_schema_that_is_there(
    mill: Mill, database_url: str, unmigrated: str, tmp_path: Path
) -> None:
    rows = await filled(mill)
    engine = open_engine(unmigrated, name="restored", pooled=False)
    await migrations.upgrade(engine)
    await engine.dispose()
    dump = tmp_path / "rows.sql"
    await tool("pg_dump", "--data-only", "-T", "alembic_version", "-f", dump, for_tools(database_url))
    await tool("psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump, for_tools(unmigrated))
    await check(unmigrated, rows)
