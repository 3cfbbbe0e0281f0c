"""What the pages of operators ask for: the operator, the page, and filters over all projects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID, uuid5

from fastapi import Depends, Query, Request

from services.api.dependencies import (
    IncludeTotal,
    PageSize,
    PageToken,
    TheCaller,
    Uow,
    known_ids,
    page_of,
)
from services.api.paging import PageAsk
from shared import ids
from shared.audit import service as audit_service
from shared.audit.service import Author
from shared.db.unit_of_work import UnitOfWork
from shared.errors import NotAllowed
from shared.projects.model import Role

ADMIN: Final = "/api/v1/admin"
NOTHING: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever holds an operator's key, and the request that it sent."""

    key_id: UUID
    author: Author
    uow: UnitOfWork

    async def note(
        self,
        action: str,
        target: str,
        *,
        project_id: UUID | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Leave the audit event of a write, in the transaction of the write. `detail` is what was asked,
        without secrets."""
        await audit_service.record(
            self.uow, self.author, action, target, project_id=project_id, detail=dict(detail or {})
        )


async def operator(request: Request, uow: Uow, who: TheCaller) -> Operator:
    """The operator that asks; a project's key is refused (403). Every page under /admin depends on it."""
    if who.role is not Role.OPERATOR:
        raise NotAllowed("This needs an operator key; a project key opens only its own project.")
    address = request.client.host if request.client is not None else None
    author = Author(key_id=who.key_id, request_id=request.state.request_id, address=address)
    return Operator(who.key_id, author, uow)


TheOperator = Annotated[Operator, Depends(operator)]


async def page_of_operator(
    request: Request,
    who: TheOperator,
    project_id: Annotated[str | None, Query(description="Only this project.")] = None,
    page_size: PageSize = None,
    page_token: PageToken = None,
    include_total: IncludeTotal = False,  # noqa: FBT002 - read from the query by its name
) -> PageAsk:
    """The page asked for, of a list over all projects: here the project is a filter like any other."""
    tenant = uuid5(who.key_id, project_id or "")
    return page_of(request, tenant, page_size, page_token, count=include_total)


OperatorPage = Annotated[PageAsk, Depends(page_of_operator)]


async def project_filter(
    project_id: Annotated[str | None, Query(description="Only this project.")] = None,
) -> UUID | None:
    """The project that a list is narrowed to; what is no project's id matches nothing."""
    return one_id(ids.Kind.PROJECT, project_id)


ProjectFilter = Annotated[UUID | None, Depends(project_filter)]


def one_id(kind: ids.Kind, text: str | None) -> UUID | None:
    """The id of a filter; what is no id of this kind matches nothing."""
    if text is None:
        return None
    return (known_ids(kind, [text]) or [NOTHING])[0]
