"""The statements of a redrive: a new batch that reads its files from the rows of one that ended.

Its list is frozen as any batch's: by the rows of the old one, which never change, and by positions. The
caller of a page holds the new batch's row since an earlier statement (protocol rule 5).
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.batches import spreading
from shared.batches.model import Batch
from shared.batches.spreading import Spread

SCAN = 20_000
"""Rows of the old batch that one page looks at: few of them may have failed, and a page stays short."""
ANSWERED_S = 60.0


class RedriveKind(StrEnum):
    """FAILED   files of the old batch that failed, were cancelled, or got no job, and are still there
    CHANGED  files that came to the directory, or took the place of others, after its list was frozen
    """

    FAILED = "FAILED"
    CHANGED = "CHANGED"


_ENDED_BADLY = "j.status IN ('FAILED', 'CANCELLED', 'UNMAPPED')"
# A file may have been moved to another directory since.
_STILL_THERE = "f.directory_id = (SELECT source_directory_id FROM batches WHERE id = :o)"
# The positions behind those of the old batch's rows. What takes the place of a file has a new one.
_AFTER = {
    # A batch that was stopped early never listed the rest of its directory.
    RedriveKind.FAILED: "CASE WHEN o.spread_done THEN o.last_pos ELSE o.cursor_pos END",
    RedriveKind.CHANGED: "o.last_pos",
}
_FROM_JOBS = (
    "SELECT f.*, j.seq AS place FROM jobs j JOIN directory_files f ON f.id = j.directory_file_id"
    f" WHERE j.batch_id = :o AND j.seq > :lo AND j.seq <= :hi AND {_ENDED_BADLY} AND {_STILL_THERE}"
)
_FROM_DIRECTORY = (
    "SELECT f.*, f.pos AS place FROM directory_files f WHERE f.directory_id = :d"
    " AND f.pos > :lo AND f.pos <= :hi ORDER BY f.pos LIMIT :n"
)
_MAKE = (
    "WITH page AS MATERIALIZED ({page}),"
    " made AS (INSERT INTO jobs (project_id, job_type, batch_id, seq, directory_file_id, file_id, name,"
    "   size_bytes, sha256, status, error_message, finished_at)"
    "  SELECT b.project_id, b.job_type, b.id, b.total + row_number() OVER (ORDER BY p.place), p.id,"
    "   p.file_id, p.display_name, p.size_bytes, p.sha256,"
    "   CASE WHEN p.deleted_at IS NULL THEN 'PENDING' ELSE 'UNMAPPED' END,"
    "   CASE WHEN p.deleted_at IS NULL THEN NULL"
    "    ELSE 'The file was deleted before a job was made for it.' END,"
    "   CASE WHEN p.deleted_at IS NULL THEN NULL ELSE now() END"
    "  FROM page p, batches b WHERE b.id = :b AND (p.deleted_at IS NULL OR p.deleted_at > b.created_at)"
    "  RETURNING status)"
    " UPDATE batches SET cursor_pos = coalesce(CAST(:cursor AS bigint), (SELECT max(place) FROM page),"
    "   batches.cursor_pos),"
    "  total = batches.total + (SELECT count(*) FROM made),"
    "  unmapped = batches.unmapped + (SELECT count(*) FROM made WHERE status = 'UNMAPPED'),"
    "  spread_done = CAST(:cursor AS bigint) IS NULL AND (SELECT count(*) FROM page) < :n,"
    "  updated_at = now(), wake_at = now() + interval '5 s'"
    " WHERE id = :b RETURNING (SELECT count(*) FROM page) AS scanned,"
    "  (SELECT count(*) FROM made WHERE status = 'PENDING') AS opened, total,"
    "  total - ok - failed - cancelled - batches.unmapped AS left"
)


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a redrive has read: `cursor` is below 0 while the old batch's `jobs` rows are read (the number
    of them that are left), then the position of the last file that was read behind them."""

    cursor: int
    old: UUID
    jobs: int
    directory_id: UUID
    after: int
    last_pos: int


async def spread_page(session: AsyncSession, batch_id: UUID, *, files: int | None = None) -> Spread:
    """Make the jobs of the next `files` (else: of a page) and move the cursor, in one statement; like the
    page of a directory, but nothing is reused: what is run again, is run."""
    here = await _place(session, batch_id)
    files = files or spreading.PAGE
    given = {"b": batch_id, "n": files}
    if here.cursor < 0:
        lo = here.jobs + here.cursor
        hi = min(lo + SCAN, here.jobs)
        given |= {"o": here.old, "lo": lo, "hi": hi, "cursor": hi - here.jobs}
        found = await session.execute(text(_MAKE.format(page=_FROM_JOBS)), given)
        return replace(Spread(files, *found.one()), scanned=files)
    lo = max(here.cursor, here.after)
    given |= {"d": here.directory_id, "lo": lo, "hi": here.last_pos, "cursor": None}
    found = await session.execute(text(_MAKE.format(page=_FROM_DIRECTORY)), given)
    return Spread(files, *found.one())


async def _place(session: AsyncSession, batch_id: UUID) -> _Place:
    found = await session.execute(
        text(
            "SELECT b.cursor_pos, o.id, o.total, b.source_directory_id,"
            f" CASE b.redrive_kind WHEN 'FAILED' THEN {_AFTER[RedriveKind.FAILED]}"
            f"  ELSE {_AFTER[RedriveKind.CHANGED]} END, b.last_pos"
            " FROM batches b JOIN batches o ON o.id = b.redrive_of WHERE b.id = :b"
        ),
        {"b": batch_id},
    )
    return _Place(*found.one())


async def lock_ended(session: AsyncSession, batch_id: UUID) -> bool:
    """Hold the row of a final batch, so that of two who redrive it at once the second sees the first; False
    when it is not final. Nothing of it is written."""
    found = await session.execute(
        text("SELECT true FROM batches WHERE id = :b AND wake_at IS NULL FOR NO KEY UPDATE"), {"b": batch_id}
    )
    return found.scalar_one_or_none() is True


async def same(session: AsyncSession, old: Batch, kind: RedriveKind) -> Batch | None:
    """A redrive of the same kind over the same list that is still open, or was opened a minute ago."""
    found = await session.execute(
        text(
            "SELECT b.id FROM batches b JOIN batches o ON o.id = b.redrive_of WHERE o.id = :o"
            f" AND b.redrive_kind = :k AND b.last_pos = {_LAST_POS}"
            " AND (b.wake_at IS NOT NULL"
            "  OR b.created_at > now() - make_interval(secs => CAST(:s AS float8)))"
            " ORDER BY b.id DESC LIMIT 1"
        ),
        {"o": old.id, "k": kind.value, "s": ANSWERED_S},
    )
    return await session.get(Batch, found.scalar_one_or_none() or UUID(int=0))


async def has_files(session: AsyncSession, old: Batch, kind: RedriveKind) -> bool:
    """Is there any file that a redrive would list now? Stops at the first."""
    found = await session.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM jobs j JOIN directory_files f ON f.id = j.directory_file_id"
            f"  WHERE j.batch_id = :o AND :k = 'FAILED' AND f.deleted_at IS NULL AND {_ENDED_BADLY}"
            f"  AND {_STILL_THERE})"
            " OR EXISTS (SELECT 1 FROM batches o JOIN directory_files f"
            "  ON f.directory_id = o.source_directory_id WHERE o.id = :o AND f.deleted_at IS NULL"
            f"  AND f.pos > {_AFTER[kind]} AND (:k = 'CHANGED' OR f.pos <= o.last_pos))"
        ),
        {"o": old.id, "k": kind.value},
    )
    return bool(found.scalar_one())


async def too_many_new(session: AsyncSession, old: Batch, cap: int) -> bool:
    """Did more than `cap` files come to the directory since? Reads at most `cap + 1` index entries."""
    found = await session.execute(
        text(
            "SELECT true FROM directory_files WHERE directory_id = :d AND pos > :after"
            " AND deleted_at IS NULL ORDER BY pos OFFSET :cap LIMIT 1"
        ),
        {"d": old.source_directory_id, "after": old.last_pos, "cap": cap},
    )
    return found.scalar_one_or_none() is True


# Files of the old list need no new end; what changed ends where the directory ends now.
_LAST_POS = (
    "CASE :k WHEN 'FAILED' THEN o.last_pos ELSE greatest(o.last_pos, coalesce((SELECT max(f.pos)"
    " FROM directory_files f WHERE f.directory_id = o.source_directory_id), 0)) END"
)


async def add(session: AsyncSession, old: Batch, kind: RedriveKind) -> Batch:
    """Insert a PENDING batch over files of the old one, with its configuration as it was resolved then."""
    made = await session.execute(
        text(
            "INSERT INTO batches (project_id, source_directory_id, job_type, configuration_id, config,"
            "  weight, redrive_of, redrive_kind, cursor_pos, last_pos, vtime)"
            " SELECT o.project_id, o.source_directory_id, o.job_type, o.configuration_id, o.config,"
            f"  o.weight, o.id, :k, CASE :k WHEN 'FAILED' THEN -o.total ELSE 0 END, {_LAST_POS},"
            "  coalesce((SELECT min(vtime) FROM batches WHERE project_id = o.project_id"
            "   AND job_type = o.job_type AND wake_at IS NOT NULL), 0)"
            " FROM batches o WHERE o.id = :o RETURNING id"
        ),
        {"o": old.id, "k": kind.value},
    )
    found = await session.scalars(select(Batch).where(Batch.id == made.scalar_one()))
    return found.one()
