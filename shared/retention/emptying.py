"""The statements of a purge: every row of a project, table by table, in the order of foreign keys."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.retention.model import Purge
from shared.retention.terms import SLICE

KEPT: Final = frozenset({"audit_events", "purges"})
"""Tables with a project's id that a purge leaves: what operators did, and that it was purged."""
LAST: Final = frozenset({"lanes", "projects"})
"""Whoever opens work holds one of these rows, so they go last, under lock."""
_BY_PARENT: Final = {
    # The place of a directory's files has an index, their project has none.
    "directory_files": "directory_id IN (SELECT id FROM directories WHERE project_id = :p)",
    "batch_events": "batch_id IN (SELECT id FROM batches WHERE project_id = :p)",
}


def tables_of_a_project(metadata: MetaData) -> tuple[str, ...]:
    """The tables whose rows belong to a project, each before what it points at. Chunks come first: without
    them nobody has anything in hand any more."""
    found = [
        table.name
        for table in reversed(metadata.sorted_tables)
        if ("project_id" in table.columns or table.name in _BY_PARENT) and table.name not in KEPT | LAST
    ]
    return tuple(sorted(found, key=lambda name: name != "chunks"))


async def take(session: AsyncSession, *, lease_s: float) -> Purge | None:
    """A purge that is not done; who takes it has `lease_s` seconds before another may."""
    found = await session.execute(
        text(
            "UPDATE purges SET due_at = now() + make_interval(secs => CAST(:s AS float8)) WHERE project_id ="
            " (SELECT project_id FROM purges WHERE state <> 'DONE' AND due_at <= now()"
            "  ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING project_id"
        ),
        {"s": lease_s},
    )
    project_id = found.scalar_one_or_none()
    return None if project_id is None else await session.get(Purge, project_id, populate_existing=True)


async def live_batches(session: AsyncSession, project_id: UUID, *, limit: int) -> Sequence[UUID]:
    """Batches of the project that are not final and not told to stop."""
    found = await session.execute(
        text(
            "SELECT id FROM batches WHERE project_id = :p AND wake_at IS NOT NULL AND stop_at IS NULL"
            " LIMIT :n"
        ),
        {"p": project_id, "n": limit},
    )
    return list(found.scalars())


async def remove_slice(session: AsyncSession, table: str, project_id: UUID) -> int:
    """Remove a slice of a table's rows of the project, and count them; what somebody holds is for later."""
    mine = _BY_PARENT.get(table, "project_id = :p")
    if table == "batches":
        await session.execute(
            text("UPDATE batches SET redrive_of = NULL WHERE project_id = :p AND redrive_of IS NOT NULL"),
            {"p": project_id},
        )
    gone = await session.execute(
        text(
            f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {mine}"
            " LIMIT :n FOR UPDATE SKIP LOCKED))"
        ),
        {"p": project_id, "n": SLICE},
    )
    count = int(gone.rowcount)  # type: ignore[attr-defined]
    if count:
        await session.execute(
            text("UPDATE purges SET rows_gone = rows_gone + :c WHERE project_id = :p"),
            {"c": count, "p": project_id},
        )
    return count


async def has_rows(session: AsyncSession, table: str, project_id: UUID) -> bool:
    """Is anything of the project left in the table?"""
    mine = _BY_PARENT.get(table, "project_id = :p")
    found = await session.execute(
        text(f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {mine})"), {"p": project_id}
    )
    return bool(found.scalar_one())


async def lock_doors(session: AsyncSession, project_id: UUID) -> None:
    """Wait for whoever is about to write something new into the project, and let nobody begin."""
    # Lanes first, as everybody locks them.
    await session.execute(text("DELETE FROM lanes WHERE project_id = :p"), {"p": project_id})
    await session.execute(text("SELECT 1 FROM projects WHERE id = :p FOR UPDATE"), {"p": project_id})


async def remove_project(session: AsyncSession, project_id: UUID) -> None:
    """The last row; what is left is in the storage."""
    await session.execute(text("DELETE FROM projects WHERE id = :p"), {"p": project_id})
    await session.execute(
        text("UPDATE purges SET state = 'BLOBS', due_at = now() WHERE project_id = :p"), {"p": project_id}
    )


async def note_blobs(session: AsyncSession, project_id: UUID, *, blobs: int, size_bytes: int) -> None:
    """Count blobs that went."""
    await session.execute(
        text(
            "UPDATE purges SET blobs_gone = blobs_gone + :c, bytes_gone = bytes_gone + :s"
            " WHERE project_id = :p"
        ),
        {"c": blobs, "s": size_bytes, "p": project_id},
    )


async def finish(session: AsyncSession, project_id: UUID) -> None:
    """Nothing is left."""
    await session.execute(
        text(
            "UPDATE purges SET state = 'DONE', finished_at = now() WHERE project_id = :p AND state = 'BLOBS'"
        ),
        {"p": project_id},
    )


async def hand_back(session: AsyncSession, project_id: UUID, *, after_s: float) -> None:
    """The next slice is due soon."""
    await session.execute(
        text(
            "UPDATE purges SET due_at = now() + make_interval(secs => CAST(:s AS float8))"
            " WHERE project_id = :p"
        ),
        {"p": project_id, "s": after_s},
    )
