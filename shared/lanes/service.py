"""What others may ask of a lane."""

from uuid import UUID

from shared.db.unit_of_work import UnitOfWork
from shared.lanes import repository
from shared.lanes.repository import LaneRow
from shared.queue.messages import Dispatch

RING_SPACING_S = 0.1
LOOK_AGAIN_S = 2.0

__all__ = ["LaneRow", "charge", "charge_one", "lock", "open_lane", "ring", "ring_due"]


async def open_lane(uow: UnitOfWork, project_id: UUID, job_type: str) -> LaneRow:
    """The lane, made with open limits when it is new. Takes no lock on an existing one."""
    if found := await repository.read(uow.session, project_id, job_type):
        return found
    await repository.ensure(uow.session, project_id, job_type)
    made = await repository.read(uow.session, project_id, job_type)
    if made is None:
        raise RuntimeError("a lane was removed while it was made")
    return made


async def lock(uow: UnitOfWork, project_id: UUID, job_type: str, queue: str) -> LaneRow | None:
    """Hold the lane to the end of the transaction; its `vtime` is brought up to the queue's."""
    lane = await repository.lock(uow.session, project_id, job_type)
    if lane is None:
        return None
    now = await repository.virtual_now(uow.session, queue, job_type)
    return LaneRow(lane.project_id, lane.job_type, lane.max_files, lane.weight, max(lane.vtime, now))


async def charge(uow: UnitOfWork, lane: LaneRow, *, vtime: float, wake_in: float | None) -> None:
    """Write back the virtual time a grant reached and when to look again (None: nothing waits)."""
    await repository.charge(uow.session, lane, vtime=vtime, wake_in=wake_in)


async def charge_one(uow: UnitOfWork, project_id: UUID, job_type: str, queue: str) -> float:
    """Charge a standalone job to its lane; answers the rank of its chunk."""
    now = await repository.virtual_now(uow.session, queue, job_type)
    return await repository.charge_one(uow.session, project_id, job_type, now=now)


async def ring(uow: UnitOfWork, project_id: UUID, job_type: str) -> None:
    """Ring the lane after the commit, at most ten times a second. A bell that is left out costs
    `LOOK_AGAIN_S` at most: a lane with waiting work always has a due time."""
    if await repository.may_ring(uow.session, project_id, job_type, spacing=RING_SPACING_S):
        uow.ring(Dispatch(project_id, job_type))


async def ring_due(uow: UnitOfWork) -> int:
    """Ring every lane whose time has come; answers how many."""
    due = await repository.take_due(uow.session, again_in=LOOK_AGAIN_S, limit=200)
    for project_id, job_type in due:
        uow.ring(Dispatch(project_id, job_type))
    return len(due)
