"""Follows a batch to its end and saves results as files end."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from llama_cloud import AsyncLlamaCloud

from services.cli.run.display import Display
from services.cli.run.ended import Ended, EndedFiles
from services.cli.run.estimate import Forecast
from services.cli.run.fetch import Fetcher
from services.cli.run.results import FAILED, ResultLog, Row
from services.cli.run.together import together

FINAL: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
FETCHERS: Final = 8
FLUSH_EVERY_S: Final = 0.25
POLL_S: Final = (0.25, 2.0)


class Follower:
    """One batch of which `open_files` have no row yet; a file that has one is passed over. `paths` maps
    directory file ids to paths where the path was not told to the server with the file."""

    def __init__(
        self,
        client: AsyncLlamaCloud,
        batch_id: str,
        *,
        paths: Mapping[str, str],
        fetcher: Fetcher,
        log: ResultLog,
        display: Display,
        open_files: int,
    ) -> None:
        self._client = client
        self._batch_id = batch_id
        self._paths = paths
        self._fetcher = fetcher
        self._log = log
        self._display = display
        self._ended = EndedFiles(client, batch_id)
        self._forecast = Forecast(display, open_files)
        self._under_way: set[str] = set()
        self._queue: asyncio.Queue[tuple[str, Ended] | None] = asyncio.Queue(FETCHERS * 8)
        self._rows: list[Row] = []
        self._batch: Any = None
        self._saved_all = False

    async def to_the_end(self) -> Any:
        """The batch as it is when it is final and everything is saved. Cut off, it keeps what it has."""
        try:
            await together(self._watch(), self._flush_often(), *(self._fetch() for _ in range(FETCHERS)))
        finally:
            self._flush()
        return self._batch

    async def _watch(self) -> None:
        while True:
            self._batch = await self._client.batches.get(self._batch_id, expand=["progress"])
            over = self._batch.status in FINAL
            found = await self._collect(everything=over)
            if over:
                break
            low, high = POLL_S
            # Each look costs the server a page or two: look often only while something comes.
            await asyncio.sleep(low if found else min(high, low * 4))
        for _ in range(FETCHERS):
            await self._queue.put(None)

    async def _collect(self, *, everything: bool) -> int:
        found = 0
        async for ended in self._ended.scan(everything=everything):
            path = self._paths.get(ended.directory_file_id) or ended.external_file_id or ended.name
            if path is None or path in self._under_way or path in self._log:
                continue
            self._under_way.add(path)
            found += 1
            await self._queue.put((path, ended))
        return found

    async def _fetch(self) -> None:
        while (item := await self._queue.get()) is not None:
            row = await self._fetcher.row_of(*item)
            self._rows.append(row)
            self._display.advance(failed=row.status == FAILED)
            self._forecast.advance()
        self._saved_all = self._queue.empty()

    async def _flush_often(self) -> None:
        while not self._saved_all:
            await asyncio.sleep(FLUSH_EVERY_S)
            self._flush()
            self._display.tick(_why_waiting(self._batch))

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        self._log.append(rows)
        self._under_way.difference_update(row.path for row in rows)


def _why_waiting(batch: Any) -> str | None:
    progress = getattr(batch, "progress", None)
    waiting = progress.get("waiting") if isinstance(progress, dict) else None
    return waiting.get("message") if isinstance(waiting, dict) else None
