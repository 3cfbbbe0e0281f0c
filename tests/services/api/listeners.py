"""Listening to a batch, for tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from services.cli.watch.stream import Event, parsed
from shared import ids

SOON_S = 10


def path_of(batch_id: UUID) -> str:
    return f"/api/v2/batches/{ids.show(ids.Kind.BATCH, batch_id)}/events"


@dataclass
class Ear:
    """What one connection brought so far."""

    response: httpx.Response
    heard: list[Event] = field(default_factory=list)
    signs: int = 0
    ended: bool = False

    async def listen(self) -> None:
        rest = b""
        async for piece in self.response.aiter_bytes():
            whole, _, rest = (rest + piece).rpartition(b"\n\n")
            for one in parsed([whole + b"\n\n"] if whole else []):
                self.signs += one is None
                if one is not None:
                    self.heard.append(one)
        self.ended = True

    async def wait_for(self, what: Any) -> None:
        """Until it was heard."""
        async with asyncio.timeout(SOON_S):
            while not what(self):
                await asyncio.sleep(0.01)

    @property
    def numbers(self) -> list[int]:
        return [event.n for event in self.heard]

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.heard]


@asynccontextmanager
async def ear(http: httpx.AsyncClient, batch_id: UUID, **sent: Any) -> AsyncIterator[Ear]:
    """A connection that is listened to in the background."""
    async with http.stream("GET", path_of(batch_id), **sent) as response:
        assert response.status_code == 200, await response.aread()
        one = Ear(response)
        task = asyncio.create_task(one.listen())
        try:
            yield one
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def whole(http: httpx.AsyncClient, batch_id: UUID, **sent: Any) -> list[Event]:
    """All events of a stream that ends by itself."""
    found = await http.get(path_of(batch_id), **sent)
    assert found.status_code == 200, found.text
    return [event for event in parsed([found.content]) if event is not None]
