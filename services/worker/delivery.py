"""What the files of a chunk ended with, on its way home beside the reading of the next document: results into
the storage, then ends into rows, in that order.

A process that dies on the way leaves results that no row names; whoever takes the files next finds them or
reads the documents again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from services.worker.originals import trouble_of
from shared.jobs.running import JobEnd
from shared.pausing import Point, reach
from shared.storage.port import FileKeeper, StorageDown
from shared.telemetry import logger

log = logger(__name__)

EVERY_S: Final = 0.5
Write = Callable[[Sequence[JobEnd]], Awaitable[None]]


class Delivery:
    """Of one chunk. What was added goes out together, twice a second, and one lot at a time: whoever
    would start another waits for the one under way. `write` tells rows of ends whose results are stored.

    Trouble with the storage is answered as words. Its files have no end then, and nothing else of them stays.
    """

    def __init__(self, storage: FileKeeper, write: Write) -> None:
        self.storing_s = 0.0
        """Seconds for which something was being stored."""
        self._storage = storage
        self._write = write
        self._made: dict[str, Path | bytes] = {}
        self._waiting: list[JobEnd] = []
        self._stored: list[JobEnd] = []
        self._under_way: asyncio.Task[str | None] | None = None
        self._started_at = time.monotonic()

    def keep(self, key: str, result: Path | bytes) -> None:
        """A result that is to lie under `key` in the storage. A file is ours from now on."""
        self._made[key] = result

    def add(self, end: JobEnd) -> None:
        """An end, whose result was kept before if it has one."""
        self._waiting.append(end)

    @property
    def is_due(self) -> bool:
        """Whether something waits that should go out now."""
        return bool(self._waiting) and time.monotonic() - self._started_at > EVERY_S

    async def start(self) -> str | None:
        """Send what waits on its way, as soon as what was sent before has arrived; answers the trouble of
        that, and sends nothing then."""
        trouble = await self._arrival()
        if trouble is None:
            ends, self._waiting = self._waiting, []
            self._started_at = time.monotonic()
            self._under_way = asyncio.create_task(self._deliver(ends))
        return trouble

    async def last(self, *, within_s: float | None = None) -> tuple[list[JobEnd], str | None]:
        """Wait for what is under way and store what waits; the ends of the latter, for the last transaction
        of the chunk, and the trouble if there was any. Asked again, it gives the same ends. What takes longer
        than `within_s` is given up, and its files have no end."""
        try:
            async with asyncio.timeout(within_s):
                trouble = await self._arrival()
                if trouble is None and self._waiting:
                    ends, self._waiting = self._waiting, []
                    if (trouble := await self._store(ends)) is None:
                        self._stored += ends
        except TimeoutError:
            if within_s is None:
                raise
            await self._break_off()
            trouble = "STORAGE_DOWN: the results could not be stored in time"
        return self._stored, trouble

    async def close(self) -> None:
        """Break off what is under way and delete what nobody stored."""
        await self._break_off()
        self._forget(list(self._made))

    async def _break_off(self) -> None:
        task, self._under_way = self._under_way, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _arrival(self) -> str | None:
        task = self._under_way
        if task is None:
            return None
        # Who is broken off while he waits may ask again.
        await asyncio.wait({task})
        self._under_way = None
        return task.result()

    async def _deliver(self, ends: Sequence[JobEnd]) -> str | None:
        trouble = await self._store(ends)
        if trouble is None:
            await self._write(ends)
        return trouble

    async def _store(self, ends: Sequence[JobEnd]) -> str | None:
        keys = [end.result_key for end in ends if end.result_key is not None]
        started = time.monotonic()
        try:
            if keys:
                await self._storage.put_files({key: self._made[key] for key in keys})
        except StorageDown as error:
            return trouble_of(error)
        except (OSError, MemoryError) as error:
            return trouble_of_ours(error)
        except Exception:
            # A fault of ours: the self-test says whether others meet it too.
            log.exception("results cannot be stored")
            return "STORAGE_DOWN: it failed, and the log of the worker has the reason"
        finally:
            self.storing_s += time.monotonic() - started
            self._forget(keys)
        await reach(Point.BLOB_STORED)
        return None

    def _forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            if isinstance(made := self._made.pop(key), Path):
                made.unlink(missing_ok=True)


def trouble_of_ours(error: OSError | MemoryError) -> str:
    """What this process lacks."""
    if isinstance(error, MemoryError):
        return "MEMORY: this worker process has no memory left"
    return f"SCRATCH: {error}"
