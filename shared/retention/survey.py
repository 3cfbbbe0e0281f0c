"""Which blobs are named by a row, and which are to go: asked for a page of the storage at a time."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.retention.slices import NEEDED

_ID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# What a killed process left of a blob has a number behind the key; no row ever names it.
_RESULT: Final = re.compile(rf"p/{_ID}/r/({_ID})/{_ID}\.json\.zst(?:#\d+)?")
_FILE: Final = re.compile(rf"p/{_ID}/f/({_ID})(?:#\d+)?")
_PROJECT: Final = re.compile(rf"p/({_ID})/")
_KEEPS: Final = "{0}.result_key = k.key AND {0}.purged_at IS NULL AND {0}.deleted_at IS NULL"
# Columns in which a job names another one whose result it shares, or is about to read. Each has an index.
_SHARERS: Final = ("parse_job_id", "reused_from")
_SHARED: Final = " OR ".join(
    f"EXISTS (SELECT 1 FROM jobs s WHERE s.{column} = k.id"
    f" AND (s.status = 'PENDING' OR {_KEEPS.format('s')}))"
    for column in _SHARERS
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the rows stand to a blob. `named`: one needs it. `doomed`: its last row went. `due`: its rows go by
    the terms of its project, or are hidden, and nothing open needs it."""

    named: bool
    doomed: bool
    due: bool


def kind_of(key: str) -> str | None:
    """`results` or `files`; None: what we never put under `p/`, and never remove."""
    if _RESULT.fullmatch(key):
        return "results"
    return "files" if _FILE.fullmatch(key) else None


async def of_known_projects(session: AsyncSession, keys: Iterable[str]) -> set[str]:
    """Those of `keys` whose project this database has, or purged. The others were put by another database: a
    new, empty one over a storage that is in use must not take what it holds for rubbish."""
    projects = {key: UUID(match[1]) for key in keys if (match := _PROJECT.match(key))}
    if not projects:
        return set()
    known = set(await session.scalars(text(_KNOWN), {"ids": list(set(projects.values()))}))
    return {key for key, project in projects.items() if project in known}


async def standings(session: AsyncSession, keys: Iterable[str]) -> Mapping[str, Standing]:
    """The standing of each key that has the form of ours."""
    results = {key: UUID(match[1]) for key in keys if (match := _RESULT.fullmatch(key))}
    files = {key: UUID(match[1]) for key in keys if (match := _FILE.fullmatch(key))}
    found = await _read(session, _OF_RESULTS, results) if results else {}
    return {**found, **(await _read(session, _OF_FILES, files) if files else {})}


async def now(session: AsyncSession) -> datetime:
    """The database's time."""
    found: datetime = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return found


async def _read(session: AsyncSession, question: str, keys: Mapping[str, UUID]) -> dict[str, Standing]:
    given = {"keys": list(keys), "ids": list(keys.values())}
    rows = await session.execute(text(question), given)
    return {key: Standing(named, doomed, due) for key, named, doomed, due in rows}


_KNOWN: Final = (
    "SELECT id FROM projects WHERE id = ANY(CAST(:ids AS uuid[]))"
    " UNION SELECT project_id FROM purges WHERE project_id = ANY(CAST(:ids AS uuid[]))"
)
_EACH: Final = " FROM unnest(CAST(:keys AS text[]), CAST(:ids AS uuid[])) AS k(key, id)"
_DOOMED: Final = "EXISTS (SELECT 1 FROM doomed_blobs d WHERE d.key = k.key)"

_OF_RESULTS: Final = (
    f"SELECT k.key, EXISTS (SELECT 1 FROM jobs o WHERE o.id = k.id AND {_KEEPS.format('o')}) OR {_SHARED},"
    f" {_DOOMED},"
    " EXISTS (SELECT 1 FROM jobs o JOIN retention r ON r.project_id = o.project_id"
    "  LEFT JOIN batches b ON b.id = o.batch_id WHERE o.id = k.id"
    "  AND CASE WHEN o.batch_id IS NULL THEN o.finished_at ELSE b.finished_at END < now()"
    "   - make_interval(days => least(r.results_days,"
    "    CASE WHEN o.batch_id IS NULL THEN r.jobs_days ELSE r.batches_days END)))"
    f" AND NOT ({_SHARED}){_EACH}"
)
_OF_FILES: Final = (
    f"SELECT k.key, f.id IS NOT NULL, {_DOOMED}, coalesce(NOT {NEEDED} AND ("
    "  f.created_at < now() - make_interval(days => r.files_days)"
    "  OR (f.deleted_at IS NOT NULL AND places.live = 0)"
    "  OR (f.purpose IS NULL AND places.live = 0 AND places.every > 0)), false)"
    f"{_EACH} LEFT JOIN files f ON f.id = k.id AND f.storage_key = k.key"
    " LEFT JOIN retention r ON r.project_id = f.project_id,"
    " LATERAL (SELECT count(*) AS every, count(*) FILTER (WHERE e.deleted_at IS NULL AND d.deleted_at IS NULL"
    "   AND (d.expires_at IS NULL OR d.expires_at > now())) AS live"
    "  FROM directory_files e JOIN directories d ON d.id = e.directory_id WHERE e.file_id = f.id) places"
)
