"""Who is asking, and for which project."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput, NotFound, Unauthenticated
from shared.ids import Kind, parse, show
from shared.projects import repository
from shared.projects.model import ApiKey, Organization, Project, Role
from shared.projects.repository import LiveKey

MARKS = {Role.PROJECT: "bmk_", Role.OPERATOR: "bmo_"}
SECRET_BYTES = 32
SHOWN = 12
LIST_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a key. `project_id` is None for an operator, who must name a project; `ends_in_s` for a
    key that does not end by itself. The limit is the key's own: None when it has none, 0 requests a minute
    when it may send as many as it likes."""

    project_id: UUID | None
    role: Role
    key_id: UUID
    ends_in_s: float | None = None
    requests_per_minute: int | None = None
    request_burst: int | None = None


async def bootstrap(uow: UnitOfWork) -> tuple[str | None, str | None]:
    """The default organisation, project and first keys: (project key, operator key).

    Whatever is there already stays, and its place in the answer is None: a key is known only in the
    moment it is made. Rivals wait for each other, so each key is made once. The caller commits.
    """
    project = await default_project(uow)
    project_key: str | None = None
    operator_key: str | None = None
    if not await repository.has_key(uow.session, role=Role.PROJECT, project_id=project.id):
        project_key, _ = await create_key(uow, project_id=project.id, name="first project key")
    if not await repository.has_key(uow.session, role=Role.OPERATOR, project_id=None):
        operator_key, _ = await create_key(uow, project_id=None, name="first operator key")
    return project_key, operator_key


async def create_organization(uow: UnitOfWork, name: str) -> Organization:
    """A new owner of projects."""
    return await repository.add_organization(uow.session, name)


async def create_project(
    uow: UnitOfWork, organization_id: UUID, name: str, *, is_default: bool = False
) -> Project:
    """A new tenant."""
    return await repository.add_project(uow.session, organization_id, name, is_default=is_default)


async def create_key(
    uow: UnitOfWork, *, project_id: UUID | None, name: str, expires_at: datetime | None = None
) -> tuple[str, ApiKey]:
    """A key of a project, or an operator's when `project_id` is None; answers its token and row.

    The token carries 256 random bits, is not stored, and cannot be had again. An unknown project is
    `NotFound`.
    """
    if project_id is not None and await repository.get(uow.session, project_id) is None:
        raise NotFound(f"No project has the id {show(Kind.PROJECT, project_id)}.")
    role = Role.OPERATOR if project_id is None else Role.PROJECT
    token = MARKS[role] + secrets.token_urlsafe(SECRET_BYTES)
    row = ApiKey(
        project_id=project_id,
        role=role,
        name=name,
        prefix=token[:SHOWN],
        hash=digest_of(token),
        expires_at=expires_at,
    )
    return token, await repository.add_key(uow.session, row)


async def create_default_project_key(uow: UnitOfWork, name: str) -> str:
    """A further key of the default project, which is made if need be; answers its token."""
    project = await default_project(uow)
    token, _ = await create_key(uow, project_id=project.id, name=name)
    return token


async def list_keys(uow: UnitOfWork) -> Sequence[ApiKey]:
    """All keys, newest first, revoked ones too; their tokens are known to nobody here."""
    return await repository.keys(uow.session)


async def name_key(uow: UnitOfWork, key_id: UUID) -> str:
    """The key as people know it: the characters it begins with, and its name."""
    key = await repository.key(uow.session, key_id)
    return f"the key {key.prefix} ({key.name})"


async def authenticate(uow: UnitOfWork, token: str | None) -> Caller:
    """The caller that holds `token`. No, unknown, revoked and expired keys: `Unauthenticated`."""
    if not token:
        raise Unauthenticated("No API key was sent. Send it as 'Authorization: Bearer <key>'.")
    key = await repository.live_key(uow.session, digest_of(token))
    if key is None:
        raise Unauthenticated("This API key is unknown, revoked or expired.")
    return caller_of(key)


def caller_of(key: LiveKey) -> Caller:
    """Who holds this key."""
    return Caller(
        project_id=key.project_id,
        role=Role(key.role),
        key_id=key.id,
        ends_in_s=key.ends_in_s,
        requests_per_minute=key.requests_per_minute,
        request_burst=key.request_burst,
    )


async def resolve_project(
    uow: UnitOfWork, caller: Caller, *, project_id: str | None, organization_id: str | None
) -> UUID:
    """The project that a request speaks of: the one it names, else the key's.

    A project the key does not open is `NotFound`, like one that does not exist. An operator's key opens
    every project, so the request must name one (`InvalidInput`).
    """
    if caller.project_id is not None:
        if project_id is not None and parse(Kind.PROJECT, project_id) != caller.project_id:
            raise NotFound(f"No project has the id {project_id[:80]!r}.")
        wanted = caller.project_id
    elif project_id is None:
        raise InvalidInput(
            "An operator key opens every project: say which one with the query parameter project_id."
        )
    else:
        wanted = parse(Kind.PROJECT, project_id)
    if caller.project_id is None or organization_id is not None:
        await _check(uow, wanted, organization_id)
    return wanted


async def get_project(
    uow: UnitOfWork, caller: Caller, project_id: UUID, *, organization_id: str | None = None
) -> Project:
    """One project that the caller may see, of this organisation if one is named; else `NotFound`."""
    found = await repository.get(uow.session, project_id)
    hidden = found is None or caller.project_id not in (None, found.id)
    if found is None or hidden or _organization(organization_id) not in (None, found.organization_id):
        raise NotFound(f"No project has the id {show(Kind.PROJECT, project_id)}.")
    return found


async def page_projects(
    uow: UnitOfWork,
    caller: Caller,
    *,
    organization_id: str | None,
    name: str | None,
    size: int,
    after: UUID | None = None,
    count: bool = False,
) -> Page[Project]:
    """The projects that the caller may see, newest first."""
    return await repository.page(
        uow.session,
        only=caller.project_id,
        organization_id=_organization(organization_id),
        name=name,
        size=size,
        after=after,
        count=count,
    )


async def list_projects(
    uow: UnitOfWork, caller: Caller, *, organization_id: str | None, name: str | None
) -> Sequence[Project]:
    """The newest 1,000 of them as one list, the form of the first API version."""
    return await repository.all_of(
        uow.session,
        only=caller.project_id,
        organization_id=_organization(organization_id),
        name=name,
        limit=LIST_LIMIT,
    )


async def default_project(uow: UnitOfWork) -> Project:
    """The default project, made with its organisation when there is none. Rivals wait for each other until
    the commit, so it is made once."""
    await repository.lock_bootstrap(uow.session)
    found = await repository.default_project(uow.session)
    if found is not None:
        return found
    organization = await create_organization(uow, "default")
    return await create_project(uow, organization.id, "default", is_default=True)


async def _check(uow: UnitOfWork, project_id: UUID, organization_id: str | None) -> None:
    project = await repository.get(uow.session, project_id)
    if project is None:
        raise NotFound(f"No project has the id {show(Kind.PROJECT, project_id)}.")
    if _organization(organization_id) not in (None, project.organization_id):
        raise NotFound(f"No organization has the id {str(organization_id)[:80]!r}.")


def _organization(text: str | None) -> UUID | None:
    return None if text is None else parse(Kind.ORGANIZATION, text)


def digest_of(token: str) -> bytes:
    """What is stored of a token."""
    # A fast hash is enough: the token is 256 random bits, not a word someone chose.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
