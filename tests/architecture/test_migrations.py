"""Migrations against a real server: up, down, up again, and the schema is the one of the models."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import migrations
from shared.tables import TABLES, metadata

REVISIONS = [
    script.revision
    for script in reversed(list(ScriptDirectory(str(migrations.FOLDER)).walk_revisions("base", "heads")))
]

# What makes a schema, one question for each kind of thing, named and ordered by name.
CATALOG = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default,
            is_identity, identity_generation
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
        ORDER BY 1, 2""",
    "constraints": """
        SELECT r.relname, c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c
        JOIN pg_class r ON r.oid = c.conrelid WHERE r.relnamespace = 'public'::regnamespace
        AND r.relname <> 'alembic_version' AND c.contype <> 'n' ORDER BY 1, 2""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2""",
    "storage": """
        SELECT relname, (SELECT array_agg(o ORDER BY o) FROM unnest(reloptions) o), relpersistence
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND relname <> 'alembic_version' ORDER BY 1""",
    "functions": """
        SELECT pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND prokind = 'f' ORDER BY proname""",
    "triggers": """
        SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname""",
    "the rest": """
        SELECT 'sequence', sequencename FROM pg_sequences WHERE schemaname = 'public'
        UNION ALL SELECT 'type', typname FROM pg_type t WHERE typnamespace = 'public'::regnamespace
            AND typtype IN ('e', 'd') UNION ALL
        SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2""",
}

Schema = dict[str, list[tuple[Any, ...]]]


async def schema_of(engine: AsyncEngine) -> Schema:
    async with engine.connect() as connection:
        return {
            kind: [tuple(row) for row in await connection.execute(text(question))]
            for kind, question in CATALOG.items()
        }


async def migrate(engine: AsyncEngine, move: Callable[..., None], revision: str) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: move(migrations.config_for(sync), revision))


def storage_options(schema: Schema) -> dict[str, set[str]]:
    return {name: set(options or ()) for name, options, _ in schema["storage"]}


def test_there_is_one_line_of_revisions() -> None:
    scripts = ScriptDirectory(str(migrations.FOLDER))
    assert scripts.get_heads() == [migrations.head()]
    assert len(scripts.get_bases()) == 1
    assert REVISIONS[-1] == migrations.head()


def test_revisions_are_numbered() -> None:
    assert [f"{number:04}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS


async def test_each_step_goes_up_down_and_up_again(empty_engine: AsyncEngine) -> None:
    nothing = await schema_of(empty_engine)
    below = "base"
    for revision in REVISIONS:
        before = await schema_of(empty_engine)
        await migrate(empty_engine, command.upgrade, revision)
        first = await schema_of(empty_engine)
        await migrate(empty_engine, command.downgrade, below)
        assert await schema_of(empty_engine) == before, f"{revision} leaves something behind"
        await migrate(empty_engine, command.upgrade, revision)
        assert await schema_of(empty_engine) == first, f"{revision} is another one the second time"
        below = revision
    await migrate(empty_engine, command.downgrade, "base")
    assert await schema_of(empty_engine) == nothing


async def test_upgrading_twice_changes_nothing(empty_engine: AsyncEngine) -> None:
    assert await migrations.upgrade(empty_engine) == migrations.head()
    first = await schema_of(empty_engine)
    assert await migrations.upgrade(empty_engine) == migrations.head()
    assert await schema_of(empty_engine) == first
    assert await migrations.current(empty_engine) == migrations.head()


async def test_models_and_migrations_do_not_drift(empty_engine: AsyncEngine) -> None:
    def differences(sync: Connection) -> list[Any]:
        context = MigrationContext.configure(
            sync, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
        )
        return list(compare_metadata(context, metadata))

    await migrations.upgrade(empty_engine)
    async with empty_engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_catalog_is_the_one_the_models_would_make(empty_engine: AsyncEngine) -> None:
    """Alembic compares no CHECK, no predicate of an index, no storage option and no identity."""
    await migrations.upgrade(empty_engine)
    migrated = await schema_of(empty_engine)
    await migrate(empty_engine, command.downgrade, "base")
    async with empty_engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    modelled = await schema_of(empty_engine)
    for kind in CATALOG:
        assert migrated[kind] == modelled[kind], kind


async def test_storage_options_of_the_models_are_in_force(empty_engine: AsyncEngine) -> None:
    await migrations.upgrade(empty_engine)
    wanted = {
        table.name: {
            f"{option}={value}"
            for option, value in (table.dialect_options["postgresql"]["with"] or {}).items()
        }
        for table in metadata.sorted_tables
    }
    assert storage_options(await schema_of(empty_engine)) == wanted
    assert "fillfactor=30" in wanted["jobs"]


async def test_the_order_of_uploads_is_an_identity(empty_engine: AsyncEngine) -> None:
    """The frozen list of a batch rests on it: nobody may write a position by hand."""
    await migrations.upgrade(empty_engine)
    identities = {
        (table, column): generation
        for table, column, _, _, _, identity, generation in (await schema_of(empty_engine))["columns"]
        if identity == "YES"
    }
    assert identities[("directory_files", "pos")] == "ALWAYS"


async def test_no_index_names_the_status_of_a_job(empty_engine: AsyncEngine) -> None:
    """A status column in an index, its predicate included, ends HOT updates of the largest table."""
    await migrations.upgrade(empty_engine)
    indexes = (await schema_of(empty_engine))["indexes"]
    assert not [definition for table, _, definition in indexes if table == "jobs" and "status" in definition]


def test_every_table_is_listed() -> None:
    assert {model.__tablename__ for model in TABLES} == set(metadata.tables)


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_times_have_a_zone(table: Any) -> None:
    assert not [
        column.name
        for column in table.columns
        if column.type.python_type.__name__ == "datetime" and not column.type.timezone
    ]


async def test_an_upgrade_beside_a_close_waits_and_does_not_deadlock(empty_engine: AsyncEngine) -> None:
    """The program before goes on while the schema moves: it locks a chunk, then its jobs."""
    await migrate(empty_engine, command.upgrade, "0001")
    async with empty_engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO jobs (project_id, job_type, file_id, name, size_bytes, sha256)"
                " VALUES (gen_random_uuid(), 'parse_v2', gen_random_uuid(), 'n', 1, '')"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO chunks (project_id, job_type, queue, job_id, size, rank)"
                " SELECT project_id, job_type, 'parse', id, 1, 0 FROM jobs"
            )
        )
    async with empty_engine.connect() as holder:
        await holder.execute(text("SELECT stop FROM chunks FOR UPDATE"))
        upgrade = asyncio.create_task(migrations.upgrade(empty_engine))
        await asyncio.sleep(0.7)
        await holder.execute(text("UPDATE jobs SET pages = 1"))
        await holder.commit()
        assert await upgrade == migrations.head()
