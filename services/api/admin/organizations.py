"""Organisations: the owners of projects."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.api.dependencies import Uow
from services.api.operators import ADMIN, OperatorPage, TheOperator
from services.api.paging import PageOf
from shared import ids
from shared.projects import operating as project_operating
from shared.projects import service as project_service
from shared.projects.model import Organization

router = APIRouter()


class OrganizationIn(BaseModel):
    """An organisation to make."""

    name: Annotated[str, Field(min_length=1, max_length=200)]


class OrganizationOut(BaseModel):
    """An organisation."""

    id: str
    name: str
    created_at: datetime


def show(row: Organization) -> OrganizationOut:
    """The row for an operator."""
    return OrganizationOut(
        id=ids.show(ids.Kind.ORGANIZATION, row.id), name=row.name, created_at=row.created_at
    )


@router.get(ADMIN + "/organizations")
async def list_pages(uow: Uow, page: OperatorPage) -> PageOf[OrganizationOut]:
    """A page, newest first."""
    found = await project_operating.list_organizations(
        uow, size=page.size, after=page.after, count=page.count
    )
    return page.answer(found, show)


@router.post(ADMIN + "/organizations", status_code=201)
async def create(uow: Uow, who: TheOperator, asked: OrganizationIn) -> OrganizationOut:
    """Make an organisation."""
    made = show(await project_service.create_organization(uow, asked.name))
    await who.note("organization.create", made.id, detail=asked.model_dump())
    return made
