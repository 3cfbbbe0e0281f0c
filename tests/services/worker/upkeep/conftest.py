"""A receiver of webhooks that does what it is told, and an upkeep that sends them, in this process."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from services.worker.upkeep import trying
from services.worker.upkeep.deliver import Deliverer
from services.worker.upkeep.process import delivering, keep_up
from shared.outbound.targets import Policy
from shared.webhooks import announcing, schedule
from shared.webhooks.service import Endpoint, Gate
from shared.webhooks.vault import Vault
from shared.wiring import Resources
from tests.shared.conftest import Mill, make_mill

ANYWHERE = Policy("BATCHMILL_WEBHOOKS", allow_private=True, ports=None)
WITHIN_S = 60.0


@dataclass(frozen=True)
class Heard:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> dict[str, Any]:
        """The event, from either format."""
        read = json.loads(self.body)
        return dict(json.loads(read) if isinstance(read, str) else read)


Tell = Callable[..., Awaitable[UUID]]
Answering = Callable[[Heard, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Receiver:
    """An HTTP server on a port of this host. `answer` says what each request gets: by default 204."""

    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    open_now: int = 0
    most_open: int = 0
    connections: int = 0
    answer: Answering | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def types(self) -> list[str]:
        """The events in the order in which they came."""
        return [one.event["event_type"] for one in self.heard]

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (heard := await read_request(reader)) is not None:
                self.heard.append(heard)
                self.open_now += 1
                self.most_open = max(self.most_open, self.open_now)
                try:
                    if self.answer is None:
                        await say(writer, 204)
                    else:
                        await self.answer(heard, writer)
                finally:
                    self.open_now -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> Heard | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    named = {name.lower(): value for name, value in headers.items()}
    assert len(named) == len(lines), "a header is there twice"
    body = await reader.readexactly(int(named["content-length"]))
    return Heard(first.split(" ")[1], named, body, asyncio.get_running_loop().time())


async def say(writer: asyncio.StreamWriter, status: int, *headers: str, body: bytes = b"") -> None:
    lines = [f"HTTP/1.1 {status} So", *headers, *([] if status == 204 else [f"content-length: {len(body)}"])]
    writer.write("\r\n".join((*lines, "", "")).encode() + body)
    await writer.drain()


@asynccontextmanager
async def receiving(answer: Answering | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer=answer)
    server = await asyncio.start_server(receiver.meet, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
def vault() -> Vault:
    return Vault.of(b"a key of tests")


@pytest.fixture
def gate(vault: Vault) -> Gate:
    return Gate(ANYWHERE, vault)


@asynccontextmanager
async def sending(resources: Resources, deliverer: Deliverer) -> AsyncIterator[None]:
    """Upkeep sends for the length of the block."""
    stopping = asyncio.Event()
    steps = delivering(deliverer, resources.reader)
    running = asyncio.create_task(keep_up(resources, stopping, more=steps))
    try:
        yield
    finally:
        stopping.set()
        await running
        await deliverer.leave(resources.unit_of_work)
        await deliverer.close()


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await true():
            await asyncio.sleep(0.02)


@pytest.fixture
async def mill(resources: Resources) -> Mill:
    return await make_mill(resources)


@pytest.fixture
def tell(mill: Mill, vault: Vault) -> Tell:
    """A batch, and the news of it for one endpoint; answers its id."""

    async def told(url: str, *, secret: str | None = None, times: int = 1, **fields: Any) -> UUID:
        sealed = None if secret is None else vault.seal(mill.project_id, secret)
        endpoint = Endpoint(url, None, fields.get("headers"), fields.get("output_format", "json"), sealed)
        batch = await mill.open_batch()
        async with mill.resources.unit_of_work() as uow:
            for _ in range(times):
                await announcing.attach(uow, mill.project_id, batch, about="BATCH", endpoints=[endpoint])
            await announcing.batch_moved(uow, batch)
            await uow.commit()
        return batch

    return told


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once, and a receiver has half a second."""
    monkeypatch.setattr(schedule, "TRIES_S", (0.0,) * 8)
    monkeypatch.setattr(schedule, "LONGEST_ASKED_S", 0.0)
    monkeypatch.setattr(trying, "TRY_WITHIN_S", 0.5)


def over(mill: Mill, *, but: int = 0) -> Callable[[], Awaitable[bool]]:
    async def nothing_pending() -> bool:
        pending = await mill.one("SELECT count(*) FROM webhook_deliveries WHERE status = 'PENDING'")
        return bool(pending <= but)

    return nothing_pending


async def rows(mill: Mill) -> Sequence[Any]:
    return await mill.sql("SELECT * FROM webhook_deliveries ORDER BY id")


async def fails(_: Heard, writer: asyncio.StreamWriter) -> None:
    await say(writer, 500, body=b"it broke\x00 here" + b"x" * 2_000)


async def hangs(_: Heard, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def redirects(_: Heard, writer: asyncio.StreamWriter) -> None:
    await say(writer, 307, "location: http://127.0.0.1:1/")


async def is_gone(_: Heard, writer: asyncio.StreamWriter) -> None:
    await say(writer, 410)


async def asks_for_patience(_: Heard, writer: asyncio.StreamWriter) -> None:
    await say(writer, 429, "retry-after: 1")


async def talks_garbage(_: Heard, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff garbage\r\n\r\n" * 20)
    await writer.drain()


async def hangs_up(_: Heard, writer: asyncio.StreamWriter) -> None:
    writer.close()
