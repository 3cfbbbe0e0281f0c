"""JSON that can be stored and given back: the database knows neither NUL characters nor halves of a surrogate
pair, and what is nested too deep can be read, but not written again. One of a million values would keep all
others waiting while it is checked."""

import re
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from shared.configurations.schema import MAX_PARTS
from shared.errors import InvalidInput

SHOWN: Final = 80  # characters of a name
SHOWN_NAMES: Final = 8  # of a place
MAX_DEPTH: Final = 200
_HALF: Final = re.compile("[\ud800-\udfff]")
_MARKS: Final = (b"\\", b"\xed", b"\x00")  # an escape, a surrogate in UTF-8, and UTF-16
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)

Step = tuple[str | int, Any] | None
"""A place in a body: the last name on the way, and the place that it is in."""


def opens_too_many(body: bytes) -> bool:
    """Whether JSON that nobody read yet has more objects and lists than a body may have values. Reading them
    takes seconds, for memory is searched for garbage again with each few hundred of them."""
    if _opened(body) <= MAX_PARTS:
        return False
    # With NUL characters it is UTF-16, where a quotation mark is half of something else.
    return b"\x00" in body or _opened(_STRING.sub(b"", body)) > MAX_PARTS


async def only_text(request: Request) -> None:
    """Refuses a query or a JSON body that cannot be stored and given back, and says which field it is."""
    for name, value in request.query_params.multi_items():
        check_text(value, name)
    # No boundary, and as pages read it: in any case, and `application/ld+json` too.
    if "json" not in request.headers.get("content-type", "").partition(";")[0].lower():
        return
    body = await request.body()
    opened = _opened(body)
    # Each value follows a comma or the beginning of what it is in; each name has a value.
    few = 2 * (opened + body.count(b",")) < MAX_PARTS
    if few and opened <= MAX_DEPTH and not any(mark in body for mark in _MARKS):
        return
    try:
        check_text(await request.json())
    except (ValueError, RecursionError):
        return  # a page that reads no body is not hurt by this one; the others refused it already


def check_text(value: Any, *where: str) -> None:
    """Refuses `value`, text or JSON at the place `where`, when it cannot be stored and given back, or has too
    many parts: 422 for what is no Unicode, as for every other wrong shape, else `InvalidInput`."""
    place: Step = None
    for name in where:
        place = (name, place)
    waiting: list[tuple[Any, Step, int]] = [(value, place, 0)]
    parts = 0
    while waiting:
        one, place, depth = waiting.pop()
        parts += _parts_right_in(one)
        if parts > MAX_PARTS:
            raise InvalidInput(
                f"{_shown(place)}: with this there are more than {MAX_PARTS:,} names and values."
            )
        if isinstance(one, str):
            _check_string(one, place)
        elif isinstance(one, dict | list) and depth == MAX_DEPTH:
            raise InvalidInput(f"{_shown(place)}: it is nested deeper than {MAX_DEPTH} levels.")
        elif isinstance(one, dict):
            waiting += ((name, place, depth + 1) for name in one)
            waiting += ((inner, (name, place), depth + 1) for name, inner in one.items())
        elif isinstance(one, list):
            waiting += ((inner, (index, place), depth + 1) for index, inner in enumerate(one))


def _opened(body: bytes) -> int:
    return body.count(b"{") + body.count(b"[")


def _check_string(text: str, place: Step) -> None:
    if "\x00" in text:
        raise InvalidInput(f"{_shown(place)}: it holds a NUL character.")
    if _HALF.search(text):
        raise RequestValidationError(
            [
                {
                    "type": "string_unicode",
                    "loc": ("body", *_names(place)),
                    "msg": "Input should be a valid string: it holds half of a surrogate pair",
                    "input": None,
                }
            ]
        )


def _parts_right_in(value: Any) -> int:
    if isinstance(value, dict):
        return 2 * len(value)
    return len(value) if isinstance(value, list) else 0


def _shown(place: Step) -> str:
    return ".".join(_names(place)) or "body"


def _names(place: Step) -> list[str]:
    names: list[str] = []
    while place is not None:
        name, place = place
        names.append(str(name)[:SHOWN])
    return list(reversed(names[-SHOWN_NAMES:]))
