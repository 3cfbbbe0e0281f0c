"""Who is signed in, and whether a request comes from a page of ours.

The cookie of a session is sent below the console only, and is hidden from scripts. Of what another site makes
a browser ask for it goes along with links that are followed, so that whoever opens one from a chat is signed
in. What changes something must therefore say that it comes from here: browsers tell by `Sec-Fetch-Site`, and
where they do not (plain HTTP to another host) by `Origin`; no page can make them lie.
"""

from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Request, Response

from services.api.console.drawing import base_of
from services.api.dependencies import SAFE, Uow, count_request, door
from shared.db.unit_of_work import UnitOfWork
from shared.errors import NotAllowed
from shared.projects import service as project_service
from shared.projects import sessions
from shared.projects.service import Caller

COOKIE: Final = "batchmill_console"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in, and the project that their key opens."""

    caller: Caller
    project_id: UUID


async def same_origin(request: Request) -> None:
    """Refuses a request that may change something and does not say that it comes from a page of this
    server."""
    if request.method in SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        ours = site == "same-origin"
    else:
        ours = urlsplit(request.headers.get("origin", "")).netloc in _own_hosts(request)
    if not ours:
        raise NotAllowed("This request did not come from a page of this console, so nothing was done.")


def _own_hosts(request: Request) -> set[str]:
    public = urlsplit(door(request).public_url or "").netloc
    return {request.headers.get("host", ""), public} - {""}


async def visitor(request: Request, response: Response, uow: Uow) -> Visitor:
    """Who is signed in; nobody: `Unauthenticated`. A request counts for the key as one that sends it does."""
    who = await sessions.holder_of(uow, request.cookies.get(COOKIE))
    if who.project_id is None:
        raise NotAllowed("The key of this session opens no project of its own.")
    await count_request(request, response, uow, who)
    return Visitor(who, who.project_id)


Visiting = Annotated[Visitor, Depends(visitor)]


async def project_name(uow: UnitOfWork, who: Visitor) -> str:
    """What the project is called, for the head of a page."""
    return (await project_service.get_project(uow, who.caller, who.project_id)).name


def remember(request: Request, response: Response, token: str) -> None:
    """Give the browser the token of its session."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(sessions.LASTS_S),
        path=base_of(request.scope),
        secure=_is_secure(request),
        httponly=True,
        samesite="lax",
    )


def forget(request: Request, response: Response) -> None:
    """Take the token back."""
    response.delete_cookie(
        COOKIE,
        path=base_of(request.scope),
        secure=_is_secure(request),
        httponly=True,
        samesite="lax",
    )


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https" or (door(request).public_url or "").startswith("https://")
