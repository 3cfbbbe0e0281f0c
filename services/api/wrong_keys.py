"""Slows down who tries keys: many wrong ones from one address are answered 429 instead of 401.

A key has 256 random bits, so nobody finds one by trying; this keeps the attempt cheap and the log short. The
key is looked up first and only a wrong one is counted, so a right key is never locked out, whoever tries from
the same address. Every process counts by itself.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from shared.errors import TooMany
from shared.telemetry import logger

log = logger(__name__)

BURST: Final = 20
REFILL_S: Final = 3.0
ADDRESSES: Final = 10_000


@dataclass(slots=True)
class _Allowance:
    left: float
    at: float
    told: bool = False


class WrongKeys:
    """An allowance of `BURST` wrong keys for each address, one more every `REFILL_S` seconds. The addresses
    that tried last are remembered, `ADDRESSES` at most."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, _Allowance] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def note(self, address: str, *, now: float | None = None) -> None:
        """One wrong key more. Raises `TooMany` when the allowance of `address` is used up, which is logged
        once until it has grown to its half again. `now` is of a monotonic clock, in seconds."""
        now = time.monotonic() if now is None else now
        one = self._seen.setdefault(address, _Allowance(BURST, now))
        self._seen.move_to_end(address)
        if len(self._seen) > ADDRESSES:
            self._seen.popitem(last=False)
        one.left = min(BURST, one.left + (now - one.at) / REFILL_S)
        one.at = now
        if one.left > BURST / 2:
            one.told = False
        if one.left >= 1:
            one.left -= 1
            return
        if not one.told:
            one.told = True
            log.warning("many wrong API keys", address=address)
        raise TooMany(
            "This API key is unknown, revoked or expired, like many before it. Send the right one, or wait.",
            retry_after=(1 - one.left) * REFILL_S,
        )
