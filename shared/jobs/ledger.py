"""The statements on chunks that grant and hold them: grant, take, beat, flush, close, release.

Each is one short READ COMMITTED transaction of its caller; lock order lane > batch > chunk > job.
Every move is one conditional UPDATE whose fence is the random token of the take (protocol rule 1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.jobs.census import MAY_START
from shared.jobs.lifecycle import ChunkState
from shared.jobs.taken import HOOKED, FileToRun, JobEnd, TakenChunk

LEASE_S = 15.0


@dataclass(frozen=True, slots=True)
class WaitingChunk:
    """A chunk that asks to be granted; `batch_id` is None for a job that came alone."""

    id: int
    batch_id: UUID | None
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChunk:
    """A chunk to insert: a range of a batch, or one job alone. `state` is READY or WAITING; `due_in` is the
    seconds before which it may not start."""

    project_id: UUID
    job_type: str
    queue: str
    size: int
    rank: float
    batch_id: UUID | None = None
    lo: int | None = None
    hi: int | None = None
    job_id: UUID | None = None
    state: ChunkState = ChunkState.READY
    due_in: float = 0.0


async def grant(session: AsyncSession, chunks: Sequence[NewChunk]) -> None:
    """Insert chunks."""
    await session.execute(
        text(
            "INSERT INTO chunks (project_id, job_type, queue, batch_id, lo, hi, job_id, size, rank, state,"
            "  due_at)"
            " VALUES (:project_id, :job_type, :queue, :batch_id, :lo, :hi, :job_id, :size, :rank, :state,"
            "  now() + make_interval(secs => CAST(:due_in AS float8)))"
        ),
        [asdict(chunk) for chunk in chunks],
    )


async def waiting_of_lane(
    session: AsyncSession, project_id: UUID, job_type: str, *, limit: int, among: Sequence[UUID] | None
) -> list[WaitingChunk]:
    """Chunks of the lane that wait for a grant, in their order, locked; those that others hold are left
    out, those of batches that are not `among` the active ones (None: all are), and those of paused ones."""
    rows = await session.execute(
        text(
            "SELECT id, batch_id, size FROM chunks WHERE project_id = :p AND job_type = :t"
            " AND state = 'WAITING' AND NOT stop AND NOT paused AND due_at <= clock_timestamp()"
            " AND (batch_id IS NULL OR CAST(:among AS uuid[]) IS NULL"
            "  OR batch_id = ANY(CAST(:among AS uuid[])))"
            " ORDER BY rank, id LIMIT :n FOR UPDATE SKIP LOCKED"
        ),
        {"p": project_id, "t": job_type, "n": limit, "among": None if among is None else list(among)},
    )
    return [WaitingChunk(*row) for row in rows]


async def let_run(session: AsyncSession, due: Sequence[tuple[int, float]], *, virtual_now: float) -> None:
    """Grant waiting chunks that the caller has locked: (id, seconds before which it may not start). The time
    they waited for a limit is no credit: their rank is brought up to the queue's virtual time."""
    await session.execute(
        text(
            "UPDATE chunks c SET state = 'READY', reason = NULL,"
            " rank = greatest(c.rank, CAST(:now AS float8)),"
            " due_at = now() + make_interval(secs => u.due_in)"
            " FROM unnest(CAST(:ids AS bigint[]), CAST(:dues AS float8[])) AS u(id, due_in)"
            " WHERE c.id = u.id AND c.state = 'WAITING'"
        ),
        {"ids": [id_ for id_, _ in due], "dues": [due_in for _, due_in in due], "now": virtual_now},
    )


async def take(session: AsyncSession, queue: str, worker_id: UUID) -> TakenChunk | None:
    """Claim the best READY chunk of the queue; None when nothing is due. Skips what others hold, what is to
    stop, and lanes on hold."""
    row = (
        await session.execute(
            text(
                "UPDATE chunks SET state = 'TAKEN', token = gen_random_uuid(), worker_id = :w, reason = NULL,"
                " due_at = now() + make_interval(secs => CAST(:lease AS float8))"
                " WHERE id = (SELECT c.id FROM chunks c WHERE c.queue = :q AND c.state = 'READY'"
                f"  AND c.due_at <= now() AND {MAY_START} ORDER BY c.rank, c.id LIMIT 1"
                "  FOR UPDATE OF c SKIP LOCKED)"
                " RETURNING id, token, project_id, job_type, queue, batch_id, lo, hi, job_id, size, losses,"
                f" stop, {HOOKED}"
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
            "SELECT j.id, j.name, j.size_bytes, coalesce(p.result_key, f.storage_key),"
            "  p.result_key IS NOT NULL, CASE WHEN p.result_key IS NULL THEN f.source_version END"
            " FROM jobs j LEFT JOIN files f ON f.id = j.file_id AND j.parse_job_id IS NULL"
            " LEFT JOIN jobs p ON p.id = j.parse_job_id AND p.project_id = j.project_id"
            f" WHERE {where} AND j.status = 'PENDING' ORDER BY j.seq"
        ),
        chunk.place,
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
            " engine = u.engine, token = :tok, sha256 = coalesce(j.sha256, u.sha256), finished_at = now()"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:codes AS text[]),"
            "  CAST(:messages AS text[]), CAST(:retryables AS bool[]), CAST(:keys AS text[]),"
            "  CAST(:pages AS int[]), CAST(:seconds AS float8[]), CAST(:engines AS text[]),"
            "  CAST(:hashes AS bytea[]))"
            "  AS u(id, status, code, message, retryable, key, pages, seconds, engine, sha256)"
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
            "hashes": [end.sha256 for end in ends],
        },
    )
    if known := {end.job_id: end.sha256 for end in ends if end.sha256 is not None}:
        await _tell_hashes(session, known)
    return int(done.rowcount)  # type: ignore[attr-defined]


async def _tell_hashes(session: AsyncSession, known: Mapping[UUID, bytes]) -> None:
    """Note on the files of these jobs what their bytes are. Whoever holds such a row tells it the same, so
    nobody waits for it: two batches over one directory would wait for each other."""
    values = {"ids": list(known), "hashes": list(known.values())}
    for table, its_id in (("files", "file_id"), ("directory_files", "directory_file_id")):
        await session.execute(
            text(
                "WITH told AS MATERIALIZED (SELECT t.id, u.sha256"
                "  FROM unnest(CAST(:ids AS uuid[]), CAST(:hashes AS bytea[])) AS u(id, sha256)"
                f"  JOIN jobs j ON j.id = u.id JOIN {table} t ON t.id = j.{its_id}"
                "  WHERE t.sha256 IS NULL FOR NO KEY UPDATE OF t SKIP LOCKED)"
                f" UPDATE {table} t SET sha256 = told.sha256 FROM told WHERE t.id = told.id"
            ),
            values,
        )


async def cancel_open(session: AsyncSession, chunk: TakenChunk) -> None:
    """End what has no end in the chunk as CANCELLED; the caller holds the chunk."""
    where = "id = :job" if chunk.job_id else "batch_id = :batch AND seq BETWEEN :lo AND :hi"
    await session.execute(
        text(
            "UPDATE jobs SET status = 'CANCELLED', finished_at = now(), token = :tok"
            f" WHERE {where} AND status = 'PENDING'"
        ),
        {**chunk.place, "tok": chunk.token},
    )


async def fail_open(session: AsyncSession, chunk: TakenChunk, *, code: str, message: str) -> None:
    """End what has no end in the chunk as FAILED; the caller holds the chunk."""
    where = "id = :job" if chunk.job_id else "batch_id = :batch AND seq BETWEEN :lo AND :hi"
    await session.execute(
        text(
            "UPDATE jobs SET status = 'FAILED', error_code = :code, error_message = :m, retryable = false,"
            f" finished_at = now(), token = :tok WHERE {where} AND status = 'PENDING'"
        ),
        {**chunk.place, "tok": chunk.token, "code": code, "m": message},
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
                "  count(*) FILTER (WHERE status = 'COMPLETED' AND reused_from IS NULL) ok,"
                "  count(*) FILTER (WHERE status = 'FAILED') failed,"
                "  count(*) FILTER (WHERE status = 'CANCELLED') cancelled,"
                "  count(*) FILTER (WHERE status = 'PENDING') open"
                "  FROM jobs WHERE batch_id = :batch AND seq BETWEEN :lo AND :hi) s"
                " WHERE c.id = :c AND s.open = 0 RETURNING true"
            ),
            {**chunk.place, "c": chunk.id, "s": seconds},
        )
    return done.scalar_one_or_none() is True


async def release(session: AsyncSession, chunk: TakenChunk, *, after: float, reason: str | None) -> bool:
    """Give the chunk back, due again in `after` seconds. No loss is counted. False: fenced.

    For later, in a lane with limits or on hold, it waits for a grant then: it must not fill a place
    meanwhile. The caller has seen to it that the lane looks then. Of a paused batch it waits for the resume.
    """
    where = "id = :job" if chunk.job_id else "batch_id = :batch AND seq BETWEEN :lo AND :hi"
    done = await session.execute(
        text(
            "UPDATE chunks SET token = NULL, reason = :r,"
            " size = (SELECT greatest(count(*), 1) FROM jobs"
            f"  WHERE {where} AND status = 'PENDING'),"
            " state = CASE WHEN paused OR CAST(:a AS float8) > 0 AND EXISTS (SELECT 1 FROM lanes l"
            "   WHERE l.project_id = chunks.project_id AND l.job_type = chunks.job_type"
            "   AND (num_nonnulls(l.max_jobs, l.jobs_per_minute) > 0 OR l.hold_until > now()))"
            "  THEN 'WAITING' ELSE 'READY' END,"
            " due_at = now() + make_interval(secs => CAST(:a AS float8))"
            " WHERE id = :c AND token = :tok AND state = 'TAKEN' RETURNING true"
        ),
        {**chunk.place, "c": chunk.id, "tok": chunk.token, "a": after, "r": reason},
    )
    return done.scalar_one_or_none() is True
