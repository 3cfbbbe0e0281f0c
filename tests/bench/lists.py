"""How long each list takes, with each of its filters, when there are very many rows that do not match.

    python -m tests.bench.lists --rows 1000000

One PostgreSQL with so many batches, directories, files, files of one directory, and jobs of one project; then
each question is asked of a running API, as the first page and (where a page has a successor) far down. Each
is asked three times; the middle one is told, in milliseconds. A question whose filter matches nothing is the
one that shows a list without an index.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx
from sqlalchemy import text

from services.local.postgres import EmbeddedPostgres
from shared.wiring import open_resources
from tests.bench.many_batches import Tenants, settle
from tests.bench.reads import NO_BROKER, OURS, filled, free_port, serving, settings_for

FILL: Final = (
    (
        "INSERT INTO directories (project_id, name)"
        " SELECT :p, 'many ' || n FROM generate_series(CAST(:a AS int), CAST(:z AS int)) n"
    ),
    (
        "WITH f AS (INSERT INTO files"
        " (project_id, name, external_file_id, purpose, size_bytes, storage_key)"
        "  SELECT :p, 'file ' || n || '.pdf', 'ext-' || n, 'parse', 1, 'k' || n"
        "  FROM generate_series(CAST(:a AS int), CAST(:z AS int)) n RETURNING id, name)"
        " INSERT INTO directory_files"
        " (project_id, directory_id, file_id, display_name, unique_id, size_bytes)"
        " SELECT :p, :d, id, name, name, 1 FROM f"
    ),
    (
        "INSERT INTO jobs"
        " (project_id, job_type, file_id, name, size_bytes, status, finished_at, result_key)"
        " SELECT :p, CASE WHEN n % 2 = 0 THEN 'parse_v2' ELSE 'extract_v2' END, gen_random_uuid(), 'n', 1,"
        "  'COMPLETED', now(), 'r' FROM generate_series(CAST(:a AS int), CAST(:z AS int)) n"
    ),
)
STEP: Final = 50_000
TABLES: Final = ("directories", "files", "directory_files", "jobs")
NOBODY: Final = "00000000-0000-7000-8000-000000000000"
FUTURE: Final = "2099-01-01T00:00:00Z"
PAST: Final = "2001-01-01T00:00:00Z"
TIMES: Final = ({"created_at_on_or_after": FUTURE}, {"created_at_on_or_before": PAST})
QUESTIONS: Final[Mapping[str, Sequence[Mapping[str, str]]]] = {
    "/api/v2/batches": (
        {},
        *({"status": one} for one in ("PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED")),
        {"source_directory_id": NOBODY},
        *TIMES,
    ),
    "/api/v1/beta/directories": ({}, {"name": "none"}, {"type": "ephemeral"}),
    "/api/v1/beta/files": (
        {},
        {"file_name": "none"},
        {"external_file_id": "none"},
        {"file_ids": NOBODY},
        {"order_by": "name"},
        {"order_by": "id"},
    ),
    "/api/v1/beta/directories/{directory}/files": (
        {},
        {"display_name": "none"},
        {"display_name_contains": "none"},
        {"unique_id": "none"},
        {"file_id": NOBODY},
        {"updated_at_on_or_after": FUTURE},
    ),
    "/api/v2/parse": (
        {},
        *({"status": one} for one in ("PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED")),
        {"job_ids": NOBODY},
        *TIMES,
    ),
    "/api/v2/extract": (
        {},
        *({"status": one} for one in ("PENDING", "THROTTLED", "FAILED", "CANCELLED")),
        {"configuration_id": NOBODY},
        {"file_input": NOBODY},
        *TIMES,
    ),
}


async def fill(folder: Path, url: str, tenants: Tenants, rows: int) -> None:
    """What is not there yet: so many rows of each of the other tables."""
    note = folder / f"lists-{rows}"
    if note.exists():
        return
    resources = open_resources(settings_for(folder, url), name="bench")
    owner = {"p": tenants.projects[0], "d": tenants.directories[0]}
    try:
        for first in range(1, rows + 1, STEP):
            values = {**owner, "a": first, "z": min(first + STEP - 1, rows)}
            async with resources.engine.begin() as connection:
                await connection.execute(text("SET LOCAL statement_timeout = 0"))
                for statement in FILL:
                    await connection.execute(text(statement), values)
        await settle(resources.engine, *TABLES)
    finally:
        await resources.close()
    note.touch()


def ask(client: httpx.Client, path: str, params: Mapping[str, str]) -> None:
    """One line: the first page, and one far down."""
    first = _middle(client, path, params)
    page = client.get(path, params={**params, "page_size": "1000"}).json()
    for _ in range(20):
        if page["next_page_token"] is None:
            break
        down = {**params, "page_size": "1000", "page_token": page["next_page_token"]}
        page = client.get(path, params=down).json()
    deep = ""
    if page["next_page_token"] is not None:
        deep = f"{_middle(client, path, {**params, 'page_token': page['next_page_token']}):9.1f}"
    said = " ".join(f"{name}={value}" for name, value in params.items())
    print(f"{first:9.1f} {deep:>9} {path} {said}", flush=True)


def _middle(client: httpx.Client, path: str, params: Mapping[str, str]) -> float:
    took = []
    for _ in range(3):
        started = time.perf_counter()
        client.get(path, params=params).raise_for_status()
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


def main() -> None:
    """Fill, serve, ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the database is kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="batchmill-bench-") as fresh:
        folder: Path = options.folder or Path(fresh)
        folder.mkdir(parents=True, exist_ok=True)
        server = EmbeddedPostgres(folder / "postgres")
        asyncio.run(server.start())
        try:
            _measure(folder, server.url(), options.rows)
        finally:
            asyncio.run(server.stop())


def _measure(folder: Path, url: str, rows: int) -> None:
    tenants, _ = asyncio.run(filled(folder, url, rows))
    asyncio.run(fill(folder, url, tenants, rows))
    port = free_port()
    env = {
        **os.environ,
        "BATCHMILL_DATABASE__URL": url,
        "BATCHMILL_BROKER__URL": NO_BROKER,
        "BATCHMILL_STORAGE__URL": (folder / "blobs").as_uri(),
        "BATCHMILL_DATA_DIR": str(folder / "server"),
        "BATCHMILL_SECRET_KEY": "a key of the bench",
    }
    headers = {"authorization": f"Bearer {tenants.key}"}
    with (
        serving(OURS, port, env),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as client,
    ):
        print(f"{rows:,} rows of each table; milliseconds of the first page, and of one 20,000 rows down")
        for path, every in QUESTIONS.items():
            for params in every:
                ask(client, path.format(directory=f"dir-{tenants.directories[0]}"), params)


if __name__ == "__main__":
    main()
