"""The statement that lists a directory's files as jobs, a page at a time, and ends at once what is known.

The caller holds the batch's row since an earlier statement (protocol rule 5).
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.jobs.model import kind_of_name

PAGE = 5_000
GROWN = 4
"""So many times as large a page may become while its transactions are short."""

# LIMIT 1 changes nothing, for the key is unique, but keeps the planner to one look-up a file: how many files
# of a directory are known it cannot guess.
_KNOWN = (
    "SELECT j.id, j.result_key, j.pages, j.engine FROM reusable_results r JOIN jobs j ON j.id = r.job_id"
    " WHERE r.project_id = b.project_id AND r.sha256 = p.sha256 AND r.recipe = CAST(:recipe AS bytea)"
    f" AND r.kind = {kind_of_name('p.display_name')} AND p.deleted_at IS NULL"
    " AND j.project_id = b.project_id AND j.status = 'COMPLETED' AND j.deleted_at IS NULL"
    " AND j.purged_at IS NULL LIMIT 1"
)


# Asked for one by one and not joined: so the planner knows that there is one place to read from, and reads a
# page of the index. Of a join it would sort all that is left of the directory.
_FILES = (
    "SELECT f.* FROM directory_files f WHERE f.directory_id = (SELECT source_directory_id FROM b)"
    " AND f.pos > (SELECT cursor_pos FROM b) AND f.pos <= (SELECT last_pos FROM b) ORDER BY f.pos LIMIT :n"
)


@dataclass(frozen=True, slots=True)
class Spread:
    """What a page came to: `scanned` source files of the `asked` ones (fewer: the directory was
    read), `opened` jobs that want to run, and the `total` files of the batch, of which `left` have no end
    that was counted."""

    asked: int
    scanned: int
    opened: int
    total: int
    left: int

    @property
    def full(self) -> bool:
        """May there be more?"""
        return self.scanned == self.asked


async def spread_page(session: AsyncSession, batch_id: UUID, *, recipe: bytes | None, files: int) -> Spread:
    """Make the jobs of the next `files` of the directory and move the cursor, in one statement.

    Files deleted since the batch was opened become rows without a job; files deleted before are not part
    of it. With `recipe`, a file whose result is known by it is COMPLETED at once and shares that result; it
    is counted here and nowhere else, as what has no job is.
    """
    found = await session.execute(
        text(
            "WITH b AS (SELECT * FROM batches WHERE id = :b),"
            f" page AS MATERIALIZED ({_FILES}),"
            " made AS (INSERT INTO jobs (project_id, job_type, batch_id, seq, directory_file_id, file_id,"
            "   name, size_bytes, sha256, status, error_message, finished_at, result_key, pages, engine,"
            "   reused_from)"
            "  SELECT b.project_id, b.job_type, b.id, b.total + row_number() OVER (ORDER BY p.pos), p.id,"
            "   p.file_id, p.display_name, p.size_bytes, p.sha256,"
            "   CASE WHEN p.deleted_at IS NOT NULL THEN 'UNMAPPED' WHEN known.id IS NOT NULL THEN 'COMPLETED'"
            "    ELSE 'PENDING' END,"
            "   CASE WHEN p.deleted_at IS NULL THEN NULL"
            "    ELSE 'The file was deleted before a job was made for it.' END,"
            "   CASE WHEN p.deleted_at IS NOT NULL OR known.id IS NOT NULL THEN now() END,"
            "   known.result_key, known.pages, known.engine, known.id"
            f"  FROM b CROSS JOIN page p LEFT JOIN LATERAL ({_KNOWN}) known ON true"
            "  WHERE p.deleted_at IS NULL OR p.deleted_at > b.created_at RETURNING status),"
            " n AS (SELECT count(*) AS made, count(*) FILTER (WHERE status = 'UNMAPPED') AS unmapped,"
            "  count(*) FILTER (WHERE status = 'COMPLETED') AS reused,"
            "  count(*) FILTER (WHERE status = 'PENDING') AS opened FROM made)"
            " UPDATE batches SET cursor_pos = coalesce((SELECT max(pos) FROM page), batches.cursor_pos),"
            "  total = batches.total + n.made, unmapped = batches.unmapped + n.unmapped,"
            "  ok = batches.ok + n.reused, reused = batches.reused + n.reused,"
            "  spread_done = (SELECT count(*) FROM page) < :n, updated_at = now(),"
            "  wake_at = now() + interval '5 s'"
            " FROM n WHERE id = :b RETURNING (SELECT count(*) FROM page), n.opened, total,"
            "  total - ok - failed - cancelled - batches.unmapped"
        ),
        {"b": batch_id, "n": files, "recipe": recipe},
    )
    return Spread(files, *(int(count) for count in found.one()))
