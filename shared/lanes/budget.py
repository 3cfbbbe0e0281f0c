"""What a lane's limits leave for one dispatch, and why not more. Pure: no clock, no rows."""

import math
from dataclasses import dataclass
from typing import Final

from shared.lanes.limits import Waiting, WaitingCode, hold_code, hold_scope
from shared.lanes.rate import Rate

AHEAD_S: Final = 1.5
"""Jobs of a rated lane are granted so long before their time, each due at its own moment: the rate is kept
by the due times, and a dispatch that comes a second late costs nothing."""
PORTION_S: Final = 0.1
BOUNDLESS: Final = 2**31


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits of a locked lane, in seconds from now. `held_for` is None without a hold, infinite for one
    without an end."""

    jobs_per_minute: int | None
    burst: int
    max_jobs: int | None
    held_for: float | None
    hold_reason: str | None
    tat_in: float


class Budget:
    """Counts down while chunks are granted. `used` is the jobs granted before and not ended."""

    def __init__(self, terms: Terms, *, used: int) -> None:
        self._terms = terms
        self._used = used
        self._rate = None if terms.jobs_per_minute is None else Rate(terms.jobs_per_minute, terms.burst)
        self.tat_in = terms.tat_in

    @property
    def limited(self) -> bool:
        """Does any limit bound what may be granted?"""
        return self._rate is not None or self._terms.max_jobs is not None or self._terms.held_for is not None

    @property
    def room(self) -> int:
        """How many jobs may be granted now."""
        if self._terms.held_for is not None:
            return 0
        return max(0, min(self._by_rate(), self._by_jobs()))

    def portion(self, slots: int) -> int:
        """The most jobs that one chunk should take: small, where a limit must be met exactly."""
        most = BOUNDLESS
        if self._rate is not None:
            most = max(1, int(PORTION_S / self._rate.step))
        if self._terms.max_jobs is not None:
            most = min(most, max(1, self._terms.max_jobs // (2 * slots)))
        return most

    def chunks_ahead(self, portion: int) -> int:
        """How many chunks of this size the rate lets stand ready for the time granted ahead."""
        return 0 if self._rate is None else math.ceil(AHEAD_S / self._rate.step / portion)

    def spend(self, jobs: int) -> float:
        """Book `jobs`; answers in how many seconds all of them may have started."""
        self._used += jobs
        if self._rate is None:
            return 0.0
        due_in = self._rate.start_in(self.tat_in, jobs - 1)
        self.tat_in = self._rate.after(self.tat_in, jobs)
        return due_in

    def refusal(self, *, job_seconds: float | None) -> Waiting | None:
        """Why the next job is not granted now; None when it would be. `job_seconds` is how long the jobs
        that run are expected to take, if anybody knows."""
        if self._terms.held_for is not None:
            return self._hold(self._terms.held_for)
        if self._by_jobs() <= 0:
            assert self._terms.max_jobs is not None
            return Waiting(
                WaitingCode.PROJECT_CONCURRENCY,
                "project",
                f"{self._used} of at most {self._terms.max_jobs} jobs of this project run or are about to.",
                limit=self._terms.max_jobs,
                used=self._used,
                until_in=job_seconds,
            )
        if self._rate is not None and self._by_rate() <= 0:
            return Waiting(
                WaitingCode.PROJECT_RATE,
                "project",
                f"The project may start one job every {self._rate.step:.3g} s, and it is not yet time for the"
                " next.",
                limit=self._rate.jobs_per_minute,
                until_in=self._rate.start_in(self.tat_in),
            )
        return None

    def _hold(self, held_for: float) -> Waiting:
        reason = self._terms.hold_reason or WaitingCode.MAINTENANCE
        code = hold_code(reason)
        until_in = None if math.isinf(held_for) else held_for
        return Waiting(
            code, hold_scope(code), f"Jobs of this project are on hold: {reason}", until_in=until_in
        )

    def _by_rate(self) -> int:
        return BOUNDLESS if self._rate is None else self._rate.within(self.tat_in, AHEAD_S)

    def _by_jobs(self) -> int:
        return BOUNDLESS if self._terms.max_jobs is None else self._terms.max_jobs - self._used
