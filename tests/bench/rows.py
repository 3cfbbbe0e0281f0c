"""A connection to the database of a bench, and what is put there by SQL."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import asyncpg

FILL: Final = (
    "WITH f AS (INSERT INTO files (project_id, name, purpose, size_bytes, storage_key)"
    "  SELECT d.project_id, 'file ' || n || '.txt', 'parse', 1, $2 FROM directories d,"
    "  generate_series($3::int, $4::int) n WHERE d.id = $1 RETURNING id, project_id, name)"
    " INSERT INTO directory_files (project_id, directory_id, file_id, display_name, unique_id, size_bytes)"
    " SELECT project_id, $1, id, name, name, 1 FROM f"
)
STEP: Final = 50_000
WITHOUT_LIMIT: Final = 600.0
TRIES: Final = 50


class Rows:
    """Statements of one thread, over one connection. `asked` is how many so far: each is a commit."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("+asyncpg", "")
        self._loop = asyncio.new_event_loop()
        self.asked = 0

    def __enter__(self) -> Self:
        self._connection = self._loop.run_until_complete(asyncpg.connect(self._url))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run_until_complete(self._connection.close())
        self._loop.close()

    def fetch(self, statement: str, *values: Any) -> Sequence[Any]:
        """All rows."""
        self.asked += 1
        work = self._connection.fetch(statement, *values, timeout=WITHOUT_LIMIT)
        return list(self._loop.run_until_complete(work))

    def value(self, statement: str, *values: Any) -> Any:
        """The first value of the first row."""
        self.asked += 1
        work = self._connection.fetchval(statement, *values, timeout=WITHOUT_LIMIT)
        return self._loop.run_until_complete(work)

    def do(self, statement: str) -> None:
        """A statement, or several, without values."""
        self._loop.run_until_complete(self._connection.execute(statement, timeout=WITHOUT_LIMIT))


def fill(rows: Rows, directory: str, storage_key: str, files: int) -> None:
    """So many more files in the directory, which share the bytes of one upload; then what autovacuum does
    after a while, and a checkpoint, so that no run pays for the filling."""
    bare = directory.removeprefix("dir-")
    for first in range(1, files + 1, STEP):
        rows.value(FILL + " RETURNING 1", bare, storage_key, first, min(first + STEP - 1, files))
    settle(rows)


def settle(rows: Rows) -> None:
    """VACUUM ANALYZE of what grows, and a checkpoint."""
    for table in ("files", "directory_files", "jobs", "batches", "chunks"):
        rows.do(f"VACUUM ANALYZE {table}")
    rows.do("CHECKPOINT")


def empty(rows: Rows) -> None:
    """No batch was ever there: so each run meets the same tables.

    The stack lives on and locks the same tables in its own order. Whoever waits long could be stopped as one
    side of a deadlock; that shall be neither side, so this gives up early and tries again.
    """
    rows.do("SET lock_timeout = '300ms'")
    try:
        for turn in range(TRIES):
            try:
                rows.do("TRUNCATE batches, jobs, chunks, reusable_results CASCADE")
                break
            except asyncpg.LockNotAvailableError:
                if turn == TRIES - 1:
                    raise
    finally:
        rows.do("SET lock_timeout = 0")
    rows.do("CHECKPOINT")
