"""The statements of advance and dispatch: lock, feed, fold, settle.

Everything that can open work first holds the batch's row (protocol rule 5): lock in one statement, ask in
the next, READ COMMITTED.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared.batches.telling import FAILURES, NEWS, PROGRESS, bound, telling
from shared.db.savepoint import apart

MOST_FAILURES: Final = 20
"""Files that failed and are named in one event; all of them are counted."""


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch that is not final, locked by the caller. `told`: some webhook is told of it, `hooked`: of its
    jobs. `folded`: the caller folded ends of it, told to nobody, and `failures` are files that failed there.
    """

    id: UUID
    project_id: UUID
    job_type: str
    directory_id: UUID
    status: str
    spread_done: bool
    total: int
    fed_seq: int
    stop_as: str | None
    paused: bool
    redrive: bool
    has_threshold: bool
    seconds_per_file: float | None
    weight: float
    vtime: float
    strikes: int
    told: bool = False
    hooked: bool = False
    folded: bool = False
    failures: Sequence[Any] = ()


_FIELDS = (
    "id, project_id, job_type, source_directory_id, status, spread_done, total, fed_seq, stop_as,"
    " paused_at IS NOT NULL, redrive_of IS NOT NULL, num_nonnulls(fail_limit, fail_percent) > 0,"
    " seconds_per_file, weight, vtime, strikes,"
    " EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.owner_id = batches.id AND e.about = 'BATCH'),"
    " EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.owner_id = batches.id AND e.about = 'JOBS')"
)


async def lock(session: AsyncSession, batch_id: UUID) -> OpenBatch | None:
    """Wait for the batch's row, at most 2 s; None when it is final or unknown."""
    await session.execute(text("SET LOCAL lock_timeout = '2s'"))
    return await _locked(session, batch_id, "")


async def lock_if_free(session: AsyncSession, batch_id: UUID) -> OpenBatch | None:
    """The batch's row without waiting; None when it is final, unknown, or somebody holds it."""
    return await _locked(session, batch_id, "SKIP LOCKED")


async def _locked(session: AsyncSession, batch_id: UUID, how: str) -> OpenBatch | None:
    row = (
        await session.execute(
            text(
                f"SELECT {_FIELDS} FROM batches WHERE id = :b AND wake_at IS NOT NULL FOR NO KEY UPDATE {how}"
            ),
            {"b": batch_id},
        )
    ).one_or_none()
    return None if row is None else OpenBatch(*row)


async def start(session: AsyncSession, batch_id: UUID) -> None:
    """PENDING becomes RUNNING, and the next look is set before any work is done."""
    await session.execute(
        text(
            "UPDATE batches SET status = CASE status WHEN 'PENDING' THEN 'RUNNING' ELSE status END,"
            " started_at = coalesce(started_at, now()), updated_at = now(), wake_at = now() + interval '5 s'"
            " WHERE id = :b AND wake_at IS NOT NULL"
        ),
        {"b": batch_id},
    )


async def directory_is_live(session: AsyncSession, directory_id: UUID) -> bool:
    """Is the directory there, neither deleted nor expired?"""
    found = await session.execute(
        text(
            "SELECT true FROM directories WHERE id = :d AND deleted_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > now())"
        ),
        {"d": directory_id},
    )
    return found.scalar_one_or_none() is True


async def cut(
    session: AsyncSession, batch: OpenBatch, *, size: int, most: int
) -> Sequence[tuple[int, int, int]]:
    """The next at most `most` ranges of about `size` open files: (first, last, open files).

    Ranges follow each other without a gap; files that already have an end lie inside one and are counted
    with it. The last range reaches to the end when nothing open is left behind it.
    """
    rows = (
        await session.execute(
            text(
                "SELECT max(seq), count(*) FROM (SELECT seq,"
                "  (row_number() OVER (ORDER BY seq) - 1) / :k AS part"
                "  FROM (SELECT seq FROM jobs WHERE batch_id = :b AND seq > :fed AND status = 'PENDING'"
                "   ORDER BY seq LIMIT :n) open) parts GROUP BY part ORDER BY part"
            ),
            {"b": batch.id, "fed": batch.fed_seq, "k": size, "n": size * most},
        )
    ).all()
    ends = [int(last) for last, _ in rows]
    counts = [int(count) for _, count in rows]
    if sum(counts) < size * most and batch.fed_seq < batch.total:
        if ends:
            ends[-1] = batch.total
        else:
            ends, counts = [batch.total], [0]
    starts = [batch.fed_seq + 1, *(end + 1 for end in ends[:-1])]
    return list(zip(starts, ends, counts, strict=True))


_FEED: Final = text(
    telling(
        "UPDATE batches SET fed_seq = :fed, vtime = :v, wait = NULL,"
        " status = CASE WHEN status = 'THROTTLED' THEN 'RUNNING' ELSE status END,"
        f" event_no = event_no + CASE WHEN status = 'THROTTLED' OR {NEWS} THEN 1 ELSE 0 END"
        " WHERE id = :b AND wake_at IS NOT NULL",
        kind=f"CASE b.status_was WHEN b.status THEN '{PROGRESS}' ELSE 'batch.running' END",
        data=FAILURES,
    )
)


async def feed(session: AsyncSession, batch: OpenBatch, *, fed_seq: int, vtime: float) -> None:
    """Note how far the batch was granted, and tell what is new of it; a grant ends a wait. `wake_at` stays:
    the directory may still be being read, and a reader that died must be missed soon."""
    await session.execute(_FEED, {"b": batch.id, "fed": fed_seq, "v": vtime, "f": bound(batch.failures)})


async def count_ended(session: AsyncSession, batch: OpenBatch, lo: int, hi: int) -> None:
    """A range without open files: a DONE chunk that carries its counts to the next fold."""
    await session.execute(
        text(
            "INSERT INTO chunks (project_id, job_type, queue, batch_id, lo, hi, size, rank, state,"
            "  ok, failed, cancelled)"
            " SELECT :p, :t, '', :b, :lo, :hi, 0, 0, 'DONE',"
            "  count(*) FILTER (WHERE status = 'COMPLETED' AND reused_from IS NULL),"
            "  count(*) FILTER (WHERE status = 'FAILED'), count(*) FILTER (WHERE status = 'CANCELLED')"
            " FROM jobs WHERE batch_id = :b AND seq BETWEEN :lo AND :hi"
        ),
        {"p": batch.project_id, "t": batch.job_type, "b": batch.id, "lo": lo, "hi": hi},
    )


class Folded(NamedTuple):
    """What a fold brought: the batch's new seconds per file, some of the files that failed, and whether there
    was anything to fold."""

    pace: float | None
    failures: Sequence[Any]
    anything: bool


# LATERAL with a limit: the planner must not walk through the whole batch for a chunk's failures.
_FOLD: Final = text(
    "WITH d AS (DELETE FROM chunks WHERE batch_id = :b AND state = 'DONE'"
    "  RETURNING ok, failed, cancelled, seconds, size, lo, hi),"
    " s AS (SELECT coalesce(sum(ok), 0) ok, coalesce(sum(failed), 0) failed,"
    "  coalesce(sum(cancelled), 0) cancelled,"
    "  sum(seconds) FILTER (WHERE seconds > 0) /"
    "   nullif(sum(size) FILTER (WHERE seconds > 0), 0) AS pace, count(*) AS n FROM d),"
    " f AS (SELECT jsonb_agg(jsonb_build_object('job', id, 'kind', job_type, 'file', directory_file_id,"
    "   'name', left(name, 200), 'code', error_code)) AS failures"
    "  FROM (SELECT j.* FROM d CROSS JOIN LATERAL (SELECT id, job_type, directory_file_id, name, error_code"
    "    FROM jobs WHERE batch_id = :b AND seq BETWEEN d.lo AND d.hi AND status = 'FAILED' ORDER BY seq"
    "    LIMIT :most) j"
    "   WHERE d.failed > 0 LIMIT :most) named)"
    " UPDATE batches b SET ok = b.ok + s.ok, failed = b.failed + s.failed,"
    "  cancelled = b.cancelled + s.cancelled, updated_at = now(),"
    "  seconds_per_file = coalesce((b.seconds_per_file + s.pace) / 2, s.pace, b.seconds_per_file)"
    " FROM s, f WHERE b.id = :b AND s.n > 0 RETURNING b.seconds_per_file, f.failures"
)


async def fold(session: AsyncSession, batch_id: UUID) -> Folded:
    """Move the counts of DONE chunks into the batch."""
    found = (await session.execute(_FOLD, {"b": batch_id, "most": MOST_FAILURES})).one_or_none()
    return Folded(None, (), False) if found is None else Folded(found[0], found[1] or (), True)


async def fold_apart(session: AsyncSession, batch: OpenBatch) -> OpenBatch | None:
    """The batch with its counts folded and its new pace; None when its sums cannot be right: then nothing of
    it changed, and the caller's transaction goes on."""
    try:
        async with apart(session):
            folded = await fold(session, batch.id)
    except IntegrityError:
        return None
    return replace(
        batch,
        seconds_per_file=folded.pace or batch.seconds_per_file,
        folded=folded.anything,
        failures=folded.failures,
    )


_RESUME: Final = text(
    telling(
        "UPDATE batches SET status = 'RUNNING', wait = NULL, updated_at = now(), event_no = event_no + 1"
        " WHERE id = :b AND status = 'THROTTLED' AND EXISTS (SELECT 1 FROM chunks WHERE batch_id = :b"
        "  AND state IN ('READY', 'TAKEN'))",
        kind="'batch.running'",
    )
)


async def resume_if_live(session: AsyncSession, batch_id: UUID) -> None:
    """A THROTTLED batch of which something is granted is RUNNING, whoever failed to say so; the caller holds
    it."""
    await session.execute(_RESUME, {"b": batch_id})


async def settle(session: AsyncSession, batch_id: UUID) -> str | None:
    """The one final move, when the sums agree and nothing is left; answers the end state or None.

    The caller holds the batch's row since an earlier statement: asked in the same statement as the lock,
    `NOT EXISTS` would see an old snapshot (protocol rule 5).
    """
    found = await session.execute(
        text(
            "UPDATE batches b SET status = coalesce(stop_as, 'COMPLETED'), finished_at = now(),"
            " updated_at = now(), wake_at = NULL, wait = NULL"
            " WHERE id = :b AND wake_at IS NOT NULL AND (spread_done OR stop_at IS NOT NULL)"
            " AND ok + failed + cancelled + unmapped = total"
            " AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.batch_id = b.id) RETURNING status"
        ),
        {"b": batch_id},
    )
    return found.scalar_one_or_none()


async def wake_in(session: AsyncSession, batch_id: UUID, seconds: float) -> None:
    """Set the next look; clears the strikes, for the look that ends here went well."""
    await session.execute(
        text(
            "UPDATE batches SET wake_at = now() + make_interval(secs => CAST(:s AS float8)), strikes = 0"
            " WHERE id = :b AND wake_at IS NOT NULL"
        ),
        {"b": batch_id, "s": seconds},
    )


async def may_ring_again(session: AsyncSession, batch_id: UUID) -> bool:
    """Did this call win the right to ring the batch again? One does every half second (rule 14a)."""
    won = await session.execute(
        text(
            "UPDATE batches SET rung_at = now() WHERE id = :b AND rung_at < now() - interval '500 ms'"
            " RETURNING true"
        ),
        {"b": batch_id},
    )
    return won.scalar_one_or_none() is True


async def strike(session: AsyncSession, batch_id: UUID) -> int | None:
    """Count a look that threw, and wait longer before the next; answers the strikes so far."""
    found = await session.execute(
        text(
            "UPDATE batches SET strikes = strikes + 1,"
            " wake_at = now() + make_interval(secs => least(30, power(2, strikes)))"
            " WHERE id = :b AND wake_at IS NOT NULL RETURNING strikes"
        ),
        {"b": batch_id},
    )
    return found.scalar_one_or_none()


async def is_anything_due(session: AsyncSession) -> bool:
    """Whether a batch or a lane is due, or a chunk is there that may be lost or want a bell or a fold: one
    question for all sweeps."""
    found = await session.execute(
        text(
            "SELECT EXISTS (SELECT FROM batches WHERE wake_at <= now())"
            " OR EXISTS (SELECT FROM lanes WHERE wake_at <= now())"
            " OR EXISTS (SELECT FROM chunks WHERE state IN ('READY', 'TAKEN', 'DONE') AND due_at <= now())"
        )
    )
    return bool(found.scalar_one())


async def wake_finished(session: AsyncSession, *, limit: int) -> None:
    """Make batches due whose ended chunks nobody folded for two seconds; each at most every five, so that
    bells do not pile up while nobody hears them (protocol rule 14b)."""
    await session.execute(
        text(
            "UPDATE batches SET wake_at = now(), rung_at = now() WHERE id IN ("
            " SELECT b.id FROM batches b WHERE b.wake_at IS NOT NULL"
            "  AND b.rung_at < now() - interval '5 s' AND b.id IN ("
            "   SELECT batch_id FROM chunks WHERE state = 'DONE' AND due_at < now() - interval '2 s')"
            " LIMIT :n FOR NO KEY UPDATE SKIP LOCKED)"
        ),
        {"n": limit},
    )


async def take_due(session: AsyncSession, *, limit: int) -> list[UUID]:
    """Batches whose time has come; the next look is moved, with jitter, before anybody is told."""
    rows = await session.scalars(
        text(
            "WITH due AS MATERIALIZED (SELECT id FROM batches WHERE wake_at <= now() ORDER BY wake_at"
            "  LIMIT :n FOR NO KEY UPDATE SKIP LOCKED)"
            " UPDATE batches b SET wake_at = now() + interval '30 s' * (0.8 + 0.2 * random())"
            " FROM due WHERE b.id = due.id RETURNING b.id"
        ),
        {"n": limit},
    )
    return list(rows.all())
