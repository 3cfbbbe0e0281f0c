"""Queues: how much stands before the workers, and for how long."""

from dataclasses import asdict
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel

from services.api.dependencies import TheDoor, Uow
from services.api.operators import ADMIN
from shared import ids
from shared.jobs import operating as job_operating
from shared.jobs.lifecycle import JobType
from shared.jobs.operating import QueueDepth
from shared.lanes import operating as lane_operating
from shared.lanes.operating import HeldLane
from shared.queue.messages import ORCHESTRATE
from shared.workers import operating as worker_operating

router = APIRouter()

EVERY: Final = (ORCHESTRATE, *(kind.queue for kind in JobType))


class HeldLaneOut(BaseModel):
    """A lane that lets nothing in now."""

    project_id: str
    job_type: JobType
    reason: str | None


class QueueOut(BaseModel):
    """Chunks by state, counted; `expired` are TAKEN ones whose lease is over. `oldest_due_seconds` is how
    long the oldest READY chunk could have run already."""

    queue: str
    ready_due: int
    ready_later: int
    waiting: int
    taken: int
    expired: int
    files: int
    oldest_due_seconds: float
    live_slots: int
    held_lanes: list[HeldLaneOut]


class QueuesOut(BaseModel):
    """All queues, and whether this API process reaches the broker."""

    items: list[QueueOut]
    broker: str


@router.get(ADMIN + "/queues")
async def list_all(uow: Uow, door: TheDoor) -> QueuesOut:
    """Every queue; `orchestrate` hears bells only and has no chunks."""
    depths = {depth.queue: depth for depth in await job_operating.queue_depths(uow)}
    slots = await worker_operating.slots_by_queue(uow)
    held = await lane_operating.held_lanes(uow)
    names = [*EVERY, *sorted((depths.keys() | slots.keys()) - set(EVERY))]
    return QueuesOut(
        items=[_queue(name, depths.get(name), slots.get(name, 0), held) for name in names],
        broker="ok" if door.resources.queue.broker_up else "unreachable",
    )


def _queue(name: str, depth: QueueDepth | None, slots: int, held: list[HeldLane]) -> QueueOut:
    numbers = asdict(depth or QueueDepth(name, 0, 0, 0, 0, 0, 0, 0.0))
    return QueueOut(
        **{key: value for key, value in numbers.items() if key != "oldest_due_s"},
        oldest_due_seconds=round(numbers["oldest_due_s"], 3),
        live_slots=slots,
        held_lanes=[_held(lane) for lane in held if JobType(lane.job_type).queue == name],
    )


def _held(lane: HeldLane) -> HeldLaneOut:
    return HeldLaneOut(
        project_id=ids.show(ids.Kind.PROJECT, lane.project_id),
        job_type=JobType(lane.job_type),
        reason=lane.reason,
    )
