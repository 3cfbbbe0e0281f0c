"""When so many files failed that the rest of a batch is not worth its time."""

from dataclasses import dataclass
from typing import Final

from shared.errors import InvalidInput

CODE: Final = "FAILURE_THRESHOLD"
AFTER: Final = 100
MOST: Final = 2**31


@dataclass(frozen=True, slots=True)
class Threshold:
    """A batch stops once `count` of its files failed, or `percent` of those that were worked on when those
    are `after` or more; whichever comes first. None leaves one out."""

    count: int | None = None
    percent: float | None = None
    after: int | None = None

    def columns(self) -> dict[str, float | None]:
        """As its statements bind it."""
        return {"count": self.count, "percent": self.percent, "after": self.after}

    def checked(self) -> "Threshold":
        """The same, `after` filled in; what cannot be meant is `InvalidInput`."""
        if self.count is None and self.percent is None:
            raise InvalidInput("failure_threshold needs a count of files, or a percent of them.")
        if self.count is not None and not 1 <= self.count < MOST:
            raise InvalidInput("failure_threshold.count must be a whole number of 1 or more.")
        if self.percent is not None and not 0 < self.percent <= 100:  # noqa: PLR2004 - a percentage
            raise InvalidInput("failure_threshold.percent must be more than 0 and at most 100.")
        if self.after is not None and self.percent is None:
            raise InvalidInput("failure_threshold.after says from how many files on percent counts: name it.")
        if self.after is not None and not 1 <= self.after < MOST:
            raise InvalidInput("failure_threshold.after must be a whole number of 1 or more.")
        after = None if self.percent is None else self.after or AFTER
        return Threshold(self.count, self.percent, after)
