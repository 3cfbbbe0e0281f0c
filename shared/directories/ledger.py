"""The statements that register the files of a directory by reference, a page at a time.

Each is short and of its caller's transaction, which holds the directory's row: two who register at once take
turns by the page. `mark` is the last position when a reading began: rows placed after it are another
reading's, and newer than what this one saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class NewReference:
    """A file as it lies with its owner, to be registered."""

    unique_id: str
    name: str
    file_type: str | None
    key: str
    size: int
    version: str
    modified: datetime


async def hold(session: AsyncSession, directory_id: UUID) -> bool:
    """Lock the directory; False when it was deleted or has expired."""
    found = await session.execute(
        text(
            "SELECT deleted_at IS NULL AND (expires_at IS NULL OR expires_at > now()) FROM directories"
            " WHERE id = :d FOR NO KEY UPDATE"
        ),
        {"d": directory_id},
    )
    return found.scalar_one_or_none() is True


async def begun(session: AsyncSession, project_id: UUID, name: str, url: str) -> UUID | None:
    """A directory of this name and place whose first reading did not end, locked."""
    found = await session.execute(
        text(
            "SELECT id FROM directories WHERE project_id = :p AND name = :n AND source_url = :u"
            " AND source_read_at IS NULL AND deleted_at IS NULL ORDER BY id LIMIT 1 FOR NO KEY UPDATE"
        ),
        {"p": project_id, "n": name, "u": url},
    )
    return found.scalar_one_or_none()


async def read(session: AsyncSession, directory_id: UUID) -> None:
    """Note that the place was read to its end: from now on the directory can be seen."""
    await session.execute(
        text("UPDATE directories SET source_read_at = now(), updated_at = now() WHERE id = :d"),
        {"d": directory_id},
    )


async def mark(session: AsyncSession, directory_id: UUID) -> int:
    """The directory's last position."""
    found = await session.execute(
        text("SELECT coalesce(max(pos), 0) FROM directory_files WHERE directory_id = :d"), {"d": directory_id}
    )
    return int(found.scalar_one())


async def hide_changed(
    session: AsyncSession, directory_id: UUID, seen: Sequence[NewReference], *, mark: int
) -> int:
    """Take out the files whose size, version or place is another now; answers how many."""
    done = await session.execute(
        text(
            "UPDATE directory_files d SET deleted_at = now(), updated_at = now() FROM files f,"
            " unnest(CAST(:paths AS text[]), CAST(:keys AS text[]), CAST(:sizes AS bigint[]),"
            "  CAST(:versions AS text[])) AS s(path, key, size, version)"
            " WHERE d.directory_id = :d AND d.unique_id = s.path AND d.deleted_at IS NULL AND d.pos <= :mark"
            " AND f.id = d.file_id"
            " AND (f.storage_key, f.size_bytes, f.source_version) IS DISTINCT FROM (s.key, s.size, s.version)"
        ),
        {
            "d": directory_id,
            "mark": mark,
            "paths": [one.unique_id for one in seen],
            "keys": [one.key for one in seen],
            "sizes": [one.size for one in seen],
            "versions": [one.version for one in seen],
        },
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


async def place_new(
    session: AsyncSession, project_id: UUID, directory_id: UUID, seen: Sequence[NewReference]
) -> int:
    """Register the files whose path no live row has; answers how many. A hash is known again by the place,
    size and version of an earlier row of the project."""
    done = await session.execute(
        text(
            "WITH new AS MATERIALIZED (SELECT uuidv7() AS id, s.*, (SELECT k.sha256 FROM files k"
            "   WHERE k.storage_key = s.key AND k.source_version IS NOT NULL AND k.source_version = s.version"
            "   AND k.size_bytes = s.size AND k.project_id = :p AND k.sha256 IS NOT NULL LIMIT 1) AS sha256"
            "  FROM unnest(CAST(:paths AS text[]), CAST(:names AS text[]), CAST(:types AS text[]),"
            "   CAST(:keys AS text[]), CAST(:sizes AS bigint[]), CAST(:versions AS text[]),"
            "   CAST(:modified AS timestamptz[]))"
            "   AS s(path, name, type, key, size, version, modified)"
            "  WHERE NOT EXISTS (SELECT 1 FROM directory_files d WHERE d.directory_id = :d"
            "   AND d.unique_id = s.path AND d.deleted_at IS NULL)),"
            " f AS (INSERT INTO files (id, project_id, name, file_type, size_bytes, sha256, storage_key,"
            "   source_version, last_modified_at)"
            "  SELECT id, :p, name, type, size, sha256, key, version, modified FROM new)"
            " INSERT INTO directory_files (project_id, directory_id, file_id, display_name, unique_id,"
            "  size_bytes, sha256) SELECT :p, :d, id, name, path, size, sha256 FROM new"
        ),
        {
            "p": project_id,
            "d": directory_id,
            "paths": [one.unique_id for one in seen],
            "names": [one.name for one in seen],
            "types": [one.file_type for one in seen],
            "keys": [one.key for one in seen],
            "sizes": [one.size for one in seen],
            "versions": [one.version for one in seen],
            "modified": [one.modified for one in seen],
        },
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


async def live_rows(
    session: AsyncSession, directory_id: UUID, *, after: int, mark: int, limit: int
) -> list[tuple[int, UUID, str]]:
    """Live rows in the order of their places: (position, id, unique_id)."""
    rows = await session.execute(
        text(
            "SELECT pos, id, unique_id FROM directory_files WHERE directory_id = :d AND pos > :after"
            " AND pos <= :mark AND deleted_at IS NULL ORDER BY pos LIMIT :n"
        ),
        {"d": directory_id, "after": after, "mark": mark, "n": limit},
    )
    return [(int(pos), id_, unique_id) for pos, id_, unique_id in rows]


async def hide_removed(session: AsyncSession, ids: Sequence[UUID]) -> int:
    """Take these files out; answers how many were still in."""
    done = await session.execute(
        text(
            "UPDATE directory_files SET deleted_at = now(), updated_at = now()"
            " WHERE id = ANY(CAST(:ids AS uuid[])) AND deleted_at IS NULL"
        ),
        {"ids": list(ids)},
    )
    return int(done.rowcount)  # type: ignore[attr-defined]
