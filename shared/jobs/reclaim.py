"""The statements that take chunks away: from holders that were lost, for a stop, for new limits.

Lock order lane > batch > chunk > job, as everywhere. A chunk that is taken away from a holder loses its
token: whatever the holder still writes is refused.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.jobs.taken import HOOKED, TakenChunk
from shared.pausing import Point, reach

LOSSES_ALONE = 3


async def lengthen_all(session: AsyncSession, *, lease_s: float) -> int:
    """Give every holder one more lease; answers how many. For a sweeper that was away itself (rule 9)."""
    done = await session.execute(
        text(
            "UPDATE chunks SET due_at = greatest(due_at, now() + make_interval(secs => CAST(:s AS float8)))"
            " WHERE id IN (SELECT id FROM chunks WHERE state = 'TAKEN' ORDER BY id FOR UPDATE)"
        ),
        {"s": lease_s},
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


async def lock_expired(session: AsyncSession, *, limit: int) -> list[TakenChunk]:
    """Chunks whose lease ran out, locked; those another sweeper holds are skipped."""
    rows = await session.execute(
        text(
            "SELECT id, token, project_id, job_type, queue, batch_id, lo, hi, job_id, size, losses, stop,"
            f" {HOOKED} FROM chunks WHERE state = 'TAKEN' AND due_at < now()"
            " ORDER BY due_at LIMIT :n FOR UPDATE SKIP LOCKED"
        ),
        {"n": limit},
    )
    return [TakenChunk(*row) for row in rows]


async def lock_forgotten(session: AsyncSession, worker_id: UUID, held: Collection[UUID]) -> list[TakenChunk]:
    """Chunks that are TAKEN by this worker under a token it does not hold, locked; those another locks are
    skipped."""
    rows = await session.execute(
        text(
            "SELECT id, token, project_id, job_type, queue, batch_id, lo, hi, job_id, size, losses, stop,"
            f" {HOOKED} FROM chunks WHERE state = 'TAKEN' AND worker_id = :w"
            " AND NOT token = ANY(CAST(:held AS uuid[]))"
            " ORDER BY id FOR UPDATE SKIP LOCKED"
        ),
        {"w": worker_id, "held": list(held)},
    )
    return [TakenChunk(*row) for row in rows]


async def split(session: AsyncSession, chunk: TakenChunk, *, after: float = 0) -> int:
    """Replace a lost chunk by one READY chunk for each open job (WAITING, of a paused batch), at its old
    rank, and one DONE row for the rest. Answers the number of open jobs.

    The DONE row counts only jobs that were not handed on: one of them may end between the two reads,
    and must not be counted twice (protocol rule 21).
    """
    left = (
        await session.scalars(
            text(
                "SELECT seq FROM jobs WHERE batch_id = :batch AND seq BETWEEN :lo AND :hi"
                " AND status = 'PENDING' ORDER BY seq"
            ),
            chunk.place,
        )
    ).all()
    await reach(Point.SPLIT_READ)
    await session.execute(
        text(
            "WITH lost AS (DELETE FROM chunks WHERE id = :c RETURNING *), one_each AS ("
            "  INSERT INTO chunks (project_id, job_type, queue, batch_id, lo, hi, size, rank, losses, stop,"
            "   paused, state, due_at)"
            "  SELECT project_id, job_type, queue, batch_id, s, s, 1, rank, 0, stop, paused,"
            "   CASE WHEN paused THEN 'WAITING' ELSE 'READY' END, now()"
            "   + make_interval(secs => CAST(:after AS float8))"
            "  FROM lost, unnest(CAST(:left AS int[])) s)"
            " INSERT INTO chunks (project_id, job_type, queue, batch_id, lo, hi, size, rank, state, due_at,"
            "  ok, failed, cancelled)"
            " SELECT project_id, job_type, queue, batch_id, lo, hi, 0, rank, 'DONE', now(),"
            "  s.ok, s.failed, s.cancelled FROM lost, (SELECT"
            "   count(*) FILTER (WHERE status = 'COMPLETED' AND reused_from IS NULL) ok,"
            "   count(*) FILTER (WHERE status = 'FAILED') failed,"
            "   count(*) FILTER (WHERE status = 'CANCELLED') cancelled"
            "   FROM jobs WHERE batch_id = :batch AND seq BETWEEN :lo AND :hi"
            "   AND NOT seq = ANY(CAST(:left AS int[]))) s"
        ),
        {**chunk.place, "c": chunk.id, "left": list(left), "after": after},
    )
    return len(left)


async def count_loss(session: AsyncSession, chunk: TakenChunk, *, after: float, reason: str) -> None:
    """A file was lost alone: give it back with one more loss; the caller holds the chunk."""
    await session.execute(
        text(
            "UPDATE chunks SET state = CASE WHEN paused THEN 'WAITING' ELSE 'READY' END, token = NULL,"
            " losses = losses + 1, reason = :r,"
            " due_at = now() + make_interval(secs => CAST(:a AS float8)) WHERE id = :c"
        ),
        {"c": chunk.id, "a": after, "r": reason},
    )


async def drop_ready(session: AsyncSession, batch_id: UUID) -> list[UUID]:
    """For a stopped batch, under its lock: chunks that nobody holds become DONE, their jobs CANCELLED;
    answers which jobs."""
    ended = await session.scalars(
        text(
            "WITH gone AS MATERIALIZED (SELECT id, lo, hi FROM chunks WHERE batch_id = :b"
            "  AND state IN ('READY', 'WAITING') ORDER BY id FOR UPDATE)"
            " UPDATE jobs j SET status = 'CANCELLED', finished_at = now() FROM gone"
            " WHERE j.batch_id = :b AND j.seq BETWEEN gone.lo AND gone.hi AND j.status = 'PENDING'"
            " RETURNING j.id"
        ),
        {"b": batch_id},
    )
    await session.execute(
        text(
            "UPDATE chunks c SET state = 'DONE', due_at = now(), ok = s.ok, failed = s.failed,"
            " cancelled = s.cancelled FROM (SELECT g.id,"
            "  count(*) FILTER (WHERE j.status = 'COMPLETED' AND j.reused_from IS NULL) ok,"
            "  count(*) FILTER (WHERE j.status = 'FAILED') failed,"
            "  count(*) FILTER (WHERE j.status = 'CANCELLED') cancelled,"
            "  count(*) FILTER (WHERE j.status = 'PENDING') open"
            "  FROM chunks g JOIN jobs j ON j.batch_id = :b AND j.seq BETWEEN g.lo AND g.hi"
            "  WHERE g.batch_id = :b AND g.state IN ('READY', 'WAITING') GROUP BY g.id) s"
            " WHERE c.id = s.id AND c.state IN ('READY', 'WAITING') AND s.open = 0"
        ),
        {"b": batch_id},
    )
    return list(ended)


async def flag_stop(session: AsyncSession, batch_id: UUID) -> None:
    """Nothing of the batch starts any more; holders hear it at their next beat or flush.

    Lock, then flag: a chunk that is split or cut while this waits for it is gone afterwards, and what came
    in its place is seen by a later statement only (protocol rule 5).
    """
    live = "batch_id = :b AND state <> 'DONE' AND NOT stop"
    given = {"b": batch_id}
    await session.execute(text(f"SELECT id FROM chunks WHERE {live} ORDER BY id FOR UPDATE"), given)
    await session.execute(
        text(
            f"UPDATE chunks SET stop = true WHERE id IN (SELECT id FROM chunks WHERE {live} ORDER BY id"
            " FOR UPDATE)"
        ),
        given,
    )


async def hold_back(session: AsyncSession, batch_id: UUID) -> None:
    """For a pause, under the batch's lock: what was granted and not taken waits, and so does what its holders
    give back. What they hold runs to its end.

    Lock, then flag, as in `flag_stop`: a grant of a waiting chunk that is on its way holds it.
    """
    live = "batch_id = :b AND state <> 'DONE' AND NOT paused"
    given = {"b": batch_id}
    await session.execute(text(f"SELECT id FROM chunks WHERE {live} ORDER BY id FOR UPDATE"), given)
    await session.execute(
        text(
            "UPDATE chunks SET paused = true, state = CASE state WHEN 'READY' THEN 'WAITING' ELSE state END"
            f" WHERE id IN (SELECT id FROM chunks WHERE {live} ORDER BY id FOR UPDATE)"
        ),
        given,
    )


async def let_go(session: AsyncSession, batch_id: UUID) -> None:
    """The end of a pause: what it held back asks for a grant again. The caller holds the batch."""
    await session.execute(
        text(
            "UPDATE chunks SET paused = false WHERE id IN (SELECT id FROM chunks WHERE batch_id = :b"
            " AND paused ORDER BY id FOR UPDATE)"
        ),
        {"b": batch_id},
    )


async def recall(session: AsyncSession, project_id: UUID, job_type: str) -> None:
    """What the lane granted and nobody started waits for a grant again. The caller holds the lane."""
    await session.execute(
        text(
            "UPDATE chunks SET state = 'WAITING',"
            # What was given back for later keeps its time.
            " due_at = CASE WHEN reason IS NULL THEN least(due_at, now()) ELSE due_at END"
            " WHERE id IN (SELECT id FROM chunks WHERE project_id = :p AND job_type = :t"
            "  AND state = 'READY' ORDER BY id FOR UPDATE) AND state = 'READY'"
        ),
        {"p": project_id, "t": job_type},
    )


async def recut(session: AsyncSession, chunk_id: int, *, size: int) -> int:
    """Cut a waiting chunk of a batch, which the caller has locked, into chunks of at most `size` open files;
    answers how many there are now, 0 when it holds no open file and stays as it is.

    The pieces cover the range without a gap: files with an end lie in one of them and are counted by it.
    """
    done = await session.execute(
        text(
            "WITH cut AS (SELECT c.id, c.hi, j.seq,"
            "   (row_number() OVER (ORDER BY j.seq) - 1) / :k AS part FROM chunks c JOIN jobs j"
            "   ON j.batch_id = c.batch_id AND j.seq BETWEEN c.lo AND c.hi AND j.status = 'PENDING'"
            "   WHERE c.id = :c),"
            " parts AS (SELECT part, max(seq) AS last, count(*) AS n FROM cut GROUP BY part),"
            " gone AS (DELETE FROM chunks WHERE id IN (SELECT id FROM cut) RETURNING *)"
            " INSERT INTO chunks (project_id, job_type, queue, batch_id, lo, hi, size, rank, state, losses,"
            "  stop, paused, reason)"
            " SELECT g.project_id, g.job_type, g.queue, g.batch_id,"
            "  coalesce(lag(p.last) OVER (ORDER BY p.part) + 1, g.lo),"
            "  CASE WHEN lead(p.last) OVER (ORDER BY p.part) IS NULL THEN g.hi ELSE p.last END,"
            "  p.n, g.rank, 'WAITING', g.losses, g.stop, g.paused, g.reason FROM gone g, parts p"
        ),
        {"c": chunk_id, "k": size},
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


async def lock_around(
    session: AsyncSession, *, job_id: UUID, batch_id: UUID | None, seq: int | None
) -> tuple[TakenChunk, str] | None:
    """The live chunk that a job lies in and its state, locked; None when it lies in none."""
    where = "job_id = :job" if batch_id is None else "batch_id = :batch AND :seq BETWEEN lo AND hi"
    given = {"job": job_id} if batch_id is None else {"batch": batch_id, "seq": seq}
    row = (
        await session.execute(
            text(
                "SELECT id, token, project_id, job_type, queue, batch_id, lo, hi, job_id, size, losses,"
                f" stop, {HOOKED}, state FROM chunks WHERE {where} AND state <> 'DONE' FOR UPDATE"
            ),
            given,
        )
    ).one_or_none()
    return None if row is None else (TakenChunk(*row[:-1]), row[-1])


async def stop_one(session: AsyncSession, chunk: TakenChunk) -> None:
    """Its holder hears it at the next beat; the caller has locked the chunk."""
    await session.execute(text("UPDATE chunks SET stop = true WHERE id = :c"), {"c": chunk.id})


async def cancel_job(session: AsyncSession, job_id: UUID) -> bool:
    """End one job as CANCELLED; False when it has an end."""
    done = await session.execute(
        text(
            "UPDATE jobs SET status = 'CANCELLED', finished_at = now() WHERE id = :j AND status = 'PENDING'"
            " RETURNING true"
        ),
        {"j": job_id},
    )
    return done.scalar_one_or_none() is True
