"""The rate of a lane: GCRA, as arithmetic on seconds from now. The database's clock says what now is."""

import math
from dataclasses import dataclass

# A difference of two timestamps in microseconds, as a float, may miss a whole step by a hair.
_HAIR = 1e-6


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `jobs_per_minute`, of which `burst` may start at once after a rest.

    The state is one number, the theoretical arrival time (`tat`), here `tat_in` seconds from now and never
    below 0: it moves by one step for each job.
    """

    jobs_per_minute: int
    burst: int

    @property
    def step(self) -> float:
        """Seconds between two jobs."""
        return 60.0 / self.jobs_per_minute

    def start_in(self, tat_in: float, nth: int = 0) -> float:
        """In how many seconds the `nth` next job (from 0) may start."""
        return max(0.0, tat_in + (nth - (self.burst - 1)) * self.step)

    def within(self, tat_in: float, ahead: float) -> int:
        """How many jobs may start within the next `ahead` seconds."""
        span = ahead + (self.burst - 1) * self.step - tat_in
        return max(0, math.floor(span / self.step + _HAIR) + 1)

    def after(self, tat_in: float, jobs: int) -> float:
        """The state when `jobs` more were booked."""
        return tat_in + jobs * self.step
