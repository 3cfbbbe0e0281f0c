"""Sees in the database itself when work is taken away from a holder: no end state shows it afterwards."""

from collections.abc import Sequence
from typing import Any, Protocol


class Database(Protocol):
    """Where the witness stands: the database of a live stack, or that of a test."""

    def sql(self, statement: str, *values: Any) -> Sequence[Any]:
        """Run one statement and commit; answers its rows."""


_INSTALL = (
    (
        "CREATE TABLE witness (at timestamptz NOT NULL DEFAULT clock_timestamp(), batch_id uuid, what text, "
        " said text)"
    ),
    # A lease that had run out says that upkeep took it; a live one, that its own holder gave a file up.
    (
        "CREATE FUNCTION witness_chunk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO witness (batch_id, what, said) VALUES (OLD.batch_id, CASE"
        "  WHEN TG_OP = 'UPDATE' AND NEW.losses = OLD.losses THEN 'returned'"
        "  WHEN OLD.due_at < now() THEN 'reaped' WHEN TG_OP = 'UPDATE' THEN 'charged' ELSE 'split' END,"
        "  CASE WHEN TG_OP = 'UPDATE' THEN NEW.reason END);"
        " RETURN NULL; END $$"
    ),
    (
        "CREATE TRIGGER witness_update AFTER UPDATE ON chunks FOR EACH ROW"
        " WHEN (OLD.state = 'TAKEN' AND NEW.state <> 'DONE' AND NEW.token IS NULL)"
        " EXECUTE FUNCTION witness_chunk()"
    ),
    # A job alone is deleted at its end.
    (
        "CREATE TRIGGER witness_delete AFTER DELETE ON chunks FOR EACH ROW"
        " WHEN (OLD.state = 'TAKEN' AND OLD.batch_id IS NOT NULL) EXECUTE FUNCTION witness_chunk()"
    ),
)


def install(database: Database) -> None:
    """From now on: one row for each chunk that leaves its holder without an end. `reaped`: its lease ran out;
    `charged`: a loss was counted; `split`: a suspect was put alone; `returned`: given back, no loss."""
    for statement in _INSTALL:
        database.sql(statement)


def remove(database: Database) -> None:
    """From now on it sees nothing, and has seen nothing."""
    for statement in (
        "DROP TRIGGER IF EXISTS witness_update ON chunks",
        "DROP TRIGGER IF EXISTS witness_delete ON chunks",
        "DROP FUNCTION IF EXISTS witness_chunk()",
        "DROP TABLE IF EXISTS witness",
    ):
        database.sql(statement)


def taken_away(database: Database, batch_id: str) -> Sequence[str]:
    """What became of holders who had not given their work back: one sentence a chunk."""
    rows = database.sql(
        "SELECT what, said FROM witness WHERE batch_id = $1::uuid AND what IN ('reaped', 'charged')",
        batch_id.removeprefix("bat-"),
    )
    return [f"a chunk was {row['what']} ({row['said']})" for row in rows]


def returned(database: Database, batch_id: str) -> list[str]:
    """Why work came back from its holders without a loss; the shutdown of a worker gives no reason."""
    rows = database.sql(
        "SELECT said FROM witness WHERE batch_id = $1::uuid AND what IN ('returned', 'split')",
        batch_id.removeprefix("bat-"),
    )
    return [row["said"] or "" for row in rows]
