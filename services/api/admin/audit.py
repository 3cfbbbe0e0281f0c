"""The audit: what operators did. It is read here and written by the writes themselves."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.api.dependencies import Uow
from services.api.operators import ADMIN, OperatorPage, ProjectFilter, one_id
from services.api.paging import PageOf
from shared import ids
from shared.audit import service as audit_service
from shared.audit.model import AuditEvent
from shared.audit.service import AuditFilters

router = APIRouter()


class AuditQuery(BaseModel):
    """What a list is narrowed by."""

    action: str | None = None
    target: str | None = None
    key_id: str | None = None


class AuditOut(BaseModel):
    """One write. `key_id` is null when it was done by a command on the database itself."""

    id: str
    at: datetime
    action: str
    target: str
    key_id: str | None
    project_id: str | None
    detail: dict[str, Any]
    request_id: str | None
    address: str | None


async def filters_of(asked: Annotated[AuditQuery, Query()], project: ProjectFilter) -> AuditFilters:
    """The same for the room."""
    return AuditFilters(
        action=asked.action,
        target=asked.target,
        key_id=one_id(ids.Kind.API_KEY, asked.key_id),
        project_id=project,
    )


def show(row: AuditEvent) -> AuditOut:
    """The row for an operator."""
    return AuditOut(
        id=str(row.id),
        at=row.at,
        action=row.action,
        target=row.target,
        key_id=None if row.key_id is None else ids.show(ids.Kind.API_KEY, row.key_id),
        project_id=None if row.project_id is None else ids.show(ids.Kind.PROJECT, row.project_id),
        detail=row.detail,
        request_id=row.request_id,
        address=row.address,
    )


@router.get(ADMIN + "/audit")
async def list_pages(
    uow: Uow, page: OperatorPage, filters: Annotated[AuditFilters, Depends(filters_of)]
) -> PageOf[AuditOut]:
    """A page, newest first."""
    found = await audit_service.list_events(uow, filters, size=page.size, after=page.after, count=page.count)
    return page.answer(found, show)
