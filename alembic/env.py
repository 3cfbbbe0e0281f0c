"""Runs migrations on one connection: short lock waits, and one migration at a time by an advisory lock."""

from typing import Any

from alembic import context
from sqlalchemy import Connection, text

from shared.tables import metadata

ADVISORY_LOCK = 0x6261746D  # 'batm': any constant does, as long as every migration takes the same


def keep_tables_of_ours(_object: Any, name: str | None, kind: str, *_: Any) -> bool:
    """Compare only what the project defines: extensions may bring tables of their own."""
    return kind != "table" or name in metadata.tables


def run(connection: Connection) -> None:
    """Migrate inside one transaction. A lock not had within 5 s ends the migration, and harms nobody."""
    context.configure(connection=connection, target_metadata=metadata, include_object=keep_tables_of_ours)
    with context.begin_transaction():
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        connection.execute(text("SET LOCAL statement_timeout = '10min'"))
        context.run_migrations()


run(context.config.attributes["connection"])
