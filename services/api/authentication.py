"""Where a request carries its API key."""

from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import Request

COOKIE_NAME = "session"
SCHEME = "bearer"

# For the OpenAPI document; `token_of` reads the key.
BEARER = HTTPBearer(auto_error=False, scheme_name="bearer", description="A key of a project or an operator.")
COOKIE = APIKeyCookie(
    name=COOKIE_NAME, auto_error=False, scheme_name="session", description="The same key, for browsers."
)


def token_of(request: Request) -> str | None:
    """The key in `Authorization: Bearer`, else in the cookie `session`; None when there is neither.

    A header of another scheme hides the cookie: who sends one wants it to count.
    """
    header = request.headers.get("authorization")
    if header:
        scheme, _, token = header.strip().partition(" ")
        return token.strip() or None if scheme.lower() == SCHEME else None
    return request.cookies.get(COOKIE_NAME) or None
