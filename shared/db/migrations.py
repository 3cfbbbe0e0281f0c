"""Bring a database to this version's schema, or say where it stands."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

FOLDER = Path(__file__).resolve().parents[2] / "alembic"
OLDEST_POSTGRES = 180000


class UnfitDatabase(Exception):
    """The server is too old, or its schema is from a newer version of this program."""


def config_for(connection: Connection) -> Config:
    """An Alembic configuration bound to a live connection; needs no ini file."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The revision this version of the program wants."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    revision = ScriptDirectory.from_config(config).get_current_head()
    assert revision is not None
    return revision


async def current(engine: AsyncEngine) -> str | None:
    """The revision the database has; None for an empty one."""
    async with engine.connect() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


async def upgrade(engine: AsyncEngine) -> str:
    """Migrate to `head()`; safe to run from several hosts at once. Answers the revision reached."""
    async with engine.begin() as connection:
        version = int((await connection.execute(text("SHOW server_version_num"))).scalar_one())
        if version < OLDEST_POSTGRES:
            raise UnfitDatabase(f"PostgreSQL 18 or newer is needed; this server is {version // 10000}.")
        await connection.run_sync(_refuse_newer)
        await connection.run_sync(lambda sync: command.upgrade(config_for(sync), "head"))
    return head()


def _refuse_newer(connection: Connection) -> None:
    revision = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(config_for(connection))
    known = {script.revision for script in scripts.walk_revisions()}
    if revision is not None and revision not in known:
        raise UnfitDatabase(
            f"The database has revision {revision}, which this version does not know: it was written by a "
            "newer Batchmill. Use that version, or restore a backup made before the upgrade."
        )
