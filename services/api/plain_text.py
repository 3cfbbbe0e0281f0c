"""JSON that can be stored and given back: the database knows neither NUL characters nor halves of a surrogate
pair, and what is nested too deep can be read, but not written again."""

import re
from typing import Any, Final

from starlette.requests import Request

from shared.errors import InvalidInput

SHOWN: Final = 80  # characters of a name
SHOWN_NAMES: Final = 8  # of a place
MAX_DEPTH: Final = 200
_ODD: Final = re.compile("[\x00\ud800-\udfff]")
_MARKS: Final = (b"\\", b"\xed", b"\x00")  # an escape, a surrogate in UTF-8, and UTF-16

Step = tuple[str | int, Any] | None
"""A place in a body: the last name on the way, and the place that it is in."""


async def only_text(request: Request) -> None:
    """Refuses a query or a JSON body that cannot be stored and given back, and says which field it is."""
    for name, value in request.query_params.multi_items():
        check_text(value, name)
    if "json" not in request.headers.get("content-type", ""):
        return
    body = await request.body()
    flat = body.count(b"{") + body.count(b"[") <= MAX_DEPTH
    if flat and not any(mark in body for mark in _MARKS):
        return
    try:
        check_text(await request.json())
    except (ValueError, RecursionError):
        return  # a page that reads no body is not hurt by this one; the others refused it already


def check_text(value: Any, *where: str) -> None:
    """`InvalidInput` when `value`, text or JSON at the place `where`, cannot be stored and given back."""
    place: Step = None
    for name in where:
        place = (name, place)
    waiting: list[tuple[Any, Step, int]] = [(value, place, 0)]
    while waiting:
        one, place, depth = waiting.pop()
        if isinstance(one, str):
            if _ODD.search(one):
                raise InvalidInput(f"{_told(place)}: it holds text that is not Unicode, or a NUL character.")
        elif isinstance(one, dict | list) and depth == MAX_DEPTH:
            raise InvalidInput(f"{_told(place)}: it is nested deeper than {MAX_DEPTH} levels.")
        elif isinstance(one, dict):
            waiting += ((name, place, depth + 1) for name in one)
            waiting += ((inner, (name, place), depth + 1) for name, inner in one.items())
        elif isinstance(one, list):
            waiting += ((inner, (index, place), depth + 1) for index, inner in enumerate(one))


def _told(place: Step) -> str:
    names: list[str] = []
    while place is not None:
        name, place = place
        names.append(str(name)[:SHOWN])
    return ".".join(reversed(names[-SHOWN_NAMES:])) or "body"
