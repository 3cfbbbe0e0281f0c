"""Bells. A message carries ids only: losing it costs time, never work; hearing it twice changes nothing."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol
from uuid import UUID

VERSION = 1
ORCHESTRATE = "orchestrate"


@dataclass(frozen=True, slots=True)
class Message:
    """One bell. `task` is the name it is heard under, `queue` who hears it."""

    task: ClassVar[str]

    @property
    def queue(self) -> str:
        """The broker queue this bell goes to."""
        return ORCHESTRATE

    def body(self) -> dict[str, Any]:
        """What goes over the wire: the fields as text, and the version of their meaning."""
        return {"version": VERSION, **{k: str(v) for k, v in asdict(self).items()}}


@dataclass(frozen=True, slots=True)
class Advance(Message):
    """Look after this batch: spread, drain, fold, settle."""

    task: ClassVar[str] = "batchmill.advance"
    batch_id: UUID


@dataclass(frozen=True, slots=True)
class Dispatch(Message):
    """Decide what of this lane may run now."""

    task: ClassVar[str] = "batchmill.dispatch"
    project_id: UUID
    job_type: str


@dataclass(frozen=True, slots=True)
class Work(Message):
    """There may be a chunk for you: look. Carries no id, so a doubled one is one empty query."""

    task: ClassVar[str] = "batchmill.work"
    work_queue: str

    @property
    def queue(self) -> str:
        """The work queue itself: `parse` or `extract`."""
        return self.work_queue


class TaskQueue(Protocol):
    """Rings bells. Never blocks its caller, and never raises because the broker is away."""

    def publish(self, message: Message) -> None:
        """Hand the bell over; it may be lost, the sweeper rings again."""

    @property
    def sent(self) -> int:
        """How many bells are known to have reached the broker."""

    @property
    def broker_up(self) -> bool:
        """False from a bell that could not be sent until one that could."""

    def close(self, timeout: float) -> None:
        """Send what is waiting, for at most `timeout` seconds."""
