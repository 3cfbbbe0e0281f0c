"""What makes a request this one and no other: method, path, query, and what it brought.

It is kept, so it is made with the server's key: nobody who reads it can try what a body held.
"""

import hashlib
from typing import Final

from starlette.requests import Request

from services.api.signing import Signer

PURPOSE: Final = "request"
SENDING: Final = "x-stainless-retry-count"
MOST_SENDINGS: Final = 3  # digits


def fingerprint_of(request: Request, *brought: bytes) -> bytes:
    """16 bytes; of a JSON body `brought` is the body as it came."""
    scope = request.scope
    place = f"{request.method} {scope['path']}?".encode() + scope["query_string"]
    digest = hashlib.sha256()
    for part in (place, *brought):
        digest.update(b"%d:" % len(part) + part)
    signer: Signer = request.app.state.door.signer
    return signer.sign(PURPOSE, digest.digest())


def sending_of(request: Request) -> int | None:
    """How often the client has sent this before, from 0; None when it does not count."""
    text = request.headers.get(SENDING, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_SENDINGS else None
