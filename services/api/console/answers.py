"""What surrounds every answer of the console: headers, and pages where the API would answer in JSON.

A refusal is made where the API makes its refusals, wherever it comes from, and says the same. Here it becomes
what a person can read: a page, or the way to sign in.
"""

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.console.drawing import base_of, draw
from services.api.console.visitors import COOKIE

UNAUTHENTICATED: Final = 401
REFUSED: Final = 400
FAILED: Final = 500
HEADERS: Final[Mapping[str, str]] = {
    # No other host is asked for anything, and nothing that stands in a page is run.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # With 'no-referrer' a browser would hide the origin of a form that is sent.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
KEPT: Final = "public, max-age=31536000, immutable"
TITLES: Final[Mapping[int, str]] = {
    403: "Not allowed",
    404: "Not found",
    405: "Not found",
    409: "Not possible now",
    413: "Too large",
    429: "Too many requests",
    503: "Not available now",
    507: "No room",
}


class ConsoleAnswers:
    """Dresses the answers below the console, and leaves all others alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and send its answer with what it lacks."""
        base = base_of(scope)
        below = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{base}/")
        if not below:
            await self._app(scope, receive, send)
            return
        refusal: Message | None = None
        body = bytearray()
        asked = Headers(scope=scope)

        async def send_dressed(message: Message) -> None:
            nonlocal refusal
            if message["type"] == "http.response.start":
                _dress(message, static=scope["path"].startswith(f"{base}/static/"))
                if _is_refusal(message) and not _wants_json(asked, message["status"]):
                    refusal = message
                    return
            elif refusal is not None:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await _shown(refusal, bytes(body), scope, asked)(scope, receive, send)
                return
            await send(message)

        await self._app(scope, receive, send_dressed)


def _dress(message: Message, *, static: bool) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if static and message["status"] < REFUSED:
        # Its address changes when it does.
        headers["cache-control"] = KEPT


def _is_refusal(message: Message) -> bool:
    kind = MutableHeaders(scope=message).get("content-type", "")
    return message["status"] >= REFUSED and kind.startswith("application/json")


def _wants_json(asked: Headers, status: int) -> bool:
    """Scripts read the reason out of the JSON; only to be sent to sign in they need another answer."""
    if "application/json" in asked.get("accept", ""):
        return True
    return "hx-request" in asked and status != UNAUTHENTICATED


def _shown(refusal: Message, body: bytes, scope: Scope, asked: Headers) -> Response:
    headers = MutableHeaders(scope=refusal)
    answer: Response
    if refusal["status"] == UNAUTHENTICATED:
        answer = _to_sign_in(scope, asked)
    else:
        request_id = headers.get("x-request-id", "")
        answer = _as_page(refusal["status"], _reason(body), scope, request_id)
    for name in (*HEADERS, "x-request-id", "retry-after", "allow"):
        if name in headers:
            answer.headers[name] = headers[name]
    return answer


def _to_sign_in(scope: Scope, asked: Headers) -> Response:
    base = base_of(scope)
    # Who has a cookie was signed in once.
    ended = "&ended=1" if f"{COOKIE}=" in asked.get("cookie", "") else ""
    if "hx-request" in asked:
        seen = asked.get("hx-current-url", "").partition(base)[2]
        where = f"{base}/login?next={quote(base + seen, safe='')}{ended}"
        return Response(status_code=UNAUTHENTICATED, headers={"hx-redirect": where})
    seen = base
    if scope["method"] == "GET":
        query = scope["query_string"].decode("latin-1")
        seen = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"{base}/login?next={quote(seen, safe='')}{ended}", 303)


def _as_page(status: int, reason: str, scope: Scope, request_id: str) -> Response:
    title = TITLES.get(status, "The server failed" if status >= FAILED else "Not possible")
    base = base_of(scope)
    parts = scope["path"].removeprefix(base).split("/")
    # What was done to a batch is asked for below the page of the batch.
    of_batch = len(parts) > 3 and parts[1] == "batches" and status not in (404, 405)  # noqa: PLR2004
    back = f"{base}/batches/{quote(parts[2])}" if of_batch else base
    html = draw(
        "error.html", base, title=title, status=status, reason=reason, request_id=request_id, back=back
    )
    return HTMLResponse(html, status)


def _reason(body: bytes) -> str:
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    if isinstance(detail, str):
        return detail
    return "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in detail)
