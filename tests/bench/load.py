"""A load generator that costs little: requests that are bytes already, over connections that stay open.

One process with uvloop. It reads of an answer its status and its length, and no more. `Measured.client_share`
says how much of one core it took: well below 1, it is not what is measured.
"""

import asyncio
import itertools
import resource
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import psutil
import uvloop

WARM_S = 0.5
PATIENCE_S = 30


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds of the answers of one round, its answers a second, and the client's part of a core.
    `server_us` is the processor time that the server took for an answer: what else the machine does matters
    little to it."""

    p50_ms: float
    p95_ms: float
    per_second: float
    client_share: float
    server_us: float


class _Asker(asyncio.Protocol):
    """One connection: the next request when the answer to the last is whole."""

    def __init__(self, requests: Iterator[bytes], until: float, took: list[float]) -> None:
        self._requests = requests
        self._until = until
        self._took = took
        self._got = bytearray()
        self._whole = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first request."""
        # uvloop's are transports without saying so by their type.
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """A piece of the answer."""
        self._got += data
        if not self._whole:
            head = self._got.find(b"\r\n\r\n")
            if head < 0:
                return
            if not self._got.startswith(b"HTTP/1.1 200 "):
                self._fail(bytes(self._got[:300]))
                return
            at = self._got.lower().find(b"\r\ncontent-length: ", 0, head + 2) + 18
            self._whole = head + 4 + int(self._got[at : self._got.find(b"\r\n", at)])
        if len(self._got) < self._whole:
            return
        now = time.perf_counter()
        self._took.append(now - self._asked)
        self._got.clear()
        self._whole = 0
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the round, or of the server."""
        if not self.done.done():
            if self._whole or self._got or exc:
                self.done.set_exception(ConnectionError(f"the server went away: {exc}"))
            else:
                self.done.set_result(None)

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(next(self._requests))

    def _fail(self, answer: bytes) -> None:
        self.done.set_exception(RuntimeError(f"an answer that is not 200: {answer!r}"))
        self._transport.close()


def request(target: str, key: str | None) -> bytes:
    """The bytes of a GET."""
    secret = "" if key is None else f"authorization: Bearer {key}\r\n"
    return f"GET {target} HTTP/1.1\r\nhost: bench\r\naccept: */*\r\n{secret}\r\n".encode()


async def _round(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    until, took = time.perf_counter() + seconds, list[float]()
    every = itertools.cycle(requests)
    askers = []
    for _ in range(connections):
        _, asker = await loop.create_connection(lambda: _Asker(every, until, took), "127.0.0.1", port)
        askers.append(asker.done)
    async with asyncio.timeout(seconds + PATIENCE_S):
        await asyncio.gather(*askers)
    return took


def measure(
    port: int, requests: Sequence[bytes], *, server: int, connections: int, seconds: float
) -> Measured:
    """One round after a short warm-up; `server` is the process that answers. Raises when any answer is not
    200."""
    uvloop.run(_round(port, requests, connections, WARM_S))
    before, before_server, started = _cpu(), _cpu_of(server), time.perf_counter()
    took = uvloop.run(_round(port, requests, connections, seconds))
    lasted = time.perf_counter() - started
    cuts = statistics.quantiles(took, n=100) if len(took) > 1 else [took[0]] * 99
    return Measured(
        p50_ms=cuts[49] * 1000,
        p95_ms=cuts[94] * 1000,
        per_second=len(took) / lasted,
        client_share=(_cpu() - before) / lasted,
        server_us=(_cpu_of(server) - before_server) / len(took) * 1e6,
    )


def _cpu_of(process: int) -> float:
    used = psutil.Process(process).cpu_times()
    return float(used.user + used.system)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
