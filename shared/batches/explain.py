"""Why a batch does not move, or that it does: read from rows, changed by nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from shared.batches import soundings
from shared.batches.lifecycle import BATCH_MOVES, BatchStatus
from shared.batches.model import Batch
from shared.batches.repository import BatchView
from shared.batches.soundings import Standing
from shared.db.unit_of_work import UnitOfWork
from shared.jobs.lifecycle import JobType
from shared.lanes.limits import Waiting, WaitingCode, hold_code, hold_scope
from shared.workers import service as worker_service

_NO_WORKER: Final = "No living worker serves this queue. Start one: batchmill worker."
_READING: Final = "The directory is being read."
_NO_BROKER: Final = "The broker is away: work goes on at the pace of the sweep, and nothing is lost."
_BACK: Final = "Work was given back"
# A model leaves one document without an answer; its lane goes on.
_NO_ANSWER: Final = "NO_ANSWER"
_PACED: Final = "What comes next is granted, and starts when the rate of the project allows it."
_BUSY: Final = "The slots of the workers are busy with other work; this batch has its turn soon."


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be well for the batch to move."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`waiting` is what `expand=progress` says; `next_look_at` is when the batch is looked at without any
    bell."""

    state: str
    waiting: dict[str, Any] | None
    checks: list[Check]
    next_look_at: datetime | None


async def explain(
    uow: UnitOfWork, batch: Batch, *, broker_up: bool = True, shortage: str | None = None
) -> Explanation:
    """All that a person needs to say why the batch waits. `broker_up`, and `shortage` of space in the storage
    in words, are what the asker knows of it."""
    standing = await soundings.standing(uow.session, batch.id)
    slots = await worker_service.slots_of(uow, JobType(batch.job_type).queue)
    waiting = _waiting(batch, standing, slots=slots, broker_up=broker_up)
    if BATCH_MOVES.is_final(BatchStatus(batch.status)):
        return Explanation(batch.status, None, [_end(batch)], None)
    checks = [
        _directory(batch),
        _stop(batch),
        _pause(batch),
        _limits(standing),
        _place(batch),
        _chunks(standing),
        _workers(batch, slots),
        Check("broker", broker_up, "reachable" if broker_up else "away: bells wait for the sweep"),
        Check("space", shortage is None, shortage or "the storage has room for uploads"),
    ]
    return Explanation(batch.status, waiting, checks, batch.wake_at)


async def waiting_of(uow: UnitOfWork, batch: Batch | BatchView) -> dict[str, Any] | None:
    """Why the batch waits now; None when it is final, or moves at full speed."""
    if BATCH_MOVES.is_final(BatchStatus(batch.status)):
        return None
    standing = await soundings.standing(uow.session, batch.id)
    slots = await worker_service.slots_of(uow, JobType(batch.job_type).queue)
    return _waiting(batch, standing, slots=slots, broker_up=True)


async def waiting_of_each(uow: UnitOfWork, batches: Sequence[BatchView]) -> dict[UUID, dict[str, Any] | None]:
    """The same for each of these batches; as many statements as for one."""
    open_ = [one for one in batches if not BATCH_MOVES.is_final(BatchStatus(one.status))]
    if not open_:
        return {}
    standings = await soundings.standings(uow.session, [one.id for one in open_])
    queues = {JobType(one.job_type).queue for one in open_}
    slots = {queue: await worker_service.slots_of(uow, queue) for queue in queues}
    return {
        one.id: _waiting(one, standings[one.id], slots=slots[JobType(one.job_type).queue], broker_up=True)
        for one in open_
        if one.id in standings
    }


def _waiting(
    batch: Batch | BatchView, now: Standing, *, slots: int, broker_up: bool
) -> dict[str, Any] | None:
    """The first that applies: what was refused; then what is missing for what was granted."""
    if batch.stop_at is not None or BATCH_MOVES.is_final(BatchStatus(batch.status)):
        return None
    refused = _refusal(batch, now)
    if refused is not None or now.taken:
        return refused
    wants = bool(now.ready or now.unfed or now.waiting)
    for applies, waiting, until in (
        (*_came_back(now), now.ready_at),
        (
            now.ready and now.ready == now.later,
            Waiting(WaitingCode.PROJECT_RATE, "project", _PACED),
            now.ready_at,
        ),
        (wants and not slots, Waiting(WaitingCode.NO_WORKER, "server", _NO_WORKER), None),
        (
            not (batch.spread_done or now.ready),
            Waiting(WaitingCode.DIRECTORY_READING, "batch", _READING),
            None,
        ),
        (wants and not broker_up, Waiting(WaitingCode.BROKER_DOWN, "server", _NO_BROKER), None),
        (wants, Waiting(WaitingCode.WINDOW_FULL, "server", _BUSY), None),
    ):
        if applies:
            return _said(waiting, until)
    return None


def _came_back(now: Standing) -> tuple[bool, Waiting]:
    """What a worker gave back. Without a code of its own that is a reason only while it has to wait for it:
    what may run at once waits for a slot like all the rest."""
    reason = now.reason or ""
    code = WaitingCode.UPSTREAM_DOWN if reason.startswith(_NO_ANSWER) else hold_code(reason)
    upstream = hold_scope(code) == "upstream"
    if code is WaitingCode.MAINTENANCE:
        # That is an operator's word. Without a code of its own it was the worker's own trouble.
        code = WaitingCode.WORKER_UNFIT
    applies = bool(reason) and (code is not WaitingCode.WORKER_UNFIT or bool(now.later))
    return applies, Waiting(code, "upstream" if upstream else "server", f"{_BACK}: {reason}")


def _refusal(batch: Batch | BatchView, now: Standing) -> dict[str, Any] | None:
    """What a limit refuses now. The lane's own words are newer than those the batch was given."""
    own = batch.wait if batch.status == BatchStatus.THROTTLED else None
    if batch.paused_at is not None:
        return _said(Waiting(WaitingCode.PAUSED, "batch", _paused(batch)))
    if own is not None and own.get("code") == WaitingCode.BATCH_CONCURRENCY:
        return own
    if now.hold_reason is not None:
        text = f"Jobs of this project are on hold: {now.hold_reason}"
        code = hold_code(now.hold_reason)
        return _said(Waiting(code, hold_scope(code), text), now.hold_until)
    return now.lane_wait if now.unfed or now.waiting else None


def _said(waiting: Waiting, until: datetime | None = None) -> dict[str, Any]:
    return {**waiting.as_json(), "until": None if until is None else until.isoformat()}


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _end(batch: Batch) -> Check:
    why = f": {batch.failure_code}: {batch.failure_message}" if batch.failure_code else ""
    return Check("end", batch.status == BatchStatus.COMPLETED, f"{batch.status}{why}")


def _directory(batch: Batch) -> Check:
    if batch.spread_done:
        return Check("directory", ok=True, detail=f"read: {batch.total:,} files")
    return Check("directory", ok=False, detail=f"being read: {batch.total:,} files so far")


def _stop(batch: Batch) -> Check:
    if batch.stop_at is None:
        return Check("stop", ok=True, detail="none asked")
    return Check("stop", ok=False, detail=f"asked at {_at(batch.stop_at)}, to end {batch.stop_as}")


def _paused(batch: Batch | BatchView) -> str:
    assert batch.paused_at is not None
    return f"This batch was paused at {_at(batch.paused_at)} by {batch.paused_by}."


def _pause(batch: Batch) -> Check:
    if batch.paused_at is None:
        return Check("pause", ok=True, detail="not paused")
    return Check("pause", ok=False, detail=_paused(batch))


def _limits(now: Standing) -> Check:
    if now.hold_reason is not None:
        until = "lifted" if now.hold_until is None else _at(now.hold_until)
        return Check("limits", ok=False, detail=f"on hold until {until}: {now.hold_reason}")
    if now.lane_wait is not None:
        end = now.lane_wait.get("until")
        lifts = f"It lifts at {_at(datetime.fromisoformat(end))}." if end else "Nobody knows when it lifts."
        return Check("limits", ok=False, detail=f"{now.lane_wait['message']} {lifts}")
    return Check("limits", ok=True, detail="nothing was refused at the last look")


def _place(batch: Batch) -> Check:
    wait = batch.wait if batch.status == BatchStatus.THROTTLED else None
    if wait is not None and wait.get("code") == WaitingCode.BATCH_CONCURRENCY:
        return Check("batches at once", ok=False, detail=str(wait["message"]))
    return Check("batches at once", ok=True, detail="may be worked on")


def _chunks(now: Standing) -> Check:
    detail = (
        f"{now.taken} running, {now.ready} ready, {now.waiting} waiting for a grant;"
        f" {now.unfed:,} files not granted yet"
    )
    if now.expired:
        detail += f"; {now.expired} of the running have lost their worker and are taken back"
    if now.reason is not None:
        detail += f"; last given back: {now.reason}"
    return Check("chunks", ok=now.reason is None and not now.expired, detail=detail)


def _workers(batch: Batch, slots: int) -> Check:
    queue = JobType(batch.job_type).queue
    return Check("workers", ok=slots > 0, detail=f"{slots} living slots on the queue {queue}")
