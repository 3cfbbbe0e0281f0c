"""What surrounds every request: its id, the limits of its body, and queries without empty values."""

import asyncio
import re
from typing import Final
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.error_handlers import answer_unexpected
from shared.telemetry import bind

HEADER: Final = b"x-request-id"
_SANE: Final = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
DRAIN_S: Final = 10.0
MAX_JSON: Final = 8 << 20
REFUSED: Final = 400


class RequestIds:
    """Gives each request an id (the caller's, if it sent a sane one), says it in the answer and in every
    log line, and turns an exception that nobody foresaw into an answer that names it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the id, whatever happens inside."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = dict(scope["headers"]).get(HEADER, b"")
        request_id = sent.decode() if _SANE.fullmatch(sent) else uuid4().hex
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message["headers"], (HEADER, request_id.encode())]}
            await send(message)

        with bind(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                return
            except Exception as error:
                answer = answer_unexpected(error, request_id)
                if started:
                    raise
                await answer(scope, receive, send_with_id)


class Bodies:
    """Bounds a body that is read whole, and reads the rest of one that is refused.

    A refusal that is sent while the client still uploads reaches it as a broken connection, which the SDKs
    retry five times; so what it still sends is read and dropped first, for ten seconds at most.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read no more than is allowed, and no less than was sent."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive)

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= REFUSED:
                await body.drain()
            await send(message)

        await self._app(scope, body.receive, send_after_body)


class _Body:
    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = dict(scope["headers"])
        self._receive = receive
        self._streamed = headers.get(b"content-type", b"").lower().startswith(b"multipart/")
        # Such a client sends nothing before we ask for it: to drain would be to ask.
        self._waits = headers.get(b"expect", b"").lower() == b"100-continue"
        self._size = 0
        self._over = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._waits = False
        if message["type"] != "http.request" or not message.get("more_body"):
            self._over = True
        self._size += len(message.get("body", b""))
        if self._size > MAX_JSON and not self._streamed:
            raise HTTPException(413, f"The body of this request may have {MAX_JSON:,} bytes.")
        return message

    async def drain(self) -> None:
        if self._waits:
            return
        self._streamed = True
        try:
            async with asyncio.timeout(DRAIN_S):
                while not self._over:
                    await self.receive()
        except TimeoutError:
            return


class EmptyQueryValues:
    """Drops `name=` from the query: some clients send null that way (contract 3), and mean nothing by it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the rest of its query."""
        if scope["type"] == "http" and scope.get("query_string"):
            parts = scope["query_string"].split(b"&")
            scope = {**scope, "query_string": b"&".join(p for p in parts if p.partition(b"=")[2])}
        await self._app(scope, receive, send)
