"""The one table from kinds of refusal to HTTP, and the body that the contract wants: `{"detail": ...}`."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from shared import errors
from shared.storage.port import StorageDown
from shared.telemetry import logger

log = logger(__name__)

STATUS: Final[Mapping[type[errors.ServiceError], int]] = {
    errors.InvalidInput: 400,
    errors.Unauthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.InProgress: 409,
    errors.TooLarge: 413,
    errors.TooMany: 429,
    errors.Unavailable: 503,
    errors.StorageFull: 507,
}
RETRY_AFTER_S: Final = 2
METHOD_NOT_ALLOWED: Final = 405
SHOWN_INPUT: Final = 1_000
SHOWN_ERRORS: Final = 50

# What the database says is told by its SQLSTATE: the API speaks no SQL and imports no driver.
NOT_STORABLE: Final = frozenset({"22000", "22003", "22008", "22021", "22P02", "22P05"})
NO_SCHEMA: Final = "42P01"
# A unique value was taken, or two waited for each other and this one was given up.
AT_THE_SAME_TIME: Final = frozenset({"23505", "40P01", "40001"})
OUT_OF_REACH: Final = ("08", "28", "3D", "40", "53", "55", "57")
AWAY: Final = frozenset({"InterfaceError", "TimeoutError"})


def install(app: FastAPI) -> None:
    """Make the application answer every refusal by the table."""
    app.add_exception_handler(errors.ServiceError, _refusal)
    app.add_exception_handler(RequestValidationError, _unprocessable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(StorageDown, _storage_down)
    app.add_exception_handler(ClientDisconnect, _gone)


def answer_unexpected(error: BaseException, request_id: str) -> Response:
    """What a caller reads of an exception that nobody foresaw: what kind of trouble, never its text."""
    orig = getattr(error, "orig", None) or error
    state = str(getattr(orig, "sqlstate", None) or "")
    of_database = bool(state) or type(error).__module__.startswith("sqlalchemy")
    if state in NOT_STORABLE:
        return _body(400, "The request holds text or numbers that cannot be stored, such as a NUL character.")
    if state in AT_THE_SAME_TIME:
        # A retry meets the row that won: no x-should-retry header, so SDKs send it again by themselves.
        return _body(409, "Something else changed this at the same time. Send the request again.")
    if of_database and type(error).__name__ == "TimeoutError":
        # Thousands of requests at once come here: to write the trace of each would keep the rest waiting.
        log.warning("no database connection was free in time", request_id=request_id)
        return _later("No database connection was free in time. Send the request again in a moment.")
    log.error("unexpected exception", request_id=request_id, exc_info=error)
    away = type(error).__name__ in AWAY or state[:2] in OUT_OF_REACH or not state
    if state == NO_SCHEMA:
        return _later("The database has no schema yet. Run 'batchmill migrate'.")
    if (of_database and away) or isinstance(error, OSError | TimeoutError):
        return _later("The database cannot be reached now. Send the request again in a moment.")
    return _body(500, f"The server failed on this request. Its log tells why under the id {request_id}.")


def _refusal(request: Request, error: Exception) -> Response:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    headers: dict[str, str] = dict(getattr(request.state, "limit_headers", {}))
    if isinstance(error, errors.Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, errors.Conflict):
        # Without it the SDKs send a 409 again five times over 15 s, and nothing changes (contract 1).
        headers["x-should-retry"] = "false"
    if isinstance(error, errors.InProgress):
        headers["x-should-retry"] = "true"
    if isinstance(error, errors.TooMany | errors.StorageFull | errors.InProgress):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, errors.Unavailable):
        headers["retry-after"] = str(RETRY_AFTER_S)
    return _body(status, str(error), headers)


def _unprocessable(_request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return JSONResponse(
        {
            "detail": [
                {
                    "type": str(one["type"]),
                    "loc": [_text(part) for part in one["loc"]],
                    "msg": _text(one["msg"]),
                    "input": _shown(one.get("input")),
                }
                for one in found[:SHOWN_ERRORS]
            ]
        },
        422,
    )


def _http(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    detail = getattr(error, "detail", "")
    if status in {404, 405} and detail in {"Not Found", "Method Not Allowed"}:
        route = f"{request.method[:20]} {request.url.path[:200]}"
        allow = {"allow": ", ".join(_methods(request))} if status == METHOD_NOT_ALLOWED else None
        return _body(status, f"{route} is not part of this server; see /docs/compatibility", allow)
    return _body(status, _why_unread(error) or detail, getattr(error, "headers", None))


def _why_unread(error: Exception) -> str | None:
    """Of a JSON body the framework says where its grammar ends, and of all else only that it was not read."""
    match error.__cause__:
        case UnicodeDecodeError(encoding=encoding, start=start):
            return f"The body is no text in {encoding.upper()}: its byte {start} cannot be read."
        case RecursionError():
            return "The body is nested too deeply to be read."
        case ValueError():
            return "The body has a number of more digits than can be read."
    return None


def _methods(request: Request) -> list[str]:
    """What its path answers to; the router tells of the first of its pages only. `/files/upload` is a page of
    its own, and not the file with the id 'upload'."""
    path = request.scope["path"]
    found: dict[int, set[str]] = {}
    for route in iter_route_contexts(request.app.routes):
        pattern = getattr(route, "path_regex", None)
        match = None if pattern is None else pattern.match(path)
        if match is not None:
            found.setdefault(len(match.groupdict()), set()).update(route.methods or ())
    methods = found[min(found)] if found else set()
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _storage_down(_request: Request, error: Exception) -> Response:
    log.error("storage is down", error=str(error)[:300])
    return _later("The file storage cannot be used now. Send the request again in a moment.")


def _gone(_request: Request, _error: Exception) -> Response:
    return _body(400, "The client went away before its request was complete.")


def _later(text: str) -> Response:
    return _body(503, text, {"retry-after": str(RETRY_AFTER_S)})


def _body(status: int, detail: object, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"detail": _text(detail)}, status, headers=dict(headers or {}))


def _text(part: Any) -> Any:
    """What can be sent: JSON may bring lone surrogates in, UTF-8 cannot carry them out."""
    return part.encode("utf-8", "replace").decode() if isinstance(part, str) else part


def _shown(value: Any) -> Any:
    """The refused input, if it can be said in a short piece of JSON."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        return None
    return value if len(text) <= SHOWN_INPUT else text[:SHOWN_INPUT]
