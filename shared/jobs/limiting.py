"""What new limits of a lane do to the chunks that were granted under the old ones."""

from uuid import UUID

from shared.db.unit_of_work import UnitOfWork
from shared.jobs import reclaim
from shared.lanes import service as lane_service
from shared.lanes.limits import LaneLimits


async def set_limits(uow: UnitOfWork, project_id: UUID, job_type: str, limits: LaneLimits) -> LaneLimits:
    """Replace a lane's limits; answers those in force. The caller commits.

    Felt by every worker at its next take: a hold is asked there; when rate or concurrency change, whatever
    was granted and not started waits for a grant under the new ones, which the bell brings at once. What
    runs goes on.
    """
    if await lane_service.change_limits(uow, project_id, job_type, limits):
        await reclaim.recall(uow.session, project_id, job_type)
    return await lane_service.get_limits(uow, project_id, job_type)


async def hold_for(uow: UnitOfWork, project_id: UUID, job_type: str, *, reason: str, seconds: float) -> bool:
    """Nothing of the lane starts for so many seconds, because somebody whom its jobs ask is away or wants
    fewer questions. A hold that ends later stays as it is. Answers whether the lane is held by this; the
    caller commits before it locks anything else."""
    held = await lane_service.hold_for(uow, project_id, job_type, reason=reason, seconds=seconds)
    if held:
        await reclaim.recall(uow.session, project_id, job_type)
        await lane_service.ring(uow, project_id, job_type)
    return held
