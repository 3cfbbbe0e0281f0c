"""How the API listens: a server whose connections cannot be held, or filled, by who never asks anything.

The server's own HTTP reads heads of any size, and waits for them for ever. Both happen before the application
is called, so both are bounded here; what a body may do is said in `middleware`.
"""

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from http import HTTPStatus
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from services.api.event_hub import LEAVE, LEAVING
from services.api.middleware import PATIENCE_S

MAX_HEAD: Final = 128 << 10
"""Bytes of a request's line and headers: a thousand ids in a query have 50,000."""
MAX_HEADERS: Final = 100
HEAD_WITHIN_S: Final = PATIENCE_S
"""How long a connection may live without a request that the application works on; as long as for a body."""
OVERHEAD: Final = 32  # what a header costs beside its bytes


class BoundedConnection(HttpToolsProtocol):
    """Answers 431 to a head that is too large, and ends a connection on which no head arrives in time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._unparsed = 0
        self._progress = False
        self._in_head = True
        self._too_large = False
        self._idle_since = self.loop.time()
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Watch it from the first moment: who connects and says nothing has no request to time out."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._watch = self.loop.call_later(HEAD_WITHIN_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server is about to end: a request that waits for events is not to be waited for."""
        super().shutdown()
        if self._works:
            scope: Any = self.cycle.scope
            scope[LEAVING] = True
            scope.get(LEAVE, _nothing)()

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse what grows without becoming a head or a piece of a body: the parser keeps the
        header that it is reading, and a trailer, however long."""
        if self.transport.is_closing():
            return
        self._progress = False
        super().data_received(data)
        self._unparsed = 0 if self._progress else self._unparsed + len(data)
        if self._unparsed > MAX_HEAD and not self.transport.is_closing():
            self._refuse()

    def send_400_response(self, msg: str) -> None:
        """A head that our own callback refused is 431, everything else that cannot be parsed 400."""
        if self._too_large:
            self._refuse()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._head = 0
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        """Count it."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count it. What comes after a chunked body is no header: it must not change a request that runs."""
        if not self._in_head:
            return
        self._count(len(name) + len(value) + OVERHEAD)
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._fail()

    def on_headers_complete(self) -> None:
        """The application takes over."""
        self._in_head = False
        self._progress = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._progress = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """From now on it is the client's turn: to send the rest of its body, or a new head."""
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: it is answered as the plain request that it is; no operator has to install anything."""

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD:
            self._fail()

    def _fail(self) -> None:
        self._too_large = True
        raise ValueError("the head of this request is too large")

    @property
    def _works(self) -> bool:
        # It has none before the first request, whatever its type says.
        return not getattr(self.cycle, "response_complete", True)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        now = self.loop.time()
        if self._works:
            self._idle_since = now
        left = self._idle_since + HEAD_WITHIN_S - now
        if left > 0:
            self._watch = self.loop.call_later(left, self._look)
            return
        if self._in_head:
            self._say(HTTPStatus.REQUEST_TIMEOUT, f"No request came within {HEAD_WITHIN_S:.0f} seconds.")
        self.transport.close()

    def _refuse(self) -> None:
        self._say(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"The line and headers of a request may have {MAX_HEAD:,} bytes and {MAX_HEADERS} headers.",
        )
        self.transport.close()

    def _say(self, status: HTTPStatus, text: str) -> None:
        """An answer of the connection's own, unless one of the application's is under way on it."""
        if self._works:
            return
        body = b'{"detail":"' + text.encode("ascii") + b'"}'
        head = (
            b"content-type: application/json\r\nconnection: close\r\n"
            b"content-length: " + str(len(body)).encode() + b"\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head + body)


def _nothing() -> None:
    """There is nobody to tell."""


OPTIONS: Final[Mapping[str, Any]] = {
    "http": BoundedConnection,
    "ws": "none",
    "log_config": None,
    "access_log": False,
}
"""What the server of the API is opened with, whoever opens it."""


LOOK_EVERY_S: Final = 1.0


class RestingServer(uvicorn.Server):
    """Looks around once a second, for the time in its headers; its own would ten times, to see a signal. Here
    the signal wakes it, so a stop is heard at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._asked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Until the server was asked to end."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._asked.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._asked.set)


def serve(host: str, port: int) -> None:
    """Serve the API until SIGTERM or SIGINT; blocks. `SystemExit` when it could not start."""
    config = uvicorn.Config(
        "services.api.app:create_app",
        factory=True,
        host=host,
        port=port,
        timeout_graceful_shutdown=20,
        **OPTIONS,
    )
    server = RestingServer(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(1)
