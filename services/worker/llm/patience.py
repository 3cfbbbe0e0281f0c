"""How often a document is tried, and when an endpoint is left alone for a while.

Nothing waits in here. A document that gets no answer goes back to its lane with a due time; what is counted
is counted in this process, and forgotten with it.
"""

import random
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from services.worker.engines.port import Again, Infra
from shared.chat.answers import Busy, Down, Rated, Slow

TRIES_WHILE_OTHERS_WORK: Final = 5
TRIES: Final = 10
FAILURES_OF_AN_ENDPOINT: Final = 3
_AGAIN_S: Final = (2.0, 300.0)
_RATED_S: Final = (1.0, 60.0)
_DOWN_S: Final = (1.0, 30.0)
_REMEMBERED: Final = 1_024


@dataclass(slots=True)
class _Failing:
    times: int
    answers_before: int


class Patience:
    """One process's memory of an endpoint and of the documents that it did not answer."""

    def __init__(self) -> None:
        self._failing: OrderedDict[str, _Failing] = OrderedDict()
        self._answers = 0
        self._in_row = 0
        self._closed_until = 0.0
        self._closed_for: Again | Infra | None = None

    def closed(self) -> Again | Infra | None:
        """What to say without asking: the endpoint has just said the same to another document."""
        left = self._closed_until - time.monotonic()
        if left <= 0 or self._closed_for is None:
            return None
        if isinstance(self._closed_for, Infra):
            return self._closed_for
        return Again(left, self._closed_for.reason)

    def answered(self, document: str) -> None:
        """The document got its answers."""
        self._failing.pop(document, None)
        self._answers += 1
        self._in_row = 0

    def wait(self, document: str, answer: Rated | Busy | Slow | Down, *, answers: bool) -> Again | Infra:
        """When to ask again, and why. `answers`: the endpoint does answer something light; only then can it
        be the document that it does not answer."""
        self._in_row += 1
        if isinstance(answer, Down):
            return self._close(_growing(self._in_row, _DOWN_S), Infra(f"UPSTREAM_DOWN: {answer.detail}"))
        if isinstance(answer, Rated):
            after = _growing(self._in_row, _RATED_S) if answer.after is None else answer.after
            return self._close(after, Again(after, f"UPSTREAM_RATE: {answer.detail}"))
        tries = self._count(document) if answers else self._in_row
        asked_for = answer.after if isinstance(answer, Busy) else None
        after = _growing(tries, _AGAIN_S) if asked_for is None else asked_for
        if not answers or asked_for is not None or self._in_row >= FAILURES_OF_AN_ENDPOINT:
            return self._close(after, Again(after, f"UPSTREAM_DOWN: {answer.detail}"))
        return Again(after, f"NO_ANSWER: {answer.detail}")

    def tries(self, document: str) -> int:
        """How often the document was not answered so far."""
        failing = self._failing.get(document)
        return 0 if failing is None else failing.times

    def is_the_document(self, document: str) -> bool:
        """Was it tried often enough? Less often is enough when others were answered meanwhile."""
        failing = self._failing.get(document)
        if failing is None:
            return False
        others = self._answers > failing.answers_before
        return failing.times >= (TRIES_WHILE_OTHERS_WORK if others else TRIES)

    def forget(self, document: str) -> None:
        """The document has its end."""
        self._failing.pop(document, None)

    def _count(self, document: str) -> int:
        failing = self._failing.setdefault(document, _Failing(0, self._answers))
        failing.times += 1
        self._failing.move_to_end(document)
        while len(self._failing) > _REMEMBERED:
            self._failing.popitem(last=False)
        return failing.times

    def _close(self, seconds: float, outcome: Again | Infra) -> Again | Infra:
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)
        self._closed_for = outcome
        return outcome


def _growing(times: int, bounds: tuple[float, float]) -> float:
    """Doubles with each time, a tenth more or less so that not everybody comes back at once."""
    low, high = bounds
    return min(low * 2.0 ** min(times - 1, 16), high) * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
