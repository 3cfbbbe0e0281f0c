"""Files whose result is there already, among others: for histories and schedules of reuse."""

import hashlib
from collections.abc import Sequence
from typing import Any

from shared.jobs.recipe import recipe_of
from tests.shared.conftest import KIND, Mill

ENGINE = "engines of the histories"
DIGEST = hashlib.sha256(b"known").digest()


async def make_known(mill: Mill) -> Any:
    """Let the mill's spread know its engines and one document; answers the job that made its result."""
    mill.engine = ENGINE
    job = await mill.one(
        "INSERT INTO jobs (project_id, job_type, file_id, name, size_bytes, sha256, status, result_key,"
        "  token, finished_at) VALUES (:p, :t, :f, 'known.txt', 1, :s, 'COMPLETED', 'r/known',"
        "  gen_random_uuid(), now()) RETURNING id",
        p=mill.project_id,
        t=KIND,
        f=mill.file_id,
        s=DIGEST,
    )
    await mill.sql(
        "INSERT INTO reusable_results (project_id, sha256, recipe, kind, job_id)"
        " VALUES (:p, :s, :r, 'txt', :j)",
        p=mill.project_id,
        s=DIGEST,
        r=recipe_of({"tier": "fast"}, ENGINE),
        j=job,
    )
    return job


async def add_mixed(mill: Mill, known: Sequence[bool]) -> None:
    """Add a file for each flag, in this order: the document that is known, or one that nobody knows."""
    for flag in known:
        if flag:
            await mill.sql(
                "INSERT INTO directory_files (project_id, directory_id, file_id, display_name, unique_id,"
                " size_bytes, sha256) VALUES (:p, :d, :f, 'k.txt', gen_random_uuid()::text, 1, :s)",
                p=mill.project_id,
                d=mill.directory_id,
                f=mill.file_id,
                s=DIGEST,
            )
        else:
            await mill.add_files(1)


async def assert_reused(mill: Mill, batch_id: Any) -> None:
    """The batch says of itself how many of its files were reused, and each of those shares the one result."""
    rows = await mill.sql(
        "SELECT status, result_key, token FROM jobs WHERE batch_id = :b AND reused_from IS NOT NULL",
        b=batch_id,
    )
    assert len(rows) == (await mill.batch(batch_id)).reused
    assert {tuple(row) for row in rows} <= {("COMPLETED", "r/known", None)}
    known = await mill.one(
        "SELECT count(*) FROM jobs WHERE batch_id = :b AND sha256 = :s AND reused_from IS NULL",
        b=batch_id,
        s=DIGEST,
    )
    assert known == 0, "what is known was run"
