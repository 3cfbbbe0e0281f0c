"""The statements on chunks: grant, take, beat, flush, close, release, sweep.

Each is one short READ COMMITTED transaction of its caller; lock order lane > batch > chunk > job.
Every move is one conditional UPDATE whose fence is the random token of the take (protocol rule 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

LEASE_S = 15.0
LOSSES_ALONE = 3


@dataclass(frozen=True, slots=True)
class TakenChunk:
    """A chunk this process holds: `token` is its fence, and part of the path of every result."""

    id: int
    token: UUID
    project_id: UUID
    job_type: str
    queue: str
    batch_id: UUID | None
    lo: int | None
    hi: int | None
    job_id: UUID | None
    size: int
    losses: int


@dataclass(frozen=True, slots=True)
class FileToRun:
    """A job of the chunk that has no end yet, and where its file's bytes lie (None: the file is gone)."""

    job_id: UUID
    name: str
    size_bytes: int
    storage_key: str | None


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How one job ended; `status` is COMPLETED, FAILED or CANCELLED."""

    job_id: UUID
    status: str
    code: str | None
    message: str | None
    retryable: bool | None
    result_key: str | None
    pages: int | None
    seconds: float | None
    engine: str | None


async def grant(session: AsyncSession, chunks: Sequence[dict[str, Any]]) -> None:
    """Insert READY chunks: keys project_id, job_type, queue, batch_id, lo, hi, job_id, size, rank."""
    await session.execute(
        text(
            "INSERT INTO chunks (project_id, job_type, queue, batch_id, lo, hi, job_id, size, rank)"
            " VALUES (:project_id, :job_type, :queue, :batch_id, :lo, :hi, :job_id, :size, :rank)"
        ),
        chunks,
    )


async def take(session: AsyncSession, queue: str, worker_id: UUID) -> TakenChunk | None:
    """Claim the best READY chunk of the queue; None when nothing is due. Skips what others hold."""
    row = (
        await session.execute(
            text(
                "UPDATE chunks SET state = 'TAKEN', token = gen_random_uuid(), worker_id = :w, reason = NULL,"
                " due_at = now() + make_interval(secs => CAST(:lease AS float8))"
                " WHERE id = (SELECT id FROM chunks WHERE queue = :q AND state = 'READY'"
                "  AND due_at <= now() ORDER BY rank, id LIMIT 1 FOR UPDATE SKIP LOCKED)"
                " RETURNING id, token, project_id, job_type, queue, batch_id, lo, hi, job_id, size, losses"
            ),
            {"q": queue, "w": worker_id, "lease": LEASE_S},
        )
    ).one_or_none()
    return None if row is None else TakenChunk(*row)


async def open_files(session: AsyncSession, chunk: TakenChunk) -> list[FileToRun]:
    """The jobs of the chunk that have not ended, in their order."""
    where = "j.id = :job" if chunk.job_id else "j.batch_id = :batch AND j.seq BETWEEN :lo AND :hi"
    rows = await session.execute(
        text(
            "SELECT j.id, j.name, j.size_bytes, f.storage_key"
            " FROM jobs j LEFT JOIN files f ON f.id = j.file_id"
            f" WHERE {where} AND j.status = 'PENDING' ORDER BY j.seq"
        ),
        _place(chunk),
    )
    return [FileToRun(*row) for row in rows]


async def beat(session: AsyncSession, chunk: TakenChunk) -> bool | None:
    """Renew the lease. Answers the chunk's stop flag, or None: fenced, another owns the work now."""
    await session.execute(text("SET LOCAL synchronous_commit = off"))
    found = await session.execute(
        text(
            "UPDATE chunks SET due_at = now() + make_interval(secs => CAST(:lease AS float8))"
            " WHERE id = :c AND token = :tok AND state = 'TAKEN' RETURNING stop"
        ),
        {"c": chunk.id, "tok": chunk.token, "lease": LEASE_S},
    )
    return found.scalar_one_or_none()


async def hold(session: AsyncSession, chunk: TakenChunk) -> bool | None:
    """Lock the chunk if the token still fits. Answers its stop flag, or None: fenced."""
    found = await session.execute(
        text("SELECT stop FROM chunks WHERE id = :c AND token = :tok AND state = 'TAKEN' FOR UPDATE"),
        {"c": chunk.id, "tok": chunk.token},
    )
    return found.scalar_one_or_none()


async def write_ends(session: AsyncSession, chunk: TakenChunk, ends: Sequence[JobEnd]) -> int:
    """Write ends onto jobs that have none; the caller holds the chunk. Answers how many were accepted."""
    done = await session.execute(
        text(
            "UPDATE jobs j SET status = u.status, error_code = u.code, error_message = u.message,"
            " retryable = u.retryable, result_key = u.key, pages = u.pages, seconds = u.seconds,"
            " engine = u.engine, token = :tok, finished_at = now()"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:codes AS text[]),"
            "  CAST(:messages AS text[]), CAST(:retryables AS bool[]), CAST(:keys AS text[]),"
            "  CAST(:pages AS int[]), CAST(:seconds AS float8[]), CAST(:engines AS text[]))"
            "  AS u(id, status, code, message, retryable, key, pages, seconds, engine)"
            " WHERE j.id = u.id AND j.status = 'PENDING'"
        ),
        {
            "tok": chunk.token,
            "ids": [end.job_id for end in ends],
            "statuses": [end.status for end in ends],
            "codes": [end.code for end in ends],
            "messages": [end.message for end in ends],
            "retryables": [end.retryable for end in ends],
            "keys": [end.result_key for end in ends],
            "pages": [end.pages for end in ends],
            "seconds": [end.seconds for end in ends],
            "engines": [end.engine for end in ends],
        },
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


async def cancel_open(session: AsyncSession, chunk: TakenChunk) -> None:
    """End what has no end in the chunk as CANCELLED; the caller holds the chunk."""
    where = "id = :job" if chunk.job_id else "batch_id = :batch AND seq BETWEEN :lo AND :hi"
    await session.execute(
        text(
            "UPDATE jobs SET status = 'CANCELLED', finished_at = now(), token = :tok"
            f" WHERE {where} AND status = 'PENDING'"
        ),
        {**_place(chunk), "tok": chunk.token},
    )


async def fail_open(session: AsyncSession, chunk: TakenChunk, *, code: str, message: str) -> None:
    """End what has no end in the chunk as FAILED; the caller holds the chunk."""
    where = "id = :job" if chunk.job_id else "batch_id = :batch AND seq BETWEEN :lo AND :hi"
    await session.execute(
        text(
            "UPDATE jobs SET status = 'FAILED', error_code = :code, error_message = :m, retryable = false,"
            f" finished_at = now(), token = :tok WHERE {where} AND status = 'PENDING'"
        ),
        {**_place(chunk), "tok": chunk.token, "code": code, "m": message},
    )


async def close(session: AsyncSession, chunk: TakenChunk, *, seconds: float) -> bool:
    """End the chunk with the counts of its range, taken from the jobs themselves (protocol rule 21).

    The caller holds the chunk. False when a job of it is still open: then nothing changes.
    """
    if chunk.job_id is not None:
        done = await session.execute(
            text(
                "DELETE FROM chunks c WHERE c.id = :c AND NOT EXISTS"
                " (SELECT 1 FROM jobs WHERE id = :job AND status = 'PENDING') RETURNING true"
            ),
            {"c": chunk.id, "job": chunk.job_id},
        )
    else:
        done = await session.execute(
            text(
                "UPDATE chunks c SET state = 'DONE', token = NULL, due_at = now(), seconds = :s,"
                " ok = s.ok, failed = s.failed, cancelled = s.cancelled FROM (SELECT"
                "  count(*) FILTER (WHERE status = 'COMPLETED') ok,"
                "  count(*) FILTER (WHERE status = 'FAILED') failed,"
                "  count(*) FILTER (WHERE status = 'CANCELLED') cancelled,"
                "  count(*) FILTER (WHERE status = 'PENDING') open"
                "  FROM jobs WHERE batch_id = :batch AND seq BETWEEN :lo AND :hi) s"
                " WHERE c.id = :c AND s.open = 0 RETURNING true"
            ),
            {**_place(chunk), "c": chunk.id, "s": seconds},
        )
    return done.scalar_one_or_none() is True


async def release(session: AsyncSession, chunk: TakenChunk, *, after: float, reason: str | None) -> bool:
    """Give the chunk back, due again in `after` seconds. No loss is counted. False: fenced."""
    done = await session.execute(
        text(
            "UPDATE chunks SET state = 'READY', token = NULL, reason = :r,"
            " due_at = now() + make_interval(secs => CAST(:a AS float8))"
            " WHERE id = :c AND token = :tok AND state = 'TAKEN' RETURNING true"
        ),
        {"c": chunk.id, "tok": chunk.token, "a": after, "r": reason},
    )
    return done.scalar_one_or_none() is True


async def live_of_batch(session: AsyncSession, batch_id: UUID) -> int:
    """How many chunks of the batch are READY or TAKEN."""
    found = await session.execute(
        text("SELECT count(*) FROM chunks WHERE batch_id = :b AND state <> 'DONE'"), {"b": batch_id}
    )
    return int(found.scalar_one())


async def ready_of_lane(session: AsyncSession, project_id: UUID, job_type: str) -> tuple[int, int]:
    """READY chunks of the lane, and the files in them."""
    found = await session.execute(
        text(
            "SELECT count(*), coalesce(sum(size), 0) FROM chunks"
            " WHERE project_id = :p AND job_type = :t AND state = 'READY'"
        ),
        {"p": project_id, "t": job_type},
    )
    count, files = found.one()
    return int(count), int(files)


async def bells_wanted(session: AsyncSession) -> list[tuple[str, int, int]]:
    """For each queue with due READY chunks: (queue, how many are due, how many are TAKEN)."""
    rows = await session.execute(
        text(
            "SELECT queue, count(*) FILTER (WHERE state = 'READY' AND due_at <= now()),"
            " count(*) FILTER (WHERE state = 'TAKEN') FROM chunks WHERE state <> 'DONE' GROUP BY queue"
        )
    )
    return [(queue, int(due), int(taken)) for queue, due, taken in rows if due]


async def taken_of_queue(session: AsyncSession, queue: str) -> int:
    """How many chunks of the queue run now."""
    found = await session.execute(
        text("SELECT count(*) FROM chunks WHERE queue = :q AND state = 'TAKEN'"), {"q": queue}
    )
    return int(found.scalar_one())


async def lengthen_all(session: AsyncSession) -> int:
    """Give every holder one more lease; answers how many. For a sweeper that was away itself (rule 9)."""
    done = await session.execute(
        text(
            "UPDATE chunks SET due_at = greatest(due_at, now() + make_interval(secs => CAST(:s AS float8)))"
            " WHERE id IN (SELECT id FROM chunks WHERE state = 'TAKEN' ORDER BY id FOR UPDATE)"
        ),
        {"s": LEASE_S},
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


async def lock_expired(session: AsyncSession, *, limit: int) -> list[TakenChunk]:
    """Chunks whose lease ran out, locked; those another sweeper holds are skipped."""
    rows = await session.execute(
        text(
            "SELECT id, token, project_id, job_type, queue, batch_id, lo, hi, job_id, size, losses"
            " FROM chunks WHERE state = 'TAKEN' AND due_at < now()"
            " ORDER BY due_at LIMIT :n FOR UPDATE SKIP LOCKED"
        ),
        {"n": limit},
    )
    return [TakenChunk(*row) for row in rows]


async def split(session: AsyncSession, chunk: TakenChunk, *, after: float = 0) -> int:
    """Replace a lost chunk by one READY chunk for each open job, at its old rank, and one DONE row for
    the rest. Answers the number of open jobs.

    The DONE row counts only jobs that were not handed on: one of them may end between the two reads,
    and must not be counted twice (protocol rule 21).
    """
    left = (
        await session.scalars(
            text(
                "SELECT seq FROM jobs WHERE batch_id = :batch AND seq BETWEEN :lo AND :hi"
                " AND status = 'PENDING' ORDER BY seq"
            ),
            _place(chunk),
        )
    ).all()
    await session.execute(
        text(
            "WITH lost AS (DELETE FROM chunks WHERE id = :c RETURNING *), one_each AS ("
            "  INSERT INTO chunks (project_id, job_type, queue, batch_id, lo, hi, size, rank, losses, stop,"
            "   due_at)"
            "  SELECT project_id, job_type, queue, batch_id, s, s, 1, rank, 0, stop,"
            "   now() + make_interval(secs => CAST(:after AS float8))"
            "  FROM lost, unnest(CAST(:left AS int[])) s)"
            " INSERT INTO chunks (project_id, job_type, queue, batch_id, lo, hi, size, rank, state, due_at,"
            "  ok, failed, cancelled)"
            " SELECT project_id, job_type, queue, batch_id, lo, hi, 0, rank, 'DONE', now(),"
            "  s.ok, s.failed, s.cancelled FROM lost, (SELECT"
            "   count(*) FILTER (WHERE status = 'COMPLETED') ok,"
            "   count(*) FILTER (WHERE status = 'FAILED') failed,"
            "   count(*) FILTER (WHERE status = 'CANCELLED') cancelled"
            "   FROM jobs WHERE batch_id = :batch AND seq BETWEEN :lo AND :hi"
            "   AND NOT seq = ANY(CAST(:left AS int[]))) s"
        ),
        {**_place(chunk), "c": chunk.id, "left": list(left), "after": after},
    )
    return len(left)


async def count_loss(session: AsyncSession, chunk: TakenChunk, *, after: float, reason: str) -> None:
    """A file was lost alone: give it back with one more loss; the caller holds the chunk."""
    await session.execute(
        text(
            "UPDATE chunks SET state = 'READY', token = NULL, losses = losses + 1, reason = :r,"
            " due_at = now() + make_interval(secs => CAST(:a AS float8)) WHERE id = :c"
        ),
        {"c": chunk.id, "a": after, "r": reason},
    )


async def drop_ready(session: AsyncSession, batch_id: UUID) -> None:
    """For a stopped batch, under its lock: READY chunks become DONE with their jobs CANCELLED."""
    await session.execute(
        text(
            "WITH gone AS MATERIALIZED (SELECT id, lo, hi FROM chunks WHERE batch_id = :b AND state = 'READY'"
            "  FOR UPDATE)"
            " UPDATE jobs j SET status = 'CANCELLED', finished_at = now() FROM gone"
            " WHERE j.batch_id = :b AND j.seq BETWEEN gone.lo AND gone.hi AND j.status = 'PENDING'"
        ),
        {"b": batch_id},
    )
    await session.execute(
        text(
            "UPDATE chunks c SET state = 'DONE', due_at = now(), ok = s.ok, failed = s.failed,"
            " cancelled = s.cancelled FROM (SELECT g.id,"
            "  count(*) FILTER (WHERE j.status = 'COMPLETED') ok,"
            "  count(*) FILTER (WHERE j.status = 'FAILED') failed,"
            "  count(*) FILTER (WHERE j.status = 'CANCELLED') cancelled,"
            "  count(*) FILTER (WHERE j.status = 'PENDING') open"
            "  FROM chunks g JOIN jobs j ON j.batch_id = :b AND j.seq BETWEEN g.lo AND g.hi"
            "  WHERE g.batch_id = :b AND g.state = 'READY' GROUP BY g.id) s"
            " WHERE c.id = s.id AND c.state = 'READY' AND s.open = 0"
        ),
        {"b": batch_id},
    )


async def flag_stop(session: AsyncSession, batch_id: UUID) -> None:
    """Tell the holders of the batch's chunks to stop; they hear it at their next beat or flush."""
    await session.execute(
        text(
            "UPDATE chunks SET stop = true WHERE id IN (SELECT id FROM chunks WHERE batch_id = :b"
            " AND state = 'TAKEN' AND NOT stop ORDER BY id FOR UPDATE)"
        ),
        {"b": batch_id},
    )


def _place(chunk: TakenChunk) -> dict[str, Any]:
    if chunk.job_id is not None:
        return {"job": chunk.job_id}
    return {"batch": chunk.batch_id, "lo": chunk.lo, "hi": chunk.hi}
