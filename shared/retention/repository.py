"""The statements on terms, doomed blobs, chores and purges."""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.retention.model import Purge, Retention
from shared.retention.terms import Terms, TermsOf

_COLUMNS = (Retention.results_days, Retention.jobs_days, Retention.batches_days, Retention.files_days)


async def terms(session: AsyncSession, project_id: UUID) -> Terms:
    """The terms of a project; for ever unless somebody set them."""
    row = (await session.execute(select(*_COLUMNS).where(Retention.project_id == project_id))).one_or_none()
    return Terms() if row is None else Terms(*row)


async def set_terms(session: AsyncSession, project_id: UUID, wanted: Terms) -> None:
    """Replace the terms of a project."""
    values = asdict(wanted)
    statement = insert(Retention).values(project_id=project_id, **values)
    again = {**values, "updated_at": text("now()")}
    await session.execute(statement.on_conflict_do_update(index_elements=["project_id"], set_=again))


async def every_terms(session: AsyncSession) -> Sequence[TermsOf]:
    """The terms of all projects that keep something not for ever."""
    rows = await session.execute(
        select(Retention.project_id, *_COLUMNS).where(
            text("coalesce(results_days, jobs_days, batches_days, files_days) IS NOT NULL")
        )
    )
    return [TermsOf(project_id, Terms(*days)) for project_id, *days in rows]


async def take_doomed(session: AsyncSession, *, limit: int, lease_s: float) -> list[str]:
    """Keys of blobs whose grace is over; who takes them has `lease_s` seconds before others try."""
    found = await session.execute(
        text(
            "WITH due AS MATERIALIZED (SELECT key FROM doomed_blobs WHERE due_at <= now()"
            "  ORDER BY due_at LIMIT :n FOR UPDATE SKIP LOCKED)"
            " UPDATE doomed_blobs SET due_at = now() + make_interval(secs => CAST(:s AS float8))"
            " FROM due WHERE doomed_blobs.key = due.key RETURNING doomed_blobs.key"
        ),
        {"n": limit, "s": lease_s},
    )
    return list(found.scalars())


async def forget_doomed(session: AsyncSession, keys: Sequence[str]) -> None:
    """These are gone, or named again."""
    await session.execute(
        text("DELETE FROM doomed_blobs WHERE key = ANY(CAST(:keys AS text[]))"), {"keys": list(keys)}
    )


async def count_doomed(session: AsyncSession) -> int:
    """How many blobs wait for their end."""
    return int((await session.execute(text("SELECT count(*) FROM doomed_blobs"))).scalar_one())


async def due_doomed(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    """Those of `keys` whose grace is over."""
    found = await session.execute(
        text("SELECT key FROM doomed_blobs WHERE key = ANY(CAST(:keys AS text[])) AND due_at <= now()"),
        {"keys": list(keys)},
    )
    return set(found.scalars())


async def take_chore(session: AsyncSession, name: str, *, every_s: float) -> bool:
    """Is it time for the chore? Then the next time is set, for whoever asks next."""
    await session.execute(text("INSERT INTO chores (name) VALUES (:n) ON CONFLICT DO NOTHING"), {"n": name})
    found = await session.execute(
        text(
            "UPDATE chores SET due_at = now() + make_interval(secs => CAST(:s AS float8))"
            " WHERE name = :n AND due_at <= now() RETURNING true"
        ),
        {"n": name, "s": every_s},
    )
    return found.scalar_one_or_none() is True


async def purge_of(session: AsyncSession, project_id: UUID) -> Purge | None:
    """The purge of a project, as it is now."""
    rows = select(Purge).where(Purge.project_id == project_id)
    return (await session.scalars(rows, execution_options={"populate_existing": True})).one_or_none()


async def start_purge(session: AsyncSession, project_id: UUID) -> bool:
    """Hide the project, take its keys away, and note that it is to go. False: it is none, or it is the
    default one. Waits for requests that are about to write into it."""
    found = await session.execute(
        text(
            "UPDATE projects SET purge_asked_at = now(), updated_at = now() WHERE id ="
            " (SELECT id FROM projects WHERE id = :p AND purge_asked_at IS NULL AND NOT is_default"
            " FOR UPDATE)"
            " RETURNING name"
        ),
        {"p": project_id},
    )
    name = found.scalar_one_or_none()
    if name is None:
        return False
    await session.execute(text("DELETE FROM api_keys WHERE project_id = :p"), {"p": project_id})
    await session.execute(
        text("INSERT INTO purges (project_id, name) VALUES (:p, :n)"), {"p": project_id, "n": name}
    )
    return True
