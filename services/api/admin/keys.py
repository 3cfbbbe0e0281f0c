"""Keys: made, rotated with an overlap, revoked at once. A token is shown once, in the answer that made it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field, model_validator

from services.api.dependencies import Moment, Uow
from services.api.known_keys import KnownKeys
from services.api.operators import ADMIN, OperatorPage, ProjectFilter, TheOperator
from services.api.paging import PageOf
from shared import ids
from shared.db.unit_of_work import UnitOfWork
from shared.projects import operating as project_operating
from shared.projects.model import MOST_REQUESTS, ApiKey, Role
from shared.projects.operating import OVERLAP_S, KeyFilters

router = APIRouter()

LONGEST_OVERLAP_S = 30 * 24 * 3600


class KeyIn(BaseModel):
    """A key to make. A project's key names its project, an operator's key names none."""

    role: Role
    project_id: str | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)]
    expires_at: Moment | None = None

    @model_validator(mode="after")
    def _project_of_role(self) -> "KeyIn":
        if (self.role is Role.PROJECT) != (self.project_id is not None):
            raise ValueError("project_id belongs to a project's key, and to no other")
        return self


class RotateIn(BaseModel):
    """How a key is replaced. `expires_at` is the end of the new one; it must be said when the old one has an
    end, null for never."""

    overlap_seconds: Annotated[float, Field(ge=0, le=LONGEST_OVERLAP_S)] = OVERLAP_S
    expires_at: Moment | None = None


class LimitsIn(BaseModel):
    """What the key may send. Null: what the server's settings say; 0: as many as it likes."""

    requests_per_minute: Annotated[int, Field(ge=0, le=MOST_REQUESTS)] | None
    burst: Annotated[int, Field(ge=1, le=MOST_REQUESTS)] | None = None


class KeyOut(BaseModel):
    """A key, by its first characters."""

    id: str
    role: Role
    project_id: str | None
    name: str
    starts_with: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    requests_per_minute: int | None
    burst: int | None


class NewKeyOut(KeyOut):
    """The same with its token, which cannot be had again."""

    token: str


class RotatedOut(NewKeyOut):
    """The new key, and the old one with its end."""

    replaces: KeyOut


class KeyQuery(BaseModel):
    """What a list is narrowed by; `live=true` leaves out keys that ended."""

    role: Role | None = None
    live: bool | None = None


async def filters_of(asked: Annotated[KeyQuery, Query()], project: ProjectFilter) -> KeyFilters:
    """The same for the room."""
    return KeyFilters(project_id=project, role=asked.role, live=asked.live)


def show(row: ApiKey) -> KeyOut:
    """The row for an operator."""
    return KeyOut(**_shown(row))


@router.get(ADMIN + "/keys")
async def list_pages(
    uow: Uow, page: OperatorPage, filters: Annotated[KeyFilters, Depends(filters_of)]
) -> PageOf[KeyOut]:
    """A page, newest first, revoked ones too."""
    found = await project_operating.list_keys(
        uow, filters, size=page.size, after=page.after, count=page.count
    )
    return page.answer(found, show)


@router.post(ADMIN + "/keys", status_code=201)
async def create(uow: Uow, who: TheOperator, asked: KeyIn) -> NewKeyOut:
    """Make a key."""
    project = None if asked.project_id is None else ids.parse(ids.Kind.PROJECT, asked.project_id)
    token, row = await project_operating.create_key(
        uow, project_id=project, name=asked.name, expires_at=asked.expires_at
    )
    made = NewKeyOut(**_shown(row), token=token)
    await who.note("key.create", made.id, project_id=project, detail=asked.model_dump(mode="json"))
    return made


@router.post(ADMIN + "/keys/{key_id}/rotate", status_code=201)
async def rotate(
    request: Request, uow: Uow, who: TheOperator, key_id: str, asked: RotateIn | None = None
) -> RotatedOut:
    """Make the successor of a key. Both work until the overlap ends."""
    how = asked or RotateIn()
    token, new, old = await project_operating.rotate_key(
        uow,
        ids.parse(ids.Kind.API_KEY, key_id),
        overlap_s=how.overlap_seconds,
        expires_at=how.expires_at,
        for_ever="expires_at" in how.model_fields_set and how.expires_at is None,
    )
    replaces = show(old)
    detail = {**how.model_dump(mode="json"), "successor": ids.show(ids.Kind.API_KEY, new.id)}
    await who.note("key.rotate", replaces.id, project_id=old.project_id, detail=detail)
    await _forget(request, uow)
    return RotatedOut(**_shown(new), token=token, replaces=replaces)


@router.put(ADMIN + "/keys/{key_id}/limits")
async def limit(request: Request, uow: Uow, who: TheOperator, key_id: str, asked: LimitsIn) -> KeyOut:
    """Replace what a key may send in a minute; in force with its next request, for reads by other processes
    a second later."""
    row = await project_operating.limit_key(
        uow,
        ids.parse(ids.Kind.API_KEY, key_id),
        per_minute=asked.requests_per_minute,
        burst=asked.burst,
    )
    answer = show(row)
    await who.note("key.limit", answer.id, project_id=row.project_id, detail=asked.model_dump())
    await _forget(request, uow)
    return answer


@router.post(ADMIN + "/keys/{key_id}/revoke")
async def revoke(request: Request, uow: Uow, who: TheOperator, key_id: str) -> KeyOut:
    """End a key at once. The key of the request itself: 409."""
    row = await project_operating.revoke_key(uow, ids.parse(ids.Kind.API_KEY, key_id), asked_with=who.key_id)
    answer = show(row)
    await who.note("key.revoke", answer.id, project_id=row.project_id)
    await _forget(request, uow)
    return answer


async def _forget(request: Request, uow: UnitOfWork) -> None:
    """This process looks the key up again, also for reads; others do so within a second."""
    await uow.commit()
    known: KnownKeys = request.app.state.known_keys
    known.forget()


def _shown(row: ApiKey) -> dict[str, Any]:
    return {
        "id": ids.show(ids.Kind.API_KEY, row.id),
        "role": Role(row.role),
        "project_id": None if row.project_id is None else ids.show(ids.Kind.PROJECT, row.project_id),
        "name": row.name,
        "starts_with": row.prefix,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "requests_per_minute": row.requests_per_minute,
        "burst": row.request_burst,
    }
