"""Projects: both versions of the API show the same ones, those that the key opens."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from services.api.dependencies import CallerPage, TheCaller, Uow
from services.api.paging import PageOf
from shared import ids
from shared.projects import service as project_service
from shared.projects.model import Project

router = APIRouter(tags=["projects"])


class ProjectOut(BaseModel):
    """A project on the wire (contract 2.8)."""

    id: str
    name: str
    organization_id: str
    is_default: bool
    created_at: datetime
    updated_at: datetime


def show(project: Project) -> ProjectOut:
    """The row as the contract has it."""
    return ProjectOut(
        id=ids.show(ids.Kind.PROJECT, project.id),
        name=project.name,
        organization_id=ids.show(ids.Kind.ORGANIZATION, project.organization_id),
        is_default=project.is_default,
        created_at=project.created_at,
        updated_at=project.updated_at,
    )


OrganizationId = Annotated[str | None, Query()]


@router.get("/api/v1/projects")
async def list_all(
    uow: Uow,
    who: TheCaller,
    organization_id: OrganizationId = None,
    project_name: Annotated[str | None, Query()] = None,
) -> list[ProjectOut]:
    """A bare list, newest first, 1,000 at most."""
    found = await project_service.list_projects(uow, who, organization_id=organization_id, name=project_name)
    return [show(project) for project in found]


@router.get("/api/v2/projects")
async def list_pages(
    uow: Uow,
    who: TheCaller,
    page: CallerPage,
    organization_id: OrganizationId = None,
    name: Annotated[str | None, Query()] = None,
) -> PageOf[ProjectOut]:
    """A page, newest first."""
    found = await project_service.page_projects(
        uow,
        who,
        organization_id=organization_id,
        name=name,
        size=page.size,
        after=page.after,
        count=page.count,
    )
    return page.answer(found, show)


@router.get("/api/v1/projects/{project_id}")
@router.get("/api/v2/projects/{project_id}")
async def get(
    uow: Uow, who: TheCaller, project_id: str, organization_id: OrganizationId = None
) -> ProjectOut:
    """One project; one that the key does not open, or of another organisation than is named, is 404."""
    wanted = ids.parse(ids.Kind.PROJECT, project_id)
    return show(await project_service.get_project(uow, who, wanted, organization_id=organization_id))
