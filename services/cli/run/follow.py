"""Follows a batch to its end and saves results as files end."""

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any, Final

from llama_cloud import AsyncLlamaCloud

from services.cli.run.display import Display
from services.cli.run.ended import Ended, EndedFiles
from services.cli.run.estimate import Forecast
from services.cli.run.fetch import MOST_AT_ONCE, Fetcher
from services.cli.run.results import FAILED, ResultLog, Row
from services.cli.run.together import together

FINAL: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
FETCHERS: Final = 2
"""One waits for the server while the other writes."""
FLUSH_EVERY_S: Final = 0.25
LOOK_EVERY_S: Final = (0.25, 1.0)
SLOWER_OVER_S: Final = 60.0
IDLE_S: Final = 1.0
SEARCH_EVERY_S: Final = 10.0


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
        self._queue: asyncio.Queue[tuple[str, Ended] | None] = asyncio.Queue(MOST_AT_ONCE * 4)
        self._rows: list[Row] = []
        self._batch: Any = None
        self._saved_all = False

    async def to_the_end(self) -> Any:
        """The batch as it is when it is final and everything is saved. Cut off, it keeps what it has."""
        try:
            await together(self._watch(), self._flush_often(), self._fetch_all())
        finally:
            self._flush()
        return self._batch

    async def _watch(self) -> None:
        began, searched = time.monotonic(), -math.inf
        while True:
            self._batch = await self._client.batches.get(self._batch_id, expand=["progress"])
            over = self._batch.status in FINAL
            found = await self._collect(everything=over)
            now = time.monotonic()
            if over:
                break
            # Results that were there already lie anywhere in the list, also behind the work.
            if self._ended.known < _ended_by(self._batch) and (now - searched > SEARCH_EVERY_S or not found):
                found += await self._collect(everything=True)
                searched = time.monotonic()
            # Each look costs the server some pages: often at first, and only while something comes.
            low, high = LOOK_EVERY_S
            pause = low + (high - low) * min(1.0, (now - began) / SLOWER_OVER_S)
            await asyncio.sleep(pause if found else IDLE_S)
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

    async def _fetch_all(self) -> None:
        await together(*(self._fetch() for _ in range(FETCHERS)))
        self._saved_all = True

    async def _fetch(self) -> None:
        while group := await self._next_group():
            for row in await self._fetcher.rows_of(group):
                self._rows.append(row)
                self._display.advance(failed=row.status == FAILED)
                self._forecast.advance()

    async def _next_group(self) -> list[tuple[str, Ended]]:
        """What there is to fetch, one file at least; none when there will be no more."""
        item = await self._queue.get()
        group: list[tuple[str, Ended]] = []
        while item is not None:
            group.append(item)
            if len(group) == MOST_AT_ONCE or self._queue.empty():
                return group
            item = self._queue.get_nowait()
        # The end is for every fetcher.
        self._queue.put_nowait(None)
        return group

    async def _flush_often(self) -> None:
        while not self._saved_all:
            await asyncio.sleep(FLUSH_EVERY_S)
            self._flush()
            self._display.tick(_why_waiting(self._batch))

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        self._log.append(rows)
        self._under_way.difference_update(row.path for row in rows)


def _progress(batch: Any) -> dict[str, Any]:
    progress = getattr(batch, "progress", None)
    return progress if isinstance(progress, dict) else {}


def _ended_by(batch: Any) -> int:
    """How many files had ended when the server was asked."""
    return sum(_progress(batch).get(name, 0) for name in ("completed", "failed", "cancelled", "unmapped"))


def _why_waiting(batch: Any) -> str | None:
    waiting = _progress(batch).get("waiting")
    return waiting.get("message") if isinstance(waiting, dict) else None
