"""What an operator may see of all lanes."""

from shared.db.unit_of_work import UnitOfWork
from shared.lanes import survey
from shared.lanes.survey import HeldLane

__all__ = ["HeldLane", "held_lanes", "waits"]


async def held_lanes(uow: UnitOfWork) -> list[HeldLane]:
    """Lanes that let nothing in now."""
    return await survey.held(uow.session)


async def waits(uow: UnitOfWork) -> dict[str, int]:
    """How many lanes wait, by the code of what refused them last."""
    return await survey.waits(uow.session)
