"""Stands between the client's own tests and the stack: real ids and a real key where theirs are literals.

Everything else goes through as it came: the rest of the path and the query, the body, the status, the answer.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.listening_socket import listening_socket
from tests.sdk.generated.literals import real_body, real_path, real_query
from tests.sdk.generated.world import World

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
HOP = {"host", "content-length", "transfer-encoding", "connection", "authorization", "accept-encoding"}
BACK = {"content-length", "content-encoding", "transfer-encoding", "connection", "server", "date"}
UP_WITHIN_S = 90.0


class Gateway:
    """Serves from a thread for the length of a `with`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._socket = listening_socket()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        route = Route("/{path:path}", self._answer, methods=METHODS)
        app = Starlette(routes=[route], lifespan=self._lifespan)
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        self._thread = threading.Thread(target=self._serve, name="gateway", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        for _ in range(int(UP_WITHIN_S * 20)):
            if self._server.started:
                return self
            assert self._thread.is_alive(), "the gateway ended before it served; see the log above"
            self._thread.join(0.05)
        raise AssertionError("the gateway did not come up")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        await self._world.open()
        yield
        await self._world.close()

    async def _answer(self, request: Request) -> Response:
        """What goes wrong between the two fails the test at once; the client would send a 500 again."""
        try:
            return await self._pass_on(request)
        except Exception as error:  # noqa: BLE001 - told to the test, whatever it is
            said = f"the gateway: {error!r}"
            return Response(said, status_code=500, headers={"x-should-retry": "false"})

    async def _pass_on(self, request: Request) -> Response:
        query = parse_qsl(request.url.query, keep_blank_values=True)
        path = await real_path(self._world, request.method, request.url.path, dict(query))
        body = await request.body()
        if request.headers.get("content-type") == "application/json" and body:
            body = json.dumps(await real_body(self._world, json.loads(body))).encode()
        headers = [(name, value) for name, value in request.headers.items() if name not in HOP]
        answer = await self._world.send(
            self._world.request(
                request.method,
                path,
                params=await real_query(self._world, request.method, path, query),
                content=body,
                headers=headers,
            )
        )
        kept = {name: value for name, value in answer.headers.items() if name not in BACK}
        return Response(answer.content, status_code=answer.status_code, headers=kept)
