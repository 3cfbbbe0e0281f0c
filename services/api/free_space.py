"""Is there room for another upload? A local folder that fills up would stop the database beside it too."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from shared.errors import StorageFull

FRESH_S: Final = 2.0
TRY_AGAIN_S: Final = 30.0
SETTING: Final = "BATCHMILL_STORAGE__MIN_FREE_BYTES"


class FreeSpace:
    """The free bytes of the storage, asked at most every two seconds. Stores that do not say (buckets) have
    room, and so has everything when `least` is 0. Every process has its own."""

    def __init__(self, ask: Callable[[], int | None], least: int) -> None:
        self._ask = ask
        self._least = least
        self._asked_at = float("-inf")
        self._free: int | None = None

    async def insist(self, announced: str | None) -> None:
        """Raises `StorageFull` when too little would be left. `announced` is the Content-Length of what is
        about to come; what does not say counts as nothing, and is stopped when the room is gone."""
        coming = int(announced) if announced is not None and announced.isdecimal() else 0
        free = await self._look()
        if free is None or free - coming >= self._least:
            return
        raise StorageFull(
            f"The storage of this server is full: {free:,} bytes are free, this upload brings {coming:,}, and"
            f" {self._least:,} must stay free ({SETTING}). Nothing was stored. Its operator makes room.",
            retry_after=TRY_AGAIN_S,
        )

    async def shortage(self) -> str | None:
        """Why no upload is let in, in words; None when there is room."""
        free = await self._look()
        if free is None or free >= self._least:
            return None
        return f"uploads are refused: {free:,} bytes are free, {self._least:,} must stay free ({SETTING})"

    async def _look(self) -> int | None:
        if not self._least:
            return None
        if time.monotonic() - self._asked_at > FRESH_S:
            # A folder on the network may take its time to tell.
            try:
                self._free = await asyncio.to_thread(self._ask)
            except OSError:
                # A folder that is not there is told by whoever writes into it.
                self._free = None
            self._asked_at = time.monotonic()
        return self._free
