"""When a delivery is tried again, and when it is given up."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

TRIES_S: Final = (0.0, 5.0, 30.0, 120.0, 600.0, 3_600.0, 14_400.0, 43_200.0)
"""The wait before each try, from the end of the one before."""
SPREAD: Final = 0.1
LONGEST_ASKED_S: Final = 3_600.0
"""How far a receiver may push its next try away."""
SENDERS_LOST: Final = 2 * len(TRIES_S)
"""A delivery that was taken so often and whose end nobody told kills its sender."""


def next_try(attempts: int, *, asked: float | None = None) -> float | None:
    """Seconds from the end of try number `attempts` to the next, at least what the receiver `asked` for, up
    to an hour; None: that was the last."""
    if attempts >= len(TRIES_S):
        return None
    planned = TRIES_S[attempts] * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - spreads load
    return max(planned, min(asked or 0.0, LONGEST_ASKED_S))


def asked_wait(header: str | None, *, now: datetime | None = None) -> float | None:
    """The seconds that a `Retry-After` asks for; None when it is not there or says nothing that is one."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header.strip()[:9])
    try:
        moment = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - (now or datetime.now(UTC))).total_seconds())
