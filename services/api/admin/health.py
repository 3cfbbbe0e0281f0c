"""How the installation fares, part by part, in numbers."""

import time
from collections.abc import Mapping, Sequence
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from services.api.dependencies import TheDoor, Uow
from services.api.operators import ADMIN
from shared.db import migrations
from shared.jobs import operating as job_operating
from shared.jobs.operating import STUCK_S, QueueDepth
from shared.storage.port import BlobStorage, StorageDown
from shared.telemetry import logger
from shared.workers import operating as worker_operating
from shared.workers.operating import SWEEP_LATE_S

log = logger(__name__)
router = APIRouter()

PROBE = "health/probe"

State = Literal["ok", "attention", "down"]


class Part(BaseModel):
    """One part: its state, what was seen, and the number it is judged by (milliseconds, seconds, a count)."""

    name: str
    state: State
    detail: str
    value: float | None = None


class HealthOut(BaseModel):
    """`state` is the worst of the parts."""

    state: State
    parts: list[Part]


@router.get(ADMIN + "/health")
async def look(request: Request, uow: Uow, door: TheDoor) -> HealthOut:
    """Every part, now. A database that is away answers 503 before this is reached: the key lies in it."""
    started = time.monotonic()
    # The smallest table there is: what is timed is the way there and back.
    gaps = await worker_operating.sweep_gaps(uow)
    took = round((time.monotonic() - started) * 1000, 2)
    slots = await worker_operating.slots_by_queue(uow)
    depths = await job_operating.queue_depths(uow)
    workers = _workers(*await worker_operating.count_alive(uow))
    # No transaction is open while the storage is asked (law 2).
    await uow.commit()
    parts = [
        Part(name="database", state="ok", detail=f"answers in {took} ms", value=took),
        _migrations(await migrations.current(door.resources.engine), request.app.state.revision),
        await _storage(door.resources.storage),
        _space(await door.space.shortage()),
        _broker(reachable=door.resources.queue.broker_up),
        _sweep(gaps),
        workers,
        _oldest(depths, slots),
    ]
    order: tuple[State, ...] = ("ok", "attention", "down")
    return HealthOut(state=max((part.state for part in parts), key=order.index), parts=parts)


def _migrations(found: str | None, wanted: str) -> Part:
    if found is not None and found >= wanted:
        return Part(name="migrations", state="ok", detail=f"at {found}")
    return Part(
        name="migrations",
        state="attention",
        detail=f"at {found}, needs {wanted}: run 'batchmill migrate'",
    )


async def _storage(storage: BlobStorage) -> Part:
    started = time.monotonic()
    try:
        await storage.put(PROBE, b"ok")
    except StorageDown as error:
        log.warning("storage is not ready", error=str(error)[:300])
        return Part(name="storage", state="down", detail="cannot be written; the API's log says why")
    took = round((time.monotonic() - started) * 1000, 2)
    return Part(name="storage", state="ok", detail=f"a blob is written in {took} ms", value=took)


def _space(shortage: str | None) -> Part:
    state: State = "ok" if shortage is None else "attention"
    return Part(name="space", state=state, detail=shortage or "the storage has room for uploads")


def _broker(*, reachable: bool) -> Part:
    if reachable:
        return Part(name="broker", state="ok", detail="the last bell was sent")
    return Part(name="broker", state="attention", detail="bells do not get through; work waits for the sweep")


def _sweep(gaps: Mapping[str, float]) -> Part:
    if not gaps:
        return Part(name="sweep", state="attention", detail="upkeep has never run: start 'batchmill upkeep'")
    gap = round(max(gaps.values()), 3)
    late = gap > SWEEP_LATE_S
    return Part(
        name="sweep",
        state="attention" if late else "ok",
        detail=f"last went well {gap} s ago" + (": is upkeep running?" if late else ""),
        value=gap,
    )


def _workers(alive: int, drained: int) -> Part:
    return Part(
        name="workers",
        state="ok" if alive > drained else "attention",
        detail=f"{alive} alive, {drained} of them draining" if alive else "none alive",
        value=alive,
    )


def _oldest(depths: Sequence[QueueDepth], slots: Mapping[str, int]) -> Part:
    oldest = max(depths, key=lambda depth: depth.oldest_due_s, default=None)
    if oldest is None or oldest.oldest_due_s <= 0:
        return Part(name="oldest due", state="ok", detail="nothing waits for a worker", value=0.0)
    age = round(oldest.oldest_due_s, 3)
    has = slots.get(oldest.queue, 0)
    # A queue whose slots are all busy is a queue; one that waits beside empty slots is a fault.
    stuck = age > STUCK_S and has - oldest.taken > 0
    return Part(
        name="oldest due",
        state="attention" if stuck or not has else "ok",
        detail=f"{age} s in queue {oldest.queue}, {oldest.taken} of {has} slots busy",
        value=age,
    )
