"""What surrounds every request: its id, the limits of its body, and queries without empty values."""

import asyncio
import re
import time
from typing import Final
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.error_handlers import answer_unexpected
from services.api.plain_text import opens_too_many
from services.api.uploads import IN_PIECES
from shared.configurations.schema import MAX_PARTS
from shared.metrics import HttpRequests
from shared.telemetry import bind

HEADER: Final = b"x-request-id"
_SANE: Final = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
MAX_JSON: Final = 2 << 20  # the largest thing that is asked for, a schema, has 150,000 bytes
PATIENCE_S: Final = 30.0  # for a silent client, also before its request (`listening`)
PACE: Final = 1_024  # bytes a second: no link that people use is slower
UNKNOWN_ROUTE: Final = "unknown"
EVENTS: Final = b"text/event-stream"
GONE: Final = 499  # as proxies say it: the client went away before the answer


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
        scope.setdefault("state", {})["request_id"] = request_id
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


class CountedRequests:
    """Counts requests by method, route and status. The route is the template, not the path: no id and no
    guess of a stranger becomes a label."""

    def __init__(self, app: ASGIApp, requests: HttpRequests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = GONE
        started = time.monotonic()
        took: float | None = None

        async def send_noting(message: Message) -> None:
            nonlocal status, took
            if message["type"] == "http.response.start":
                status = message["status"]
                if dict(message["headers"]).get(b"content-type", b"").startswith(EVENTS):
                    # How long somebody listens says nothing of how fast this answers.
                    took = time.monotonic() - started
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
            seconds = time.monotonic() - started if took is None else took
            self._requests.note(scope["method"], route, status, seconds)


class HeadRequests:
    """Answers a HEAD as the GET of the same path is answered, without what would follow (RFC 9110, 9.3.2). A
    page whose answer is made while it is sent makes nothing: it is told that the client has gone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a HEAD on as a GET of the whole, and send what the answer begins with."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                # From now on the server says to whoever asks that the request is over.
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await self._app({**scope, "method": "GET", "headers": headers}, receive, send_head)


class BoundedBodies:
    """Refuses a body over `MAX_JSON` (413) and one of too many objects and lists (400), whatever the client
    says it is: it is read as JSON before anybody asks for the key. But a form that is read piece by piece is
    bounded where it is read. What a refused client still sends is read and dropped by the server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count what is read of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        too_large = HTTPException(413, f"The body of this request may have {MAX_JSON:,} bytes.")
        too_many = HTTPException(400, f"body: it has more than {MAX_PARTS:,} objects and lists.")
        # The server lets only digits through, and no more than 64 bits of them.
        announced = int(headers.get(b"content-length", b"0"))
        came: list[bytes] = []
        size = 0

        async def receive_bounded() -> Message:
            nonlocal size
            if scope.get("state", {}).get(IN_PIECES):
                return await receive()
            if announced > MAX_JSON:
                raise too_large
            message = await receive()
            came.append(message.get("body", b""))
            size += len(came[-1])
            if size > MAX_JSON:
                raise too_large
            if not message.get("more_body", False) and opens_too_many(b"".join(came)):
                raise too_many
            return message

        await self._app(scope, receive_bounded, send)


class PacedBodies:
    """Refuses (408) a body that comes too slowly: `PATIENCE_S` seconds of waiting, and one more for each
    `PACE` bytes that came, but never more than `PATIENCE_S` at once. Only waiting for the client counts:
    storage that is slow is not its fault."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and time what is read of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        waited = 0.0
        came = 0
        whole = False

        async def receive_in_time() -> Message:
            nonlocal waited, came, whole
            if whole:
                return await receive()
            started = time.monotonic()
            try:
                async with asyncio.timeout(min(PATIENCE_S, max(0.0, PATIENCE_S + came / PACE - waited))):
                    message = await receive()
            except TimeoutError:
                headers = {"connection": "close"}
                raise HTTPException(408, "The body of this request came too slowly.", headers) from None
            waited += time.monotonic() - started
            came += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)


class EmptyQueryValues:
    """Drops `name=` from the query: some clients send null that way (contract 3), and mean nothing by it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the rest of its query."""
        if scope["type"] == "http" and scope.get("query_string"):
            parts = scope["query_string"].split(b"&")
            # In place: what is around this reads the route out of the same scope afterwards.
            scope["query_string"] = b"&".join(p for p in parts if p.partition(b"=")[2])
        await self._app(scope, receive, send)
