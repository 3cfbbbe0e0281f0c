"""What an operator may do with organisations and keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, InvalidInput, NotFound
from shared.ids import Kind, show
from shared.projects import service, survey
from shared.projects.model import ApiKey, Organization, Project

OVERLAP_S: Final = 24 * 3600.0
"""How long a rotated key goes on working beside its successor, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class KeyFilters:
    """What a list of keys is narrowed by; `live` False shows those that ended."""

    project_id: UUID | None = None
    role: str | None = None
    live: bool | None = None


async def list_organizations(
    uow: UnitOfWork, *, size: int, after: UUID | None = None, count: bool = False
) -> Page[Organization]:
    """A page of organisations, newest first."""
    return await survey.organizations(uow.session, size=size, after=after, count=count)


async def create_project(uow: UnitOfWork, organization_id: UUID | None, name: str) -> Project:
    """A new tenant, of the default organisation when none is named. An unknown one is `NotFound`."""
    if organization_id is None:
        organization_id = (await service.default_project(uow)).organization_id
    elif await survey.get_organization(uow.session, organization_id) is None:
        raise NotFound(f"No organization has the id {show(Kind.ORGANIZATION, organization_id)}.")
    return await service.create_project(uow, organization_id, name)


async def list_keys(
    uow: UnitOfWork, filters: KeyFilters, *, size: int, after: UUID | None = None, count: bool = False
) -> Page[ApiKey]:
    """A page of keys, newest first, revoked ones too."""
    return await survey.keys(
        uow.session,
        project_id=filters.project_id,
        role=filters.role,
        live=filters.live,
        size=size,
        after=after,
        count=count,
    )


async def create_key(
    uow: UnitOfWork, *, project_id: UUID | None, name: str, expires_at: datetime | None
) -> tuple[str, ApiKey]:
    """Like `service.create_key`; an end in the past is `InvalidInput`: nobody means it."""
    if expires_at is not None and await survey.is_past(uow.session, expires_at):
        raise InvalidInput("expires_at: this moment is over; the key would open nothing.")
    return await service.create_key(uow, project_id=project_id, name=name, expires_at=expires_at)


async def rotate_key(
    uow: UnitOfWork,
    key_id: UUID,
    *,
    overlap_s: float = OVERLAP_S,
    expires_at: datetime | None = None,
    for_ever: bool = False,
) -> tuple[str, ApiKey, ApiKey]:
    """A new key of the same role, project and name; the old one works for `overlap_s` seconds more. Answers
    the token of the new one, its row, and the row of the old one.

    A key that ended already is a `Conflict`. The successor of a key with an end needs an end of its own
    (`expires_at`), or the word that it has none (`for_ever`), else `InvalidInput`: it is not ours to guess.
    """
    old = await _lock(uow, key_id)
    if not await survey.works_now(uow.session, key_id):
        raise Conflict("This key was revoked or has expired; make a new one instead.")
    if old.expires_at is not None and expires_at is None and not for_ever:
        raise InvalidInput(
            f"expires_at: this key ends at {old.expires_at.isoformat(timespec='seconds')}; say when its"
            " successor ends (null: never)."
        )
    token, new = await create_key(uow, project_id=old.project_id, name=old.name, expires_at=expires_at)
    await survey.limit_key(uow.session, new, per_minute=old.requests_per_minute, burst=old.request_burst)
    await survey.end_key(uow.session, old, after_s=overlap_s)
    return token, new, old


async def revoke_key(uow: UnitOfWork, key_id: UUID, *, asked_with: UUID | None = None) -> ApiKey:
    """End a key at once; one that is revoked already stays so. `asked_with` is the key of the request
    itself: revoking that one is a `Conflict`, so an operator cannot lock the last door from inside."""
    if key_id == asked_with:
        raise Conflict(
            "This is the key of this very request. Revoke it with another operator key, or with"
            " 'batchmill keys revoke' on a machine that reaches the database."
        )
    key = await _lock(uow, key_id)
    await survey.revoke_key(uow.session, key)
    return key


async def limit_key(uow: UnitOfWork, key_id: UUID, *, per_minute: int | None, burst: int | None) -> ApiKey:
    """How many requests the key may send a minute, `burst` of them at once (None: all of them). None: what
    the server's settings say; 0: as many as it likes. A burst without a number is `InvalidInput`."""
    if burst is not None and not per_minute:
        raise InvalidInput("burst: it belongs to a limit of the key's own; say requests_per_minute too.")
    key = await _lock(uow, key_id)
    await survey.limit_key(uow.session, key, per_minute=per_minute, burst=burst)
    return key


async def _lock(uow: UnitOfWork, key_id: UUID) -> ApiKey:
    key = await survey.lock_key(uow.session, key_id)
    if key is None:
        raise NotFound(f"No API key has the id {show(Kind.API_KEY, key_id)}.")
    return key
