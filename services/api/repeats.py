"""Creating requests that come twice: the second is given the answer of the first.

A page that creates asks for `Once` (a JSON body) or `OnceForForm` (an upload) before it does anything, and
returns what `keep` gives back. A request that was answered before never reaches the page, or leaves it at
`begin`: `Replayed` carries the first answer out. What was refused is not kept: the same key may be sent again
with a better body.
"""

from dataclasses import replace
from typing import Annotated, Final, TypeVar

from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import Response

from services.api.dependencies import ProjectId, TheCaller, Uow
from services.api.fingerprints import fingerprint_of, sending_of
from services.api.request_limits import RequestLimits
from shared.answers import service as answers
from shared.answers.model import LONGEST_KEY
from shared.answers.service import Kept, OtherRequest, Sent
from shared.db.unit_of_work import UnitOfWork

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "idempotent-replayed"

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
        self._request = request
        self._sent = sent

    async def begin(self, *brought: bytes) -> None:
        """Raises `Replayed` when this request was answered before. `brought` is what makes it this request,
        beside its path and query: the body, or what a form brought."""
        self._sent = replace(self._sent, fingerprint=fingerprint_of(self._request, *brought))
        try:
            kept = await answers.begin(self.uow, self._sent)
        except OtherRequest as refusal:
            raise _refused("idempotency_key_reused", refusal.message, self._sent.idempotency_key) from None
        if kept is not None:
            # That this sending was answered stays noted.
            await self.uow.commit()
            raise Replayed(kept)

    def is_first(self) -> None:
        """Nothing came of earlier sendings."""
        self._sent = replace(self._sent, sending=0)

    async def keep(self, made: M) -> M:
        """Keep the answer in the transaction that made what it speaks of."""
        status = int(getattr(self._request.scope.get("route"), "status_code", None) or 200)
        await answers.keep(self.uow, self._sent, status=status, body=made.model_dump_json())
        return made


async def _repeats(
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
    key = None if idempotency_key is None else _checked(idempotency_key)
    sent = Sent(project_id, who.key_id, b"", key, sending_of(request))
    return Repeats(uow, request, sent)


Begun = Annotated[Repeats, Depends(_repeats)]


async def _once(request: Request, uow: Uow, who: TheCaller, repeats: Begun) -> Repeats:
    body = await request.body()
    limits: RequestLimits = request.app.state.request_limits
    sending = sending_of(request)
    if sending and limits.allowance_of(who) is not None:
        # No transaction is open while another server is asked (law 2).
        await uow.commit()
        if await limits.was_refused(who, fingerprint_of(request, body), sending):
            repeats.is_first()
    await repeats.begin(body)
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


def _checked(key: str) -> str:
    if 1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable():
        return key
    raise _refused("idempotency_key", f"It must have 1 to {LONGEST_KEY} visible ASCII characters.", None)


def _refused(kind: str, message: str, given: str | None) -> RequestValidationError:
    return RequestValidationError([{"type": kind, "loc": ("header", HEADER), "msg": message, "input": given}])
