"""No job without its batch, as a foreign key would have it: alone, and beside whoever removes the batch."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.retention import emptying
from shared.tables import metadata
from tests.shared.conftest import Mill

ADD = (
    "INSERT INTO jobs (project_id, job_type, batch_id, seq, file_id, name, size_bytes)"
    " SELECT gen_random_uuid(), 'parse_v2', b, n, gen_random_uuid(), 'n', 1"
    " FROM unnest(CAST(:b AS uuid[])) b, generate_series(1, 3) n"
)
REMOVE = "DELETE FROM batches WHERE id = :b"


async def run(connection: AsyncConnection, statement: str, **values: Any) -> None:
    await connection.execute(text(statement), values)


async def process_of(connection: AsyncConnection) -> int:
    """The server's process behind the connection."""
    return int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def until_it_waits(mill: Mill, pid: int) -> None:
    """Somebody holds what the connection's statement wants."""
    async with asyncio.timeout(10):
        while not await mill.one("SELECT cardinality(pg_blocking_pids(:p)) > 0", p=pid):
            await asyncio.sleep(0.01)


async def counts(mill: Mill, batch: UUID) -> tuple[int, int]:
    """Rows of the batch, and jobs of it."""
    return (
        await mill.one("SELECT count(*) FROM batches WHERE id = :b", b=batch),
        await mill.one("SELECT count(*) FROM jobs WHERE batch_id = :b", b=batch),
    )


async def test_jobs_of_no_batch_are_refused_with_its_name(mill: Mill) -> None:
    batch, nowhere = await mill.open_batch(), uuid4()
    with pytest.raises(IntegrityError, match=str(nowhere)) as refused:
        await mill.sql(ADD, b=[batch, nowhere])
    assert refused.value.orig.sqlstate == "23503"  # type: ignore[union-attr]
    assert await counts(mill, batch) == (1, 0), "a statement is refused as a whole"
    await mill.sql(ADD, b=[batch])
    assert await counts(mill, batch) == (1, 3)


async def test_a_job_that_came_alone_needs_none(mill: Mill) -> None:
    await mill.sql(
        "INSERT INTO jobs (project_id, job_type, file_id, name, size_bytes)"
        " VALUES (:p, 'parse_v2', :f, 'n', 1)",
        p=mill.project_id,
        f=mill.file_id,
    )
    assert await mill.one("SELECT count(*) FROM jobs WHERE batch_id IS NULL") == 1


async def test_whoever_restores_a_dump_names_no_schema_to_look_in(mill: Mill) -> None:
    batch = await mill.open_batch()
    async with mill.resources.engine.connect() as restoring:
        await run(restoring, "SET LOCAL search_path = ''")
        await run(restoring, ADD.replace("INTO jobs", "INTO public.jobs"), b=[batch])
        await restoring.commit()
    assert await counts(mill, batch) == (1, 3)


@pytest.mark.parametrize(
    "statement",
    [
        REMOVE,
        "UPDATE batches SET id = gen_random_uuid() WHERE id = :b",
        "UPDATE jobs SET batch_id = gen_random_uuid() WHERE batch_id = :b",
        "TRUNCATE batches CASCADE",
    ],
    ids=["delete", "rename", "move", "truncate"],
)
async def test_a_batch_outlives_its_jobs(mill: Mill, statement: str) -> None:
    batch = await mill.open_batch()
    await mill.sql(ADD, b=[batch])
    values = {"b": batch} if ":b" in statement else {}
    with pytest.raises(IntegrityError) as refused:
        await mill.sql(statement, **values)
    assert refused.value.orig.sqlstate == "23503"  # type: ignore[union-attr]
    assert await counts(mill, batch) == (1, 3)


async def test_a_batch_goes_with_or_after_its_jobs(mill: Mill) -> None:
    batch = await mill.open_batch()
    await mill.sql(ADD, b=[batch])
    await mill.sql("DELETE FROM jobs WHERE batch_id = :b", b=batch)
    await mill.sql(REMOVE, b=batch)
    await mill.sql(ADD, b=[await mill.open_batch()])
    await mill.sql("TRUNCATE batches, jobs CASCADE")
    assert await mill.one("SELECT (SELECT count(*) FROM batches) + (SELECT count(*) FROM jobs)") == 0


@pytest.mark.parametrize("added", [True, False], ids=["committed", "rolled back"])
async def test_who_removes_a_batch_waits_for_jobs_on_their_way(mill: Mill, added: bool) -> None:
    batch = await mill.open_batch()
    engine = mill.resources.engine
    async with engine.connect() as adding, engine.connect() as removing:
        pid = await process_of(removing)
        await run(adding, ADD, b=[batch])
        removal = asyncio.create_task(run(removing, REMOVE, b=batch))
        await until_it_waits(mill, pid)
        await (adding.commit() if added else adding.rollback())
        if added:
            with pytest.raises(IntegrityError, match=str(batch)):
                await removal
            await removing.rollback()
        else:
            await removal
            await removing.commit()
    assert await counts(mill, batch) == ((1, 3) if added else (0, 0))


@pytest.mark.parametrize("removed", [True, False], ids=["committed", "rolled back"])
async def test_jobs_wait_for_who_removes_their_batch(mill: Mill, removed: bool) -> None:
    batch = await mill.open_batch()
    engine = mill.resources.engine
    async with engine.connect() as adding, engine.connect() as removing:
        pid = await process_of(adding)
        await run(removing, REMOVE, b=batch)
        addition = asyncio.create_task(run(adding, ADD, b=[batch]))
        await until_it_waits(mill, pid)
        await (removing.commit() if removed else removing.rollback())
        if removed:
            with pytest.raises(IntegrityError, match=str(batch)):
                await addition
            await adding.rollback()
        else:
            await addition
            await adding.commit()
    assert await counts(mill, batch) == ((0, 0) if removed else (1, 3))


async def test_an_old_snapshot_removes_no_batch(mill: Mill) -> None:
    """It would not see the jobs that came since."""
    batch = await mill.open_batch()
    engine = mill.resources.engine.execution_options(isolation_level="REPEATABLE READ")
    async with engine.connect() as removing:
        await run(removing, "SELECT 1 FROM batches")
        await mill.sql(ADD, b=[batch])
        with pytest.raises(DBAPIError, match="READ COMMITTED"):
            await run(removing, REMOVE, b=batch)
    assert await counts(mill, batch) == (1, 3)


def test_a_purge_takes_jobs_before_their_batches() -> None:
    order = emptying.tables_of_a_project(metadata)
    assert order.index("chunks") < order.index("jobs") < order.index("batches")
