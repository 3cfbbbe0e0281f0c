"""What others may ask of a lane."""

from dataclasses import replace
from typing import Final
from uuid import UUID

from shared.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput
from shared.lanes import repository
from shared.lanes.limits import HEAVIEST, LIGHTEST, LaneLimits, Waiting
from shared.lanes.model import MAX_FILES, Lane
from shared.lanes.repository import LaneRow
from shared.queue.messages import Dispatch

LOOK_AGAIN_S = 2.0
OPEN: Final = LaneLimits(
    jobs_per_minute=None,
    burst=1,
    max_jobs=None,
    max_batches=None,
    max_files=MAX_FILES,
    weight=1.0,
    hold=None,
)
"""Of a lane that nobody limited yet; the table's defaults are the same."""

__all__ = [
    "LaneLimits",
    "LaneRow",
    "Waiting",
    "change_limits",
    "charge",
    "charge_one",
    "get_limits",
    "hold_for",
    "lock",
    "look_in",
    "open_lane",
    "ring",
    "ring_due",
]


async def open_lane(uow: UnitOfWork, project_id: UUID, job_type: str) -> Lane:
    """The lane, made with open limits when it is new. Takes no lock on an existing one."""
    if found := await repository.read(uow.session, project_id, job_type):
        return found
    await repository.ensure(uow.session, project_id, job_type)
    made = await repository.read(uow.session, project_id, job_type)
    if made is None:
        raise RuntimeError("a lane was removed while it was made")
    return made


async def get_limits(uow: UnitOfWork, project_id: UUID, job_type: str) -> LaneLimits:
    """The limits in force; those of a new lane when nobody used it yet. The project must exist."""
    lane = await repository.read(uow.session, project_id, job_type)
    if lane is None:
        return OPEN
    return LaneLimits(
        jobs_per_minute=lane.jobs_per_minute,
        burst=lane.burst,
        max_jobs=lane.max_jobs,
        max_batches=lane.max_batches,
        max_files=lane.max_files,
        weight=lane.weight,
        hold=await repository.hold_of(uow.session, project_id, job_type),
    )


async def change_limits(uow: UnitOfWork, project_id: UUID, job_type: str, limits: LaneLimits) -> bool:
    """Replace the limits, the lane locked to the end of the transaction, and ring it. Answers whether what
    may start when is changed by it, a hold included: then what was granted must be decided again.

    Limits below 1 and weights outside 0.001 to 1,000 are `InvalidInput`.
    """
    _check(limits)
    await open_lane(uow, project_id, job_type)
    lane = await repository.lock(uow.session, project_id, job_type)
    assert lane is not None
    old = lane.terms
    changed = (
        (limits.jobs_per_minute, limits.burst, limits.max_jobs, limits.max_batches)
        != (old.jobs_per_minute, old.burst, old.max_jobs, lane.max_batches)
    ) or (limits.hold is not None and old.held_for is None)
    # What is granted again books its place in the rate again.
    await repository.set_limits(uow.session, project_id, job_type, limits, restart_rate=changed)
    uow.ring(Dispatch(project_id, job_type))
    return changed


async def hold_for(uow: UnitOfWork, project_id: UUID, job_type: str, *, reason: str, seconds: float) -> bool:
    """Nothing of the lane is granted for so many seconds; a hold that ends later stays as it is, an
    operator's without an end always. Answers whether the lane is held by this. Commit before anything else is
    locked: the lane comes first."""
    return await repository.lengthen_hold(uow.session, project_id, job_type, reason=reason, seconds=seconds)


async def look_in(uow: UnitOfWork, project_id: UUID, job_type: str, *, seconds: float) -> None:
    """See to it that the lane decides in `seconds`: something of it is about to wait for a grant (rule 20).
    The lane is locked by this, so it comes before any chunk."""
    await repository.look_in(uow.session, project_id, job_type, seconds=seconds)


async def lock(uow: UnitOfWork, project_id: UUID, job_type: str, queue: str) -> LaneRow | None:
    """Hold the lane to the end of the transaction; its `vtime` is brought up to the queue's."""
    lane = await repository.lock(uow.session, project_id, job_type)
    if lane is None:
        return None
    now = await repository.virtual_now(uow.session, queue, job_type)
    return replace(lane, vtime=max(lane.vtime, now), virtual_now=now)


async def charge(
    uow: UnitOfWork,
    lane: LaneRow,
    *,
    vtime: float,
    entry: float,
    tat_in: float,
    wait: Waiting | None,
    wake_in: float | None,
) -> None:
    """Write back what a dispatch used and refused, and when to look again (None: nothing waits)."""
    await repository.charge(
        uow.session, lane, vtime=vtime, entry=entry, tat_in=tat_in, wait=wait, wake_in=wake_in
    )


async def charge_one(uow: UnitOfWork, project_id: UUID, job_type: str, queue: str) -> tuple[float, bool]:
    """Charge a standalone job to its lane; answers the rank of its chunk, and whether a dispatch must grant
    it because the lane has limits."""
    now = await repository.virtual_now(uow.session, queue, job_type)
    return await repository.charge_one(uow.session, project_id, job_type, now=now)


async def ring(uow: UnitOfWork, project_id: UUID, job_type: str, *, only_waiting: bool = False) -> None:
    """Ring the lane after the commit, unless a bell to it is out already; with `only_waiting`, only if its
    last dispatch refused something. A bell that is lost costs `LOOK_AGAIN_S`: a lane with waiting work always
    has a due time."""
    if await repository.may_ring(
        uow.session, project_id, job_type, patience=LOOK_AGAIN_S, only_waiting=only_waiting
    ):
        uow.ring(Dispatch(project_id, job_type))


async def ring_due(uow: UnitOfWork) -> int:
    """Ring every lane whose time has come; answers how many."""
    due = await repository.take_due(uow.session, again_in=LOOK_AGAIN_S, limit=200)
    for project_id, job_type in due:
        uow.ring(Dispatch(project_id, job_type))
    return len(due)


def _check(limits: LaneLimits) -> None:
    for name in ("jobs_per_minute", "burst", "max_jobs", "max_batches", "max_files"):
        value = getattr(limits, name)
        if value is not None and not 1 <= value < 2**31:
            raise InvalidInput(f"{name} must be a whole number of 1 or more; leave it out for no limit.")
    if not LIGHTEST <= limits.weight <= HEAVIEST:
        raise InvalidInput(f"weight must be a number from {LIGHTEST:g} to {HEAVIEST:,.0f}.")
    if limits.hold is not None and not limits.hold.reason.strip():
        raise InvalidInput("hold.reason must say why.")
