"""What an operator may do: say how long a project keeps what, and have a project removed."""

from uuid import UUID

from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, NotFound
from shared.ids import Kind, show
from shared.projects import service as project_service
from shared.projects.service import Caller
from shared.retention import repository
from shared.retention.model import MOST_DAYS, Purge
from shared.retention.terms import Terms

__all__ = ["MOST_DAYS", "Terms", "ask_purge", "get_purge", "get_terms", "set_terms"]


async def get_terms(uow: UnitOfWork, project_id: UUID) -> Terms:
    """How long the project keeps what; everything for ever unless it was set."""
    return await repository.terms(uow.session, project_id)


async def set_terms(uow: UnitOfWork, project_id: UUID, wanted: Terms) -> Terms:
    """Replace the terms, whole. What is over by the new ones goes from the next sweep on."""
    await repository.set_terms(uow.session, project_id, wanted)
    return await repository.terms(uow.session, project_id)


async def ask_purge(uow: UnitOfWork, caller: Caller, project_id: UUID) -> tuple[Purge, bool]:
    """Have a project removed with all it has; answers how far that is, and whether it was asked now.

    From the commit on nobody can use the project: it is hidden and its keys are gone. Asked twice is asked
    once. The default project is a `Conflict`: the stack's own keys open it.
    """
    found = await repository.purge_of(uow.session, project_id)
    if found is not None:
        return found, False
    project = await project_service.get_project(uow, caller, project_id)
    if project.is_default:
        raise Conflict(
            "This is the default project, which a stack makes anew and cannot be without. Set its retention,"
            " or remove the data folder of the stack."
        )
    asked_now = await repository.start_purge(uow.session, project_id)
    return await get_purge(uow, project_id), asked_now


async def get_purge(uow: UnitOfWork, project_id: UUID) -> Purge:
    """How far the purge of a project is. `NotFound` when none was asked."""
    found = await repository.purge_of(uow.session, project_id)
    if found is None:
        raise NotFound(f"No purge of a project with the id {show(Kind.PROJECT, project_id)} was asked for.")
    return found
