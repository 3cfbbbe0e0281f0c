"""The product's worker with an engine that does nothing: no sandbox, no blob. All else is the real path.

    python -m tests.bench.noop_worker --queues parse --concurrency 2

Each file takes `BENCH_FILE_S` seconds (default 0), spent waiting and not working. Its original is not read,
and its row ends COMPLETED with the key of a result that nobody stored. Not part of the product, which has no
setting for this.
"""

import argparse
import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from services.worker import app, runtime
from services.worker.engines.port import Done, Outcome, ParseRequest
from shared.storage.object_store import ObjectStore


class _Gone(type(Path())):  # type: ignore[misc]
    """A result that is no file: there is nothing to delete."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Nothing."""


class Nothing:
    """A `Sandboxed` that reads nothing and is always content."""

    def __init__(self) -> None:
        self._takes_s = float(os.environ.get("BENCH_FILE_S", "0"))
        self._result = _Gone("/nonexistent/result")

    async def run(
        self, request: ParseRequest, *, project_id: str, ahead: Iterable[ParseRequest] = ()
    ) -> Outcome:
        if self._takes_s:
            await asyncio.sleep(self._takes_s)
        return Done(None, None, False, 1, "no-op", self._result, self._takes_s)

    async def kill(self) -> None:
        """Nothing is in progress."""

    async def close(self) -> None:
        """Nothing is open."""


async def _store_nothing(_store: ObjectStore, _files: Any) -> None:
    """Nothing."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--queues", default="parse")
    parser.add_argument("--concurrency", type=int, default=2)
    options = parser.parse_args()
    vars(runtime)["Sandbox"] = Nothing
    ObjectStore.put_files = _store_nothing  # type: ignore[method-assign, assignment]
    app.run(options.queues.split(","), options.concurrency)


if __name__ == "__main__":
    main()
