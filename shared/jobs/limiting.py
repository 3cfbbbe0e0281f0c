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
