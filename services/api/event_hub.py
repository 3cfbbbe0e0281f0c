"""Who listens to batches in this process, and the one place that looks for their events.

However many listen, one statement every half second asks for the news of all their batches, over one
connection that is given back; a listener holds none. What came is kept for a while for all listeners of a
batch together: each has only its place in it, so one that reads slowly costs no memory, and one that fell far
behind reads from the database.
"""

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from services.api.event_shape import Told, told
from shared.batches import following
from shared.db.reader import NotNow, Reader
from shared.errors import TooMany, Unavailable
from shared.telemetry import logger

log = logger(__name__)

LOOK_EVERY_S: Final = 0.5
SHARE: Final = 0.1
"""Of the time of a connection that looking may take: very many batches are looked at less often."""
AWAY_S: Final = 1.0
REMEMBERED: Final = 256
RETRY_AFTER_S: Final = 15.0
LEAVE: Final = "batchmill.leave"
"""In the scope of a request that listens: what to call so that it ends."""
LEAVING: Final = "batchmill.leaving"
"""There, once the server is about to end."""


class Behind(Exception):
    """Events that the listener has not seen are not kept any more."""


@dataclass(slots=True)
class _Channel:
    """The last events of one batch, and who waits for the next."""

    head: int
    recent: deque[Told] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    listeners: "set[Listener]" = field(default_factory=set)


class Listener:
    """One stream, at its `place` in the events of a batch. Leave with `close`, twice is once."""

    def __init__(self, hub: "Hub", batch_id: UUID, key_id: UUID, place: int) -> None:
        self._hub = hub
        self.batch_id = batch_id
        self.key_id = key_id
        self.place = place
        self._leaving = False
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to look at."""
        self._woken.set()

    def is_leaving(self) -> bool:
        """Was it sent away?"""
        return self._leaving

    def leave(self) -> None:
        """The client has gone, or the process ends: `next` answers at once, and with nothing."""
        self._leaving = True
        self._woken.set()

    async def next(self, within_s: float) -> list[Told]:
        """The events after its place, once there are some; none after `within_s` seconds. Raises `Behind`,
        `NotNow`."""
        found = await self._hub.after(self)
        if not found and not self.is_leaving():
            try:
                async with asyncio.timeout(within_s):
                    await self._woken.wait()
            except TimeoutError:
                return []
            found = [] if self.is_leaving() else await self._hub.after(self)
        if found:
            self.place = found[-1].n
        return found

    def rest(self) -> None:
        """Forget a wake-up whose reason was looked at."""
        self._woken.clear()

    def close(self) -> None:
        """Listen no more."""
        self._hub.close(self)


class Hub:
    """All listeners of this process: at most `most`, and `most_per_key` with one key."""

    def __init__(self, reader: Reader, *, most: int, most_per_key: int) -> None:
        self._reader = reader
        self._most = most
        self._most_per_key = most_per_key
        self._channels: dict[UUID, _Channel] = {}
        self._by_key: Counter[UUID] = Counter()
        self._looking: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return self._by_key.total()

    def check_room(self, key_id: UUID) -> None:
        """May one more listen? `TooMany` for a key that has all of its own, `Unavailable` when this process
        has."""
        if self._by_key[key_id] >= self._most_per_key:
            raise TooMany(
                f"At most {self._most_per_key} requests with one key may follow batches at a time.",
                retry_after=RETRY_AFTER_S,
            )
        if self.listeners >= self._most:
            raise Unavailable(f"This server lets {self._most} requests follow batches at a time.")

    def join(self, batch_id: UUID, key_id: UUID, place: int) -> Listener:
        """A listener that was told all events up to `place`."""
        listener = Listener(self, batch_id, key_id, place)
        channel = self._channels.get(batch_id)
        if channel is None:
            channel = self._channels[batch_id] = _Channel(head=place)
        channel.listeners.add(listener)
        self._by_key[key_id] += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="events")
        return listener

    def close(self, listener: Listener) -> None:
        """It listens no more; a batch that nobody listens to is not looked at."""
        channel = self._channels.get(listener.batch_id)
        if channel is None or listener not in channel.listeners:
            return
        channel.listeners.remove(listener)
        if not channel.listeners:
            del self._channels[listener.batch_id]
        self._by_key[listener.key_id] -= 1
        if not self._by_key[listener.key_id]:
            del self._by_key[listener.key_id]

    async def after(self, listener: Listener) -> list[Told]:
        """What the listener has not seen of what is known here. Raises `Behind`, `NotNow`."""
        listener.rest()
        channel = self._channels[listener.batch_id]
        if channel.head <= listener.place:
            return []
        if channel.recent and channel.recent[0].n <= listener.place + 1:
            return [event for event in channel.recent if event.n > listener.place]
        found = [told(e) for e in await following.since(self._reader, listener.batch_id, listener.place)]
        if not found or found[0].n != listener.place + 1:
            raise Behind
        return found

    async def stop(self) -> None:
        """Nobody looks any more; who still listens is sent away."""
        self._send_away()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def _send_away(self) -> None:
        for channel in self._channels.values():
            for listener in channel.listeners:
                listener.leave()

    async def _look(self) -> None:
        while self._channels:
            started = time.monotonic()
            try:
                await self._look_once()
            except NotNow:
                await asyncio.sleep(AWAY_S)
                continue
            except Exception:
                # Whatever it is, those who listen are not to wait for ever; their next try starts anew.
                log.exception("looking for events failed")
                self._send_away()
                return
            took = time.monotonic() - started
            await asyncio.sleep(max(LOOK_EVERY_S, took / SHARE))

    async def _look_once(self) -> None:
        moved: set[UUID] = set()
        heads = {batch_id: channel.head for batch_id, channel in self._channels.items()}
        for event in await following.news(self._reader, heads):
            channel = self._channels.get(event.batch_id)
            if channel is None or event.n <= channel.head:
                continue
            if event.n != channel.head + 1:
                # Some were removed before they were seen here: each listener finds out for itself.
                channel.recent.clear()
            channel.recent.append(told(event))
            channel.head = event.n
            moved.add(event.batch_id)
        for batch_id in moved:
            for listener in self._channels[batch_id].listeners:
                listener.wake()
