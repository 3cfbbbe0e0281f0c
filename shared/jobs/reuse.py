"""The statements on results that may be reused: keep, find, forget.

A row of `reusable_results` only points at the job that made a result. Whoever looks reads that job too, so a
job that was deleted, by whatever statement, is never found. No lock is held on a row after its own
transaction; locked in order job > reusable result.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.jobs.model import kind_of_name
from shared.jobs.recipe import Reusable
from shared.jobs.taken import JobEnd, TakenChunk


async def keep(session: AsyncSession, chunk: TakenChunk, ends: Sequence[JobEnd]) -> None:
    """Let the results among these ends be found, those that were accepted. The newest of a kind replaces the
    one before it: it was asked for although there was one, or at the same time."""
    made = [end for end in ends if end.recipe is not None and end.result_key is not None]
    if not made:
        return
    # In one order for everybody: two flushes with the same documents wait for each other, and never both.
    await session.execute(
        text(
            "INSERT INTO reusable_results AS r (project_id, sha256, recipe, kind, job_id)"
            " SELECT DISTINCT ON (j.sha256, m.recipe, k.kind) j.project_id, j.sha256, m.recipe, k.kind, j.id"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:recipes AS bytea[])) AS m(id, recipe)"
            f" JOIN jobs j ON j.id = m.id, LATERAL (SELECT {kind_of_name('j.name')} AS kind) k"
            " WHERE j.token = :tok AND j.status = 'COMPLETED' AND length(j.sha256) = 32"
            " ORDER BY j.sha256, m.recipe, k.kind, j.id"
            " ON CONFLICT (project_id, sha256, recipe, kind) DO UPDATE SET job_id = excluded.job_id"
        ),
        {
            "tok": chunk.token,
            "ids": [end.job_id for end in made],
            "recipes": [end.recipe for end in made],
        },
    )


async def find(
    session: AsyncSession, project_id: UUID, *, sha256: bytes, name: str, recipe: bytes
) -> Reusable | None:
    """The result of the project that a parse of these bytes under this name would give again."""
    found = await session.execute(
        text(
            "SELECT j.id, j.result_key, j.pages, j.engine"
            " FROM reusable_results r JOIN jobs j ON j.id = r.job_id"
            " WHERE r.project_id = :p AND r.sha256 = :s AND r.recipe = :r"
            f" AND r.kind = {kind_of_name('CAST(:n AS text)')} AND j.project_id = r.project_id"
            " AND j.status = 'COMPLETED' AND j.deleted_at IS NULL AND j.purged_at IS NULL"
        ),
        {"p": project_id, "s": sha256, "r": recipe, "n": name},
    )
    row = found.one_or_none()
    return None if row is None else Reusable(*row)


async def find_any(session: AsyncSession, project_id: UUID, sha256: bytes) -> UUID | None:
    """The job of a result of these bytes, the newest there is."""
    found = await session.execute(
        text(
            "SELECT j.id FROM reusable_results r JOIN jobs j ON j.id = r.job_id"
            " WHERE r.project_id = :p AND r.sha256 = :s AND j.project_id = r.project_id"
            " AND j.status = 'COMPLETED' AND j.deleted_at IS NULL AND j.purged_at IS NULL"
            " ORDER BY j.id DESC LIMIT 1"
        ),
        {"p": project_id, "s": sha256},
    )
    return found.scalar_one_or_none()


async def forget_result(session: AsyncSession, job_id: UUID) -> None:
    """Take the result of a job out of reuse, whether the job made it or shares it."""
    await session.execute(
        text(
            "DELETE FROM reusable_results r USING jobs j WHERE j.id = :j AND r.project_id = j.project_id"
            " AND r.sha256 = j.sha256 AND r.job_id = coalesce(j.reused_from, j.id)"
        ),
        {"j": job_id},
    )


async def forget_document(session: AsyncSession, project_id: UUID, sha256: bytes) -> None:
    """Take every result of these bytes in the project out of reuse."""
    await session.execute(
        text("DELETE FROM reusable_results WHERE project_id = :p AND sha256 = :s"),
        {"p": project_id, "s": sha256},
    )
