"""Projects: the tenants."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.api.dependencies import TheCaller, Uow
from services.api.operators import ADMIN, OperatorPage, TheOperator
from services.api.paging import PageOf
from shared import ids
from shared.projects import operating as project_operating
from shared.projects import service as project_service
from shared.projects.model import Project

router = APIRouter()


class ProjectIn(BaseModel):
    """A project to make; without an organisation it belongs to the default one."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    organization_id: str | None = None


class ProjectOut(BaseModel):
    """A project."""

    id: str
    name: str
    organization_id: str
    is_default: bool
    created_at: datetime


def show(row: Project) -> ProjectOut:
    """The row for an operator."""
    return ProjectOut(
        id=ids.show(ids.Kind.PROJECT, row.id),
        name=row.name,
        organization_id=ids.show(ids.Kind.ORGANIZATION, row.organization_id),
        is_default=row.is_default,
        created_at=row.created_at,
    )


@router.get(ADMIN + "/projects")
async def list_pages(
    uow: Uow,
    who: TheCaller,
    page: OperatorPage,
    organization_id: Annotated[str | None, Query()] = None,
    name: Annotated[str | None, Query()] = None,
) -> PageOf[ProjectOut]:
    """A page, newest first; an organisation that is none is 404, as in the projects' own API."""
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


@router.post(ADMIN + "/projects", status_code=201)
async def create(uow: Uow, who: TheOperator, asked: ProjectIn) -> ProjectOut:
    """Make a project."""
    owner = None if asked.organization_id is None else ids.parse(ids.Kind.ORGANIZATION, asked.organization_id)
    row = await project_operating.create_project(uow, owner, asked.name)
    made = show(row)
    await who.note("project.create", made.id, project_id=row.id, detail=asked.model_dump())
    return made


@router.get(ADMIN + "/projects/{project_id}")
async def get(uow: Uow, who: TheCaller, project_id: str) -> ProjectOut:
    """One project."""
    return show(await project_service.get_project(uow, who, ids.parse(ids.Kind.PROJECT, project_id)))
