"""Keys that were good a moment ago, so that a client that polls does not have its key looked up each time.

Only for requests that read. Whoever writes is looked up in the transaction of the write, so a key that was
revoked writes nothing from then on, and reads for `FOR_S` at most. Every process remembers for itself.
"""

import hashlib
import time
from collections import OrderedDict
from typing import Final

from shared.projects.service import Caller

FOR_S: Final = 1.0
KEYS: Final = 10_000


class KnownKeys:
    """Callers by the hash of their token: a token itself is not kept. The `KEYS` that came last."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def find(self, token: str | None, *, now: float | None = None) -> Caller | None:
        """Who holds `token`, if that was asked less than `FOR_S` ago. `now` is of a monotonic clock, in
        seconds."""
        if not token:
            return None
        found = self._seen.get(_hash(token))
        if found is None or found[0] <= (time.monotonic() if now is None else now):
            return None
        return found[1]

    def note(self, token: str, caller: Caller, *, asked_at: float) -> None:
        """The database said at `asked_at` or later, of a monotonic clock, that `caller` holds `token`. A key
        that ends sooner is known until its end."""
        lasts = FOR_S if caller.ends_in_s is None else min(FOR_S, caller.ends_in_s)
        one = _hash(token)
        self._seen[one] = (asked_at + lasts, caller)
        self._seen.move_to_end(one)
        if len(self._seen) > KEYS:
            self._seen.popitem(last=False)

    def forget(self) -> None:
        """All of them: a key was ended by this process."""
        self._seen.clear()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
