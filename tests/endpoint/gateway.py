"""What stands in front of a real server elsewhere: one request in a while, the others are told to come back.

It answers no question itself. It passes bytes on, or refuses with 429 and `Retry-After`.
"""

import asyncio
import json
import math
import time
from types import TracebackType
from typing import Self

from tests.endpoint.server import ModelServer

_REFUSAL = b'{"error":{"message":"Rate limit reached for requests","type":"requests"}}'


class Gateway:
    """Lets one request through in `every_s` seconds; each comes `late_s` seconds late, as from far away.
    `told`: the `Retry-After` of each refusal."""

    def __init__(self, server: ModelServer, *, every_s: float = 0.0, late_s: float = 0.0) -> None:
        self._server = server
        self._every_s = every_s
        self._late_s = late_s
        self._open_at = 0.0
        self.told: list[int] = []
        self.keys: set[str] = set()
        self.models: set[str] = set()
        self.base_url = ""

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        await self._listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            headers = {name.lower(): value for name, value in lines.items()}
            body = await reader.readexactly(int(headers["content-length"]))
            self.keys.add(headers.get("authorization", ""))
            self.models.add(json.loads(body)["model"])
            wait = self._open_at - time.monotonic()
            if wait > 0:
                self.told.append(math.ceil(wait))
                headed = f"Retry-After: {self.told[-1]}\r\nContent-Length: {len(_REFUSAL)}"
                writer.write(f"HTTP/1.1 429 Too Many Requests\r\n{headed}\r\n\r\n".encode() + _REFUSAL)
            else:
                self._open_at = time.monotonic() + self._every_s
                await asyncio.sleep(self._late_s)
                writer.write(await self._pass_on(head, body))
            await writer.drain()
        finally:
            writer.close()

    async def _pass_on(self, head: str, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        once = head.replace("Connection: keep-alive", "Connection: close")
        writer.write(once.encode() + body)
        answer = await reader.read()
        writer.close()
        return answer
