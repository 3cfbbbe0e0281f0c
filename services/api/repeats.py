"""Creating requests that come twice: the second is given the answer of the first.

A page that creates asks for `Once` (a JSON body) or `OnceForForm` (an upload) before it does anything, and
returns what `keep` gives back. A request that was answered before never reaches the page, or leaves it at
`begin`: `Replayed` carries the first answer out. What was refused is not kept: the same key may be sent again
with a better body.
"""

import hashlib
from typing import Annotated, Final, TypeVar

from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import Response

from services.api.dependencies import ProjectId, TheCaller, Uow
from shared.answers import service as answers
from shared.answers.model import LONGEST_KEY
from shared.answers.service import Kept, OtherRequest, Sent
from shared.db.unit_of_work import UnitOfWork

HEADER: Final = "Idempotency-Key"
SENDING: Final = "x-stainless-retry-count"
REPLAYED: Final = "idempotent-replayed"
MOST_SENDINGS: Final = 3  # digits

M = TypeVar("M", bound=BaseModel)


class Replayed(Exception):
    """The request was answered before, like this."""

    def __init__(self, kept: Kept) -> None:
        super().__init__("answered before")
        self.kept = kept


class Repeats:
    """One creating request, and what it may have been answered before."""

    def __init__(self, uow: UnitOfWork, request: Request, sent: Sent) -> None:
        self.uow = uow
        self._status = int(getattr(request.scope.get("route"), "status_code", None) or 200)
        self._sent = sent

    async def begin(self, *more: bytes) -> None:
        """Raises `Replayed` when this request was answered before. `more` is what makes it this request,
        beside its path and query: the body, or what a form brought."""
        digest = hashlib.sha256(self._sent.fingerprint)
        for part in more:
            digest.update(b"%d:" % len(part) + part)
        sent = self._sent
        self._sent = Sent(sent.project_id, sent.key_id, digest.digest(), sent.idempotency_key, sent.sending)
        try:
            kept = await answers.begin(self.uow, self._sent)
        except OtherRequest as refusal:
            raise _refused("idempotency_key_reused", refusal.message, sent.idempotency_key) from None
        if kept is not None:
            # That this sending was answered stays noted.
            await self.uow.commit()
            raise Replayed(kept)

    async def keep(self, made: M) -> M:
        """Keep the answer in the transaction that made what it speaks of."""
        await answers.keep(self.uow, self._sent, status=self._status, body=made.model_dump_json())
        return made


def _repeats(
    request: Request,
    uow: Uow,
    who: TheCaller,
    project_id: ProjectId,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description="Of the client's choice, 1 to 255 visible characters: within 24 hours the same"
            " request with it is answered as the first was, and another one is 422.",
        ),
    ] = None,
) -> Repeats:
    scope = request.scope
    place = f"{request.method} {scope['path']}?".encode() + scope["query_string"]
    key = None if idempotency_key is None else _checked(idempotency_key)
    sent = Sent(project_id, who.key_id, place, key, _sending(request))
    return Repeats(uow, request, sent)


Begun = Annotated[Repeats, Depends(_repeats)]


async def _once(request: Request, repeats: Begun) -> Repeats:
    await repeats.begin(await request.body())
    return repeats


Once = Annotated[Repeats, Depends(_once)]
"""Of a page with a JSON body: it is new when the page is reached."""

OnceForForm = Begun
"""Of a page that reads a form: it calls `begin` when it has read it, before it writes."""


def install(app: FastAPI) -> None:
    """Let the application answer `Replayed`."""
    app.add_exception_handler(Replayed, _replay)


def _replay(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Replayed)
    headers = {REPLAYED: "true"}
    return Response(error.kept.body, error.kept.status, headers, media_type="application/json")


def _sending(request: Request) -> int | None:
    """How often the client has sent this before, if it counts."""
    text = request.headers.get(SENDING, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_SENDINGS else None


def _checked(key: str) -> str:
    if 1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable():
        return key
    raise _refused("idempotency_key", f"It must have 1 to {LONGEST_KEY} visible ASCII characters.", None)


def _refused(kind: str, message: str, given: str | None) -> RequestValidationError:
    return RequestValidationError([{"type": kind, "loc": ("header", HEADER), "msg": message, "input": given}])
