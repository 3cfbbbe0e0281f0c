"""Final batches with all that belongs to them, rows and results, put there directly: as if workers had made
them."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import text

from shared.jobs import result as results
from shared.jobs.result import ResultDocument
from shared.wiring import Resources

AT_ONCE: Final = 2_000
STORED_AT_ONCE: Final = 32

_FILES: Final = """
WITH given AS (SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
  id uuid, entry uuid, job uuid, seq int, name text,
  unique_id text, external text, status text, code text, message text, key text, pages int)),
 f AS (INSERT INTO files (id, project_id, name, purpose, size_bytes, storage_key)
  SELECT id, :p, name, 'parse', 1000, 'k' || id FROM given),
 d AS (INSERT INTO directory_files (id, project_id, directory_id, file_id, display_name, unique_id,
   external_file_id, size_bytes)
  SELECT entry, :p, :d, id, name, unique_id, external, 1000 FROM given ORDER BY seq)
INSERT INTO jobs (id, project_id, job_type, batch_id, seq, directory_file_id, file_id, name, size_bytes,
  status, error_code, error_message, finished_at, result_key, pages, seconds, engine)
 SELECT job, :p, :t, :b, seq, entry, id, name, 1000, status, code, message, now(), key, pages, 0.25, 'test'
 FROM given ORDER BY seq
"""


@dataclass(frozen=True, slots=True)
class Made:
    """A file of a batch. `blob` is stored as its result as it is."""

    name: str
    unique_id: str | None = None
    external: str | None = None
    document: ResultDocument | None = None
    status: str = "COMPLETED"
    code: str | None = None
    message: str | None = None
    blob: bytes | None = None


@dataclass(slots=True)
class WholeBatch:
    """Its id, that of its directory, and where its results lie, file by file (None: it has none)."""

    id: UUID
    directory_id: UUID
    keys: list[str | None] = field(default_factory=list)

    @property
    def shown(self) -> str:
        return f"bat-{self.id}"


async def make(
    resources: Resources,
    project_id: UUID,
    files: Iterable[Made],
    *,
    job_type: str = "parse_v2",
    directory: str = "papers",
) -> WholeBatch:
    """A COMPLETED batch over these files."""
    async with resources.unit_of_work() as uow:
        made = await uow.session.execute(
            text("INSERT INTO directories (project_id, name) VALUES (:p, :n) RETURNING id"),
            {"p": project_id, "n": directory},
        )
        directory_id = made.scalar_one()
        made = await uow.session.execute(
            text(
                "INSERT INTO batches (project_id, source_directory_id, job_type, configuration_id, config,"
                " last_pos) VALUES (:p, :d, :t, 'cfg-PARSE_FAST', :c, 0) RETURNING id"
            ),
            {"p": project_id, "d": directory_id, "t": job_type, "c": json.dumps({"parameters": {}})},
        )
        batch = WholeBatch(made.scalar_one(), directory_id)
        await uow.commit()
    place = {"p": project_id, "d": directory_id, "b": batch.id, "t": job_type}
    rest = iter(files)
    while some := list(islice(rest, AT_ONCE)):
        await _add(resources, batch, place, some)
    await _finish(resources, batch)
    return batch


async def _add(resources: Resources, batch: WholeBatch, place: dict[str, Any], some: Sequence[Made]) -> None:
    rows = list(_rows(place["p"], len(batch.keys) + 1, some))
    batch.keys += [row["key"] for row in rows]
    blobs = [
        (row["key"], one.blob if one.document is None else results.encode(one.document))
        for row, one in zip(rows, some, strict=True)
        if row["key"] is not None
    ]
    for at in range(0, len(blobs), STORED_AT_ONCE):
        await asyncio.gather(
            *(
                resources.storage.put(key, blob)
                for key, blob in blobs[at : at + STORED_AT_ONCE]
                if blob is not None
            )
        )
    async with resources.unit_of_work() as uow:
        await uow.session.execute(text("SET LOCAL statement_timeout = 0"))
        await uow.session.execute(text(_FILES), {**place, "rows": json.dumps(rows)})
        await uow.commit()


def _rows(project_id: UUID, seq: int, some: Sequence[Made]) -> Iterator[dict[str, Any]]:
    for number, one in enumerate(some, seq):
        job = uuid4()
        completed = one.status == "COMPLETED"
        yield {
            "id": str(uuid4()),
            "entry": str(uuid4()),
            "job": str(job),
            "seq": number,
            "name": one.name,
            "unique_id": one.unique_id or f"{number}/{one.name}",
            "external": one.external,
            "status": one.status,
            "code": one.code,
            "message": one.message,
            "key": f"p/{project_id}/r/{job}/{uuid4()}.json.zst" if completed else None,
            "pages": len(one.document.pages) if one.document is not None else None,
        }


async def _finish(resources: Resources, batch: WholeBatch) -> None:
    async with resources.unit_of_work() as uow:
        await uow.session.execute(
            text(
                "UPDATE batches SET status = 'COMPLETED', spread_done = true, total = c.total,"
                " fed_seq = c.total, ok = c.ok, failed = c.failed, cancelled = c.cancelled,"
                " unmapped = c.unmapped, started_at = now(), finished_at = now(), wake_at = NULL"
                " FROM (SELECT count(*) AS total, count(*) FILTER (WHERE status = 'COMPLETED') AS ok,"
                "  count(*) FILTER (WHERE status = 'FAILED') AS failed,"
                "  count(*) FILTER (WHERE status = 'CANCELLED') AS cancelled,"
                "  count(*) FILTER (WHERE status = 'UNMAPPED') AS unmapped"
                "  FROM jobs WHERE batch_id = :b) c WHERE id = :b"
            ),
            {"b": batch.id},
        )
        await uow.commit()
