"""What operators did, written in the transaction of the deed: refused or rolled back, it leaves no event."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.audit import repository
from shared.audit.model import AuditEvent
from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Author:
    """Who did it, and from where. All None: a command that worked on the database itself."""

    key_id: UUID | None = None
    request_id: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """What a list is narrowed by; None leaves a filter out."""

    action: str | None = None
    target: str | None = None
    key_id: UUID | None = None
    project_id: UUID | None = None


async def record(
    uow: UnitOfWork,
    author: Author,
    action: str,
    target: str,
    *,
    project_id: UUID | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """One event. `target` is a public id; `detail` is JSON, and must hold no secret."""
    event = AuditEvent(
        key_id=author.key_id,
        action=action,
        target=target,
        project_id=project_id,
        detail=detail or {},
        request_id=author.request_id,
        address=author.address,
    )
    await repository.add(uow.session, event)


async def list_events(
    uow: UnitOfWork, filters: AuditFilters, *, size: int, after: UUID | None = None, count: bool = False
) -> Page[AuditEvent]:
    """A page of events, newest first."""
    return await repository.page(
        uow.session,
        action=filters.action,
        target=filters.target,
        key_id=filters.key_id,
        project_id=filters.project_id,
        size=size,
        after=after,
        count=count,
    )
