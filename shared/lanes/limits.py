"""What an operator may set on a lane, and the words for what waits because of it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

LIGHTEST: Final = 0.001
HEAVIEST: Final = 1_000.0
"""The bounds of a weight. A lane's virtual time is a sum of 1/weight and never falls: beyond them one start
would move it to where no other lane ever comes."""


class WaitingCode(StrEnum):
    """Why something waits (design section 6). An interface: other programs read these."""

    PROJECT_RATE = "PROJECT_RATE"
    PROJECT_CONCURRENCY = "PROJECT_CONCURRENCY"
    BATCH_CONCURRENCY = "BATCH_CONCURRENCY"
    UPSTREAM_RATE = "UPSTREAM_RATE"
    UPSTREAM_DOWN = "UPSTREAM_DOWN"
    PAUSED = "PAUSED"
    MAINTENANCE = "MAINTENANCE"
    NO_WORKER = "NO_WORKER"
    QUEUE_PAUSED = "QUEUE_PAUSED"
    WINDOW_FULL = "WINDOW_FULL"
    BROKER_DOWN = "BROKER_DOWN"
    STORAGE_DOWN = "STORAGE_DOWN"
    WORKER_UNFIT = "WORKER_UNFIT"
    DIRECTORY_READING = "DIRECTORY_READING"


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing of the lane starts before `until`, or before it is lifted when that is None."""

    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """The limits of a project's jobs of one type. None is no limit.

    `jobs_per_minute` and `burst` are a rate of starts, `max_jobs` the jobs that run or are about to,
    `max_batches` the batches that are worked on at once, `max_files` the files of one batch. `weight` is the
    lane's share when slots are short.
    """

    jobs_per_minute: int | None
    burst: int
    max_jobs: int | None
    max_batches: int | None
    max_files: int
    weight: float
    hold: Hold | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A refusal that a person can read. `scope` says whose limit it is; `used` is a count, None where nothing
    is counted (a rate spaces starts); `until_in` is the seconds until it should lift, None when nobody can
    tell."""

    code: WaitingCode
    scope: str
    message: str
    limit: int | None = None
    used: int | None = None
    until_in: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As stored; the moment itself, `until`, is added by the database's clock."""
        kept = asdict(self)
        del kept["until_in"]
        return {**kept, "code": self.code.value}


def hold_scope(code: WaitingCode) -> str:
    """Whose doing a hold is: the model's that an extraction asks, or the project's operator's."""
    return "upstream" if code in (WaitingCode.UPSTREAM_RATE, WaitingCode.UPSTREAM_DOWN) else "project"


def hold_code(reason: str) -> WaitingCode:
    """The code of a hold: its reason if that is (or begins with) a code, else an operator's MAINTENANCE."""
    first = reason.partition(":")[0].strip()
    return WaitingCode(first) if first in WaitingCode.__members__ else WaitingCode.MAINTENANCE
