"""An answer that is made while it is sent."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Streamed(StreamingResponse):
    """Sends what a generator makes, at the pace at which it is taken, and ends the generator when the client
    goes away. What the generator raises cuts the connection: an answer that is not whole must not look like
    one that is."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        *,
        media_type: str,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(pieces, status_code, headers, media_type)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            # At once, and not when it happens to be collected: it may hold something.
            await self._pieces.aclose()


async def gathered(pieces: AsyncGenerator[bytes], size: int = 64 << 10) -> AsyncGenerator[bytes]:
    """The same bytes in pieces of about `size`: each piece that is sent costs the same, however small it
    is."""
    found = bytearray()
    async with aclosing(pieces):
        async for piece in pieces:
            found += piece
            if len(found) >= size:
                yield bytes(found)
                found.clear()
    if found:
        yield bytes(found)
