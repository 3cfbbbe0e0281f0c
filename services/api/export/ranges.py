"""Which bytes a request wants (RFC 9110, sections 13 and 14)."""

import re
from collections.abc import Mapping
from typing import Final

_ONE: Final = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


class BeyondTheEnd(Exception):
    """No byte of what is there was asked for."""


def wanted_range(headers: Mapping[str, str], etag: str) -> tuple[int | None, int | None] | None:
    """The first and the last byte as they were asked for, either of them None; None when the whole is wanted.

    The whole is also the answer to what is no range of bytes, to several ranges, and to a part of something
    else than `etag` is: all three may be answered so.
    """
    asked = _ONE.fullmatch(headers.get("range", ""))
    if asked is None or headers.get("if-range", etag) != etag:
        return None
    first, last = (int(one) if one else None for one in asked.groups())
    if first is None and last is None:
        return None
    if first is not None and last is not None and first > last:
        return None
    return first, last


def within(wanted: tuple[int | None, int | None], length: int) -> tuple[int, int]:
    """The same of something of this length. `BeyondTheEnd` when nothing of it is there."""
    first, last = wanted
    if first is None:
        first, last = max(length - (last or 0), 0), None
    last = length - 1 if last is None else min(last, length - 1)
    if first > last:
        raise BeyondTheEnd
    return first, last


def is_known(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the client has it already."""
    known = headers.get("if-none-match", "")
    return known.strip() == "*" or etag in (one.strip().removeprefix("W/") for one in known.split(","))
