"""Pages on the wire: signed tokens that belong to one list with one set of filters, for 24 hours."""

import base64
import binascii
import hashlib
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request

from services.api.signing import Signer
from shared.db.repository import Page
from shared.errors import InvalidInput

T = TypeVar("T")
R = TypeVar("R")

LIFE_S: Final = 24 * 3600
PURPOSE: Final = "page"
_BODY: Final = struct.Struct(">B16sQ8s")  # format, position, unix second of expiry, hash of the filters
_FORMAT: Final = 1
# How much of the list is asked for, or how: two requests that differ only here read the same list.
_NO_FILTERS: Final = frozenset(
    {"page_token", "page_size", "include_total", "expand", "project_id", "organization_id"}
)


class PageOf(BaseModel, Generic[R]):
    """A page as the contract has it (section 0): the last one has no token."""

    items: list[R]
    next_page_token: str | None = None
    total_size: int | None = None


@dataclass(frozen=True, slots=True)
class PageAsk:
    """What a request says about its page. `size` is within 1..1,000."""

    size: int
    after: UUID | None
    count: bool
    filters: bytes = field(repr=False)
    signer: Signer = field(repr=False)

    def answer(self, page: Page[T], show: Callable[[T], R]) -> PageOf[R]:
        """The page with each row shown, and the token of the next."""
        token = None
        if page.next_after is not None:
            token = write_token(self.signer, page.next_after, self.filters)
        return PageOf(items=[show(row) for row in page.items], next_page_token=token, total_size=page.total)


def filters_of(request: Request, tenant: UUID, body: str | None = None) -> bytes:
    """A short hash of which list this is: tenant, path and filters, in whatever order they were sent, and
    the filters of a body, if they came in one."""
    named = sorted((k, v) for k, v in request.query_params.multi_items() if k not in _NO_FILTERS)
    told = (str(tenant), request.url.path, named, *([] if body is None else [body]))
    return hashlib.sha256(repr(told).encode()).digest()[:8]


def write_token(signer: Signer, after: UUID, filters: bytes) -> str:
    """A token for the rows after `after`."""
    body = _BODY.pack(_FORMAT, after.bytes, int(time.time()) + LIFE_S, filters)
    return base64.urlsafe_b64encode(body + signer.sign(PURPOSE, body)).rstrip(b"=").decode()


def read_token(signer: Signer, token: str, filters: bytes) -> UUID:
    """Where the page starts. Forged, old, and other lists' tokens are `InvalidInput`."""
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (binascii.Error, UnicodeEncodeError, ValueError):
        raw = b""
    body, signature = raw[: _BODY.size], raw[_BODY.size :]
    if not signer.holds(PURPOSE, body, signature):
        raise InvalidInput("page_token is not one that this server gave out.")
    _format, after, expires, own = _BODY.unpack(body)
    if expires < time.time():
        raise InvalidInput("page_token is older than 24 hours. Start again from the first page.")
    if own != filters:
        raise InvalidInput("page_token belongs to a list with other filters. Send the same ones with it.")
    return UUID(bytes=after)
