"""Where a request carries its API key."""

from starlette.requests import Request

COOKIE = "session"
SCHEME = "bearer"


def token_of(request: Request) -> str | None:
    """The key in `Authorization: Bearer`, else in the cookie `session`; None when there is neither.

    A header of another scheme hides the cookie: who sends one wants it to count.
    """
    header = request.headers.get("authorization")
    if header:
        scheme, _, token = header.strip().partition(" ")
        return token.strip() or None if scheme.lower() == SCHEME else None
    return request.cookies.get(COOKIE) or None
