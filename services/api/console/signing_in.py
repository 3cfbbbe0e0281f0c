"""Sign in with a key of a project, and sign out."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from services.api.console.drawing import base_of, page
from services.api.console.forms import fields_of
from services.api.console.visitors import COOKIE, forget, remember
from services.api.dependencies import Uow, note_wrong_key
from shared.errors import NotAllowed, TooMany, Unauthenticated
from shared.projects import sessions

router = APIRouter()


@router.get("/login")
async def ask(
    request: Request,
    next: Annotated[str, Query()] = "",  # noqa: A002 - the name in the address
    ended: Annotated[str, Query()] = "",
) -> Response:
    """The form for a key."""
    return page(request, "login.html", next=next, ended=bool(ended), refusal="")


@router.post("/login")
async def sign_in(request: Request, uow: Uow) -> Response:
    """A session for a good key. A wrong one is said to be wrong, and too many of them are slowed down as
    everywhere."""
    fields = await fields_of(request)
    wanted = fields.get("next", "")
    try:
        token = await _session(request, uow, fields.get("key", "").strip())
    except (Unauthenticated, NotAllowed, TooMany) as refused:
        status = 403 if isinstance(refused, NotAllowed) else 401
        headers = {}
        if isinstance(refused, TooMany):
            status, headers = 429, {"retry-after": str(max(1, round(refused.retry_after)))}
        return page(request, "login.html", status, headers, next=wanted, ended=False, refusal=refused.message)
    answer = RedirectResponse(_inside(request, wanted), 303)
    remember(request, answer, token)
    return answer


async def _session(request: Request, uow: Uow, key: str) -> str:
    if not key:
        raise Unauthenticated("Type a key.")
    try:
        token = await sessions.open_session(uow, key)
    except Unauthenticated:
        note_wrong_key(request)
        raise
    # Whoever signs in anew has no use for the session before.
    await sessions.end_session(uow, request.cookies.get(COOKIE))
    return token


@router.post("/logout")
async def sign_out(request: Request, uow: Uow) -> Response:
    """End the session."""
    await sessions.end_session(uow, request.cookies.get(COOKIE))
    answer = RedirectResponse(f"{base_of(request.scope)}/login", 303)
    forget(request, answer)
    return answer


def _inside(request: Request, wanted: str) -> str:
    """Where to go: to a page of the console, whatever the address says."""
    base = base_of(request.scope)
    parts = urlsplit(wanted)
    inside = parts.path == base or parts.path.startswith(f"{base}/")
    plain = wanted.isprintable() and "\\" not in wanted and ".." not in parts.path
    return wanted if inside and plain and not parts.scheme and not parts.netloc else base
