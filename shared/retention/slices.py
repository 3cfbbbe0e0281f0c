"""The statements of retention: each hides or removes at most a slice, and skips what somebody holds.

A row goes in the same commit that dooms its blob (decision 23). Ids are time-ordered, so what is too young is
never walked: it has a larger id than one made now for that moment. All times are the database's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.retention.terms import BLOB_GRACE_S, HIDDEN_FOR_S, SLICE, SLICE_OF_FILES

_AGO = "now() - make_interval(days => :days)"
_BEFORE_ID = "uuidv7(-make_interval(days => :days))"
_DOOM = (
    "INSERT INTO doomed_blobs (key, project_id, due_at)"
    f" SELECT key, project_id, now() + interval '{BLOB_GRACE_S:.0f} s' FROM gone"
    # What has a scheme is a document that lies somewhere else, and is not ours to remove.
    " WHERE key IS NOT NULL AND position('://' in key) = 0 ON CONFLICT DO NOTHING"
)
# What is gone is not found again.
_FORGET = (
    "DELETE FROM reusable_results r USING gone WHERE r.project_id = gone.project_id"
    " AND r.sha256 = gone.sha256 AND r.job_id = gone.id"
)
_HIDDEN_LONG = f"deleted_at < now() - interval '{HIDDEN_FOR_S:.0f} s'"
_READ_BY_A_BATCH = (
    "EXISTS (SELECT 1 FROM directory_files e JOIN batches b ON b.source_directory_id = e.directory_id"
    " WHERE e.file_id = f.id AND b.wake_at IS NOT NULL)"
)
_READ_ALONE = (
    "f.id IN (SELECT j.file_id FROM chunks c JOIN jobs j ON j.id = c.job_id WHERE c.job_id IS NOT NULL)"
)
NEEDED = f"({_READ_BY_A_BATCH} OR {_READ_ALONE})"
"""Does a batch or a job that is not final need the file `f`? (protocol rule 7)"""
_REDRIVEN = "EXISTS (SELECT 1 FROM batches r WHERE r.redrive_of = b.id AND r.wake_at IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class Leaving:
    """A hidden directory, locked by the caller."""

    id: UUID
    deleted_at: datetime


async def purge_results_alone(session: AsyncSession, project_id: UUID, days: int) -> int:
    """Take the results of a slice of jobs that came alone and ended so many days ago."""
    return await _count(
        session,
        "WITH due AS MATERIALIZED (SELECT id FROM jobs WHERE project_id = :p AND batch_id IS NULL"
        f"  AND purged_at IS NULL AND id < {_BEFORE_ID} AND status = 'COMPLETED' AND finished_at < {_AGO}"
        "  ORDER BY id LIMIT :n FOR NO KEY UPDATE SKIP LOCKED),"
        " gone AS (UPDATE jobs SET purged_at = now() FROM due WHERE jobs.id = due.id"
        "  RETURNING jobs.result_key AS key, jobs.project_id, jobs.sha256, jobs.id),"
        f" forgotten AS ({_FORGET}), doomed AS ({_DOOM}) SELECT count(*) FROM gone",
        {"p": project_id, "days": days, "n": SLICE},
    )


async def purge_results_of_a_batch(session: AsyncSession, project_id: UUID, days: int) -> int:
    """Take the results of the next slice of one batch that ended so many days ago; answers how many files
    were looked at, 0: there is no such batch."""
    found = await session.execute(
        text(
            "SELECT id, purged_seq, total FROM batches b WHERE project_id = :p AND finished_at IS NOT NULL"
            f" AND finished_at < {_AGO} AND purged_at IS NULL"
            " ORDER BY finished_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"
        ),
        {"p": project_id, "days": days},
    )
    row = found.one_or_none()
    if row is None:
        return 0
    batch_id, seq, total = row
    given = {"b": batch_id, "lo": seq, "hi": seq + SLICE}
    await _count(
        session,
        "WITH gone AS (UPDATE jobs SET purged_at = now() WHERE batch_id = :b AND seq > :lo AND seq <= :hi"
        "  AND status = 'COMPLETED' AND purged_at IS NULL RETURNING result_key AS key, project_id,"
        f"   sha256, id), forgotten AS ({_FORGET}), doomed AS ({_DOOM}) SELECT count(*) FROM gone",
        given,
    )
    done = "now()" if seq + SLICE >= total else "NULL"
    await session.execute(
        text(f"UPDATE batches SET purged_seq = :hi, purged_at = {done} WHERE id = :b"),
        {"b": batch_id, "hi": min(seq + SLICE, total)},
    )
    return max(min(int(total - seq), SLICE), 1)


async def remove_jobs_alone(session: AsyncSession, project_id: UUID, days: int) -> int:
    """Remove a slice of jobs that came alone and ended so many days ago, with what they made."""
    return await _count(
        session,
        "WITH due AS MATERIALIZED (SELECT id FROM jobs WHERE project_id = :p AND batch_id IS NULL"
        f"  AND id < {_BEFORE_ID} AND finished_at < {_AGO}"
        "  ORDER BY id LIMIT :n FOR UPDATE SKIP LOCKED),"
        " gone AS (DELETE FROM jobs USING due WHERE jobs.id = due.id RETURNING jobs.project_id,"
        "  jobs.sha256, jobs.id, CASE WHEN jobs.purged_at IS NULL THEN jobs.result_key END AS key),"
        f" forgotten AS ({_FORGET}), doomed AS ({_DOOM}) SELECT count(*) FROM gone",
        {"p": project_id, "days": days, "n": SLICE},
    )


async def hide_batches(session: AsyncSession, project_id: UUID, days: int) -> int:
    """Hide a slice of batches that ended so many days ago, unless a batch that is not final redrives them."""
    return await _count(
        session,
        "WITH due AS MATERIALIZED (SELECT id FROM batches b WHERE project_id = :p AND deleted_at IS NULL"
        f"  AND finished_at < {_AGO} AND NOT {_REDRIVEN}"
        "  ORDER BY finished_at LIMIT :n FOR NO KEY UPDATE SKIP LOCKED),"
        " gone AS (UPDATE batches SET deleted_at = now() FROM due WHERE batches.id = due.id RETURNING 1)"
        " SELECT count(*) FROM gone",
        {"p": project_id, "days": days, "n": SLICE},
    )


async def remove_from_a_batch(session: AsyncSession) -> int:
    """Remove a slice of the jobs of one hidden batch, with the last slice the batch itself; answers how many
    rows went, 0: there is no such batch."""
    found = await session.execute(
        text(
            f"SELECT id, source_directory_id FROM batches b WHERE {_HIDDEN_LONG}"
            f" AND finished_at IS NOT NULL AND NOT {_REDRIVEN} ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
        )
    )
    row = found.one_or_none()
    if row is None:
        return 0
    removed = await _count(
        session,
        "WITH due AS MATERIALIZED (SELECT id FROM jobs WHERE batch_id = :b ORDER BY seq LIMIT :n FOR UPDATE),"
        " gone AS (DELETE FROM jobs USING due WHERE jobs.id = due.id RETURNING jobs.project_id,"
        "  jobs.sha256, jobs.id, CASE WHEN jobs.purged_at IS NULL THEN jobs.result_key END AS key),"
        f" forgotten AS ({_FORGET}), doomed AS ({_DOOM}) SELECT count(*) FROM gone",
        {"b": row.id, "n": SLICE},
    )
    if removed < SLICE:
        for statement in (
            "DELETE FROM batch_events WHERE batch_id = :b",
            "UPDATE batches SET redrive_of = NULL WHERE redrive_of = :b",
            "DELETE FROM batches WHERE id = :b",
        ):
            await session.execute(text(statement), {"b": row.id})
        await _forget_directory(session, row.source_directory_id)
        removed += 1
    return removed


async def hide_files(
    session: AsyncSession, project_id: UUID, days: int, after: UUID
) -> tuple[int, UUID | None]:
    """Hide a slice of files that are so many days old and that nothing open needs, and their places in
    directories; answers how many, and the id after which the next slice begins (None: there is none)."""
    found = await session.execute(
        text(
            "WITH seen AS MATERIALIZED (SELECT id, storage_key FROM files WHERE project_id = :p"
            f"  AND id > :after AND id < {_BEFORE_ID} AND created_at < {_AGO} AND deleted_at IS NULL"
            "  ORDER BY id LIMIT :n),"
            " due AS MATERIALIZED (SELECT f.id FROM files f JOIN seen ON seen.id = f.id"
            f"  WHERE position('://' in f.storage_key) = 0 AND NOT {NEEDED}"
            "  FOR NO KEY UPDATE OF f SKIP LOCKED),"
            " places AS (UPDATE directory_files SET deleted_at = now(), updated_at = now() FROM due"
            "  WHERE file_id = due.id AND deleted_at IS NULL),"
            " gone AS (UPDATE files SET deleted_at = now() FROM due WHERE files.id = due.id RETURNING 1)"
            " SELECT (SELECT count(*) FROM gone), (SELECT max(id::text) FROM seen)"
        ),
        {"p": project_id, "days": days, "after": after, "n": SLICE_OF_FILES},
    )
    count, last = found.one()
    return int(count), None if last is None else UUID(last)


async def remove_files(session: AsyncSession, after: UUID) -> tuple[int, UUID | None]:
    """Remove a slice of files that were hidden long enough: none that a live directory holds, and none that
    something open needs. Answers how many, and the id after which the next slice begins (None: there is
    none)."""
    found = await session.execute(
        text(
            f"WITH seen AS MATERIALIZED (SELECT id FROM files WHERE id > :after AND {_HIDDEN_LONG}"
            "  ORDER BY id LIMIT :n),"
            " due AS MATERIALIZED (SELECT f.id FROM files f JOIN seen ON seen.id = f.id"
            f"  WHERE NOT {NEEDED} AND NOT EXISTS (SELECT 1 FROM directory_files e"
            "   JOIN directories d ON d.id = e.directory_id"
            "   WHERE e.file_id = f.id AND e.deleted_at IS NULL AND d.deleted_at IS NULL)"
            "  FOR UPDATE OF f SKIP LOCKED)"
            " SELECT (SELECT array_agg(id) FROM due), (SELECT max(id::text) FROM seen)"
        ),
        {"after": after, "n": SLICE_OF_FILES},
    )
    due, last = found.one()
    if due:
        await session.execute(text("DELETE FROM directory_files WHERE file_id = ANY(:ids)"), {"ids": due})
        await _count(
            session,
            "WITH gone AS (DELETE FROM files WHERE id = ANY(:ids) RETURNING storage_key AS key, project_id),"
            f" doomed AS ({_DOOM}) SELECT count(*) FROM gone",
            {"ids": due},
        )
    return len(due or ()), None if last is None else UUID(last)


async def remove_old_answers(session: AsyncSession) -> int:
    """Remove a slice of answers that nobody is given any more."""
    return await _count(
        session,
        "WITH due AS MATERIALIZED (SELECT id FROM answers WHERE expires_at < now() ORDER BY expires_at"
        "  LIMIT :n FOR UPDATE SKIP LOCKED),"
        " gone AS (DELETE FROM answers USING due WHERE answers.id = due.id RETURNING 1)"
        " SELECT count(*) FROM gone",
        {"n": SLICE},
    )


async def hide_expired_directories(session: AsyncSession) -> int:
    """Note of a slice of directories that their time is over."""
    return await _count(
        session,
        "WITH due AS MATERIALIZED (SELECT id FROM directories WHERE expires_at IS NOT NULL"
        "  AND expires_at < now() AND deleted_at IS NULL ORDER BY expires_at LIMIT :n"
        "  FOR NO KEY UPDATE SKIP LOCKED),"
        " gone AS (UPDATE directories SET deleted_at = expires_at, updated_at = now() FROM due"
        "  WHERE directories.id = due.id RETURNING 1) SELECT count(*) FROM gone",
        {"n": SLICE},
    )


async def next_leaving(session: AsyncSession) -> Leaving | None:
    """A directory that was hidden long enough and that no open batch reads, locked."""
    found = await session.execute(
        text(
            f"SELECT id, deleted_at FROM directories d WHERE {_HIDDEN_LONG} AND emptied_at IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.source_directory_id = d.id"
            "  AND b.wake_at IS NOT NULL)"
            " ORDER BY deleted_at LIMIT 1 FOR UPDATE SKIP LOCKED"
        )
    )
    row = found.one_or_none()
    return None if row is None else Leaving(*row)


async def empty(session: AsyncSession, directory: Leaving) -> int:
    """Remove a slice of the directory's places, and hide the files that came through it and lie nowhere else;
    after the last slice the directory is noted as empty, and gone when no batch names it."""
    removed = await _count(
        session,
        "WITH due AS MATERIALIZED (SELECT id, file_id FROM directory_files WHERE directory_id = :d"
        "  ORDER BY pos LIMIT :n FOR UPDATE),"
        " gone AS (DELETE FROM directory_files e USING due WHERE e.id = due.id RETURNING e.file_id),"
        # Without a purpose it was uploaded into a directory; with one it is a file of its own.
        " hidden AS (UPDATE files SET deleted_at = :at WHERE id IN (SELECT file_id FROM due)"
        "  AND purpose IS NULL AND deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM directory_files e"
        "   WHERE e.file_id = files.id AND e.deleted_at IS NULL AND e.directory_id <> :d))"
        " SELECT count(*) FROM gone",
        {"d": directory.id, "at": directory.deleted_at, "n": SLICE_OF_FILES},
    )
    if removed < SLICE_OF_FILES:
        await session.execute(
            text("UPDATE directories SET emptied_at = now() WHERE id = :d"), {"d": directory.id}
        )
        await _forget_directory(session, directory.id)
    return removed + 1


async def _forget_directory(session: AsyncSession, directory_id: UUID) -> None:
    await session.execute(
        text(
            "DELETE FROM directories d WHERE id = :d AND emptied_at IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.source_directory_id = d.id)"
            " AND NOT EXISTS (SELECT 1 FROM directory_files e WHERE e.directory_id = d.id)"
        ),
        {"d": directory_id},
    )


async def _count(session: AsyncSession, statement: str, given: dict[str, Any]) -> int:
    found = await session.execute(text(statement), given)
    return int(found.scalar_one())
