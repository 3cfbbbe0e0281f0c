"""The events of a batch on the wire: Server-Sent Events whose data are one JSON object of one shape."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel

from services.api.batch_shape import AT_A_PACE, ProgressOut
from shared import ids
from shared.batches.following import FINAL, Event, Place
from shared.batches.lifecycle import BatchStatus
from shared.batches.service import BatchView
from shared.jobs.lifecycle import JobType

MEDIA_TYPE: Final = "text/event-stream"
RETRY: Final = b"retry: 2000\n\n"
"""Tells browsers how long to wait before they connect again."""
HEARTBEAT: Final = b": still here\n\n"
STATE: Final = "state"
RESET: Final = "reset"
_NO_WAITING: Final = {
    "code": None,
    "scope": None,
    "limit": None,
    "used": None,
    "until": None,
    "message": None,
}


class FailedFile(BaseModel):
    """A file that failed, and why."""

    source_directory_file_id: str
    job_id: str
    name: str | None
    error_code: str | None


class EventOut(BaseModel):
    """How a batch stood at an event, counted in files. `open` are those without an end, of the `total` that
    is known: `listed` says that it is all of them. `failures` names some of those that failed since the
    event before; `stopping_as` is as what the batch will end, once that was asked."""

    batch_id: str
    at: datetime
    status: BatchStatus
    total: int
    open: int
    completed: int
    failed: int
    cancelled: int
    unmapped: int
    reused: int
    listed: bool
    files_per_second: float
    eta_seconds: float | None
    waiting: dict[str, Any] | None
    paused_by: str | None
    stopping_as: str | None
    failure_code: str | None
    failure_message: str | None
    failures: list[FailedFile]


class Told(NamedTuple):
    """An event as it is sent; `final` if it is the last of its batch."""

    n: int
    final: bool
    wire: bytes


def told(event: Event) -> Told:
    """The event as it is sent."""
    return Told(event.n, event.kind in FINAL, frame(event.n, event.kind, of_event(event)))


def frame(n: int, kind: str, data: EventOut) -> bytes:
    """One event. JSON has no line breaks of its own, so one line of data is enough."""
    return f"id: {n}\nevent: {kind}\ndata: {data.model_dump_json()}\n\n".encode()


def of_event(event: Event) -> EventOut:
    """What a row says. One that an older version wrote has no sums: they are 0 there."""
    data = event.data
    counts = {name: int(data.get(name, 0)) for name in ("total", "failed", "cancelled", "unmapped", "reused")}
    completed = int(data.get("ok", 0))
    left = counts["total"] - completed - counts["failed"] - counts["cancelled"] - counts["unmapped"]
    rate = float(data.get("rate", 0.0))
    status = BatchStatus(data.get("status", BatchStatus.RUNNING))
    wait = data.get("wait")
    return EventOut(
        batch_id=ids.show(ids.Kind.BATCH, event.batch_id),
        at=event.at,
        status=status,
        **counts,
        open=left,
        completed=completed,
        listed=bool(data.get("spread_done", False)),
        files_per_second=rate,
        eta_seconds=_eta(left, rate, status, wait),
        waiting=None if wait is None else {**_NO_WAITING, **wait},
        paused_by=data.get("paused_by"),
        stopping_as=data.get("stop_as"),
        failure_code=data.get("failure_code"),
        failure_message=data.get("failure_message"),
        failures=[_failed(one) for one in data.get("failures", ())],
    )


def of_state(batch: BatchView, progress: ProgressOut, place: Place) -> EventOut:
    """How the batch stands now."""
    return EventOut(
        batch_id=ids.show(ids.Kind.BATCH, batch.id),
        at=datetime.now(UTC),
        status=BatchStatus(place.status),
        total=progress.total,
        open=progress.pending + progress.running,
        completed=progress.completed,
        failed=progress.failed,
        cancelled=progress.cancelled,
        unmapped=progress.unmapped,
        reused=progress.reused,
        listed=batch.spread_done,
        files_per_second=progress.files_per_second,
        eta_seconds=progress.eta_seconds,
        waiting=progress.waiting,
        paused_by=batch.paused_by,
        stopping_as=place.stop_as,
        failure_code=batch.failure_code,
        failure_message=batch.failure_message,
        failures=[],
    )


def _eta(left: int, rate: float, status: BatchStatus, wait: Mapping[str, Any] | None) -> float | None:
    """Seconds to the end at this rate; None while nobody can tell when it goes on."""
    waits = wait is not None and wait.get("code") not in AT_A_PACE
    if status is not BatchStatus.RUNNING or waits or not left or rate <= 0:
        return None
    return round(left / rate, 1)


def _failed(one: Mapping[str, Any]) -> FailedFile:
    return FailedFile(
        source_directory_file_id=ids.show(ids.Kind.DIRECTORY_FILE, UUID(one["file"])),
        job_id=ids.show(JobType(one["kind"]).id_kind, UUID(one["job"])),
        name=one.get("name"),
        error_code=one.get("code"),
    )
