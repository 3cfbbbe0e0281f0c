"""The plainest of the requests that come most often, answered without what they do not need.

A short cut answers with the bytes that its page would answer with, or leaves the request to the page: when
the key was not looked up a moment ago, when something is to be expanded or filtered, and when the answer is a
refusal. So one place decides about requests, and the document of the API is made from it.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar
from uuid import UUID

from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from services.api.authentication import token_of
from services.api.dependencies import page_of
from services.api.known_keys import KnownKeys
from services.api.paging import PageAsk
from services.api.request_limits import RequestLimits
from shared import ids
from shared.db.reader import NotNow
from shared.errors import InvalidInput, NotFound

ShortCut = Callable[[Request], Awaitable[Response | None]]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_ATTRIBUTE: Final = "short_cut"
_JSON: Final = "application/json"
_DIGITS: Final = 9


class ShortCutRoute(APIRoute):
    """A route that tries the short cut of its page first, if it has one."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The page behind its short cut."""
        page = super().get_route_handler()
        short: ShortCut | None = getattr(self.endpoint, _ATTRIBUTE, None)
        if short is None:
            return page

        async def handler(request: Request) -> Response:
            try:
                answer = await short(request)
            except NotNow:
                answer = None
            return await page(request) if answer is None else answer

        return handler


def with_short_cut(short: ShortCut) -> Callable[[Endpoint], Endpoint]:
    """Put before a page in the list of its router: the requests that `short` answers do not reach it."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, short)
        return endpoint

    return mark


def project_of(request: Request) -> UUID | None:
    """The project of a key that was good a moment ago, and is not counted; None: ask the page."""
    if "content-type" in request.headers:
        return None  # a GET with a body: it is the page that looks at it
    known: KnownKeys = request.app.state.known_keys
    limits: RequestLimits = request.app.state.request_limits
    who = known.find(token_of(request))
    if who is None or limits.allowance_of(who) is not None:
        return None
    return who.project_id


def id_of(request: Request, kind: ids.Kind, name: str) -> UUID | None:
    """The id in the path, of a request without a query; None: ask the page."""
    if request.scope["query_string"]:
        return None
    try:
        return ids.parse(kind, request.path_params[name])
    except NotFound:
        return None


def plain_page(request: Request, project_id: UUID) -> PageAsk | None:
    """The page of a list without filters; None: ask the page."""
    size: int | None = None
    token: str | None = None
    for name, value in request.query_params.multi_items():
        if name == "page_size" and size is None and value.isascii() and value.isdigit():
            if len(value) > _DIGITS:
                return None
            size = int(value)
        elif name == "page_token" and token is None:
            token = value
        else:
            return None
    try:
        return page_of(request, project_id, size, token, count=False)
    except InvalidInput:
        return None


def answer(model: BaseModel) -> Response:
    """The model as the page would send it: it is made by us, so it is not looked at once more."""
    return Response(model.__pydantic_serializer__.to_json(model), media_type=_JSON)
