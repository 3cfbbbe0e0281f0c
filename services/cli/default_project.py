"""The project that a key belongs to when none is named."""

from uuid import UUID

from shared.db.unit_of_work import UnitOfWork
from shared.ids import Kind, parse
from shared.projects import service as project_service
from shared.projects.model import Role
from shared.projects.service import Caller

OPERATOR = Caller(project_id=None, role=Role.OPERATOR, key_id=UUID(int=0))


async def default_project(uow: UnitOfWork) -> UUID:
    """The default project, made with an organisation when there is none yet. The caller commits."""
    for project in await project_service.list_projects(uow, OPERATOR, organization_id=None, name=None):
        if project.is_default:
            return project.id
    organization = await project_service.create_organization(uow, "default")
    made = await project_service.create_project(uow, organization.id, "default", is_default=True)
    return made.id


async def existing_project(uow: UnitOfWork, text: str) -> UUID:
    """The project with this id, or `NotFound`."""
    return (await project_service.get_project(uow, OPERATOR, parse(Kind.PROJECT, text))).id
