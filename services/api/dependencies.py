"""What pages ask for: the unit of work, the caller, the project, the page, and what to expand."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError

from services.api.authentication import BEARER, COOKIE, token_of
from services.api.downloads import Links
from services.api.free_space import FreeSpace
from services.api.known_keys import KnownKeys
from services.api.paging import PageAsk, filters_of, read_token
from services.api.plain_text import check_text
from services.api.request_limits import RequestLimits
from services.api.signing import Signer
from services.api.storage_gate import StorageGate
from services.api.wrong_keys import WrongKeys
from shared import ids
from shared.db.repository import page_size as within_bounds
from shared.db.unit_of_work import UnitOfWork
from shared.errors import NotFound, Unauthenticated
from shared.projects import service as project_service
from shared.projects.service import Caller
from shared.storage.port import BlobStorage
from shared.webhooks.service import Gate
from shared.wiring import Resources

SAFE: Final = frozenset({"GET", "HEAD"})
"""Methods that only read."""


@dataclass(frozen=True, slots=True)
class Door:
    """What the application was opened with; lies in `app.state.door` while it runs."""

    resources: Resources
    gate: StorageGate
    space: FreeSpace
    signer: Signer
    public_url: str | None
    max_upload_bytes: int
    webhooks: Gate


def door(request: Request) -> Door:
    """The door of this application."""
    found: Door = request.app.state.door
    return found


# Dependencies are coroutines, also those that wait for nothing: FastAPI sends all others to a thread.


async def _door(request: Request) -> Door:
    return door(request)


async def storage(request: Request) -> BlobStorage:
    """Where bytes lie: the place that the database's rows speak of, or `Unavailable`."""
    return door(request).gate.storage()


async def unit_of_work(request: Request) -> AsyncIterator[UnitOfWork]:
    """One request's transaction. Committed before the answer is sent, so a commit that fails is an error. A
    GET only reads: it needs none."""
    resources = door(request).resources
    opened = resources.reading if request.method in SAFE else resources.unit_of_work
    async with opened() as uow:
        yield uow
        await uow.commit()


async def webhook_gate(request: Request) -> Gate:
    """What webhooks may be here."""
    return door(request).webhooks


TheDoor = Annotated[Door, Depends(_door)]
TheGate = Annotated[Gate, Depends(webhook_gate)]
Storage = Annotated[BlobStorage, Depends(storage)]
Uow = Annotated[UnitOfWork, Depends(unit_of_work, scope="function")]


async def caller(
    request: Request,
    response: Response,
    uow: Uow,
    _bearer: Annotated[object, Security(BEARER)] = None,
    _cookie: Annotated[object, Security(COOKIE)] = None,
) -> Caller:
    """Whoever's key the request carries. Too many wrong ones from one address, or too many requests of a
    right one: `TooMany`."""
    who = await _holder_of(request, uow)
    await count_request(request, response, uow, who)
    return who


async def count_request(request: Request, response: Response, uow: UnitOfWork, who: Caller) -> None:
    """One request more of this key, if it has a limit; `TooMany` when it is over it."""
    limits: RequestLimits = request.app.state.request_limits
    if (allowance := limits.allowance_of(who)) is not None:
        # No transaction is open while another server is asked (law 2).
        await uow.commit()
        await limits.ask(request, response, who, allowance)


async def _holder_of(request: Request, uow: UnitOfWork) -> Caller:
    """Who reads is not looked up again within a second (`KnownKeys`)."""
    token = token_of(request)
    known: KnownKeys = request.app.state.known_keys
    reads = request.method in SAFE
    if reads and (found := known.find(token)) is not None:
        return found
    asked_at = time.monotonic()
    try:
        found = await project_service.authenticate(uow, token)
    except Unauthenticated:
        if token:
            note_wrong_key(request)
        raise
    if reads and token:
        known.note(token, found, asked_at=asked_at)
    return found


def note_wrong_key(request: Request) -> None:
    """One wrong key more from this address; `TooMany` when it sent too many."""
    wrong: WrongKeys = request.app.state.wrong_keys
    wrong.note(request.client.host if request.client is not None else "")


TheCaller = Annotated[Caller, Depends(caller)]


async def project(
    uow: Uow,
    who: TheCaller,
    project_id: Annotated[str | None, Query(description="Project; the key's own when left out.")] = None,
    organization_id: Annotated[str | None, Query(description="Organisation of the project.")] = None,
) -> UUID:
    """The project that the request speaks of."""
    return await project_service.resolve_project(
        uow, who, project_id=project_id, organization_id=organization_id
    )


ProjectId = Annotated[UUID, Depends(project)]


async def links(request: Request) -> Links:
    """Makes download links that the caller can follow: under the public URL, else the one it used itself."""
    own = door(request)
    return Links((own.public_url or str(request.base_url)).rstrip("/"), own.signer)


TheLinks = Annotated[Links, Depends(links)]

PageSize = Annotated[int | None, Query(description="1 to 1,000, 50 when left out; coerced, not refused.")]
PageToken = Annotated[str | None, Query(description="`next_page_token` of the page before.")]
IncludeTotal = Annotated[bool, Query(description="Count all rows into `total_size`.")]


async def page_of_project(
    request: Request,
    tenant: ProjectId,
    page_size: PageSize = None,
    page_token: PageToken = None,
    include_total: IncludeTotal = False,  # noqa: FBT002 - read from the query by its name
) -> PageAsk:
    """The page asked for, of a list inside a project."""
    return page_of(request, tenant, page_size, page_token, count=include_total)


async def page_of_caller(
    request: Request,
    who: TheCaller,
    page_size: PageSize = None,
    page_token: PageToken = None,
    include_total: IncludeTotal = False,  # noqa: FBT002 - read from the query by its name
) -> PageAsk:
    """The page asked for, of a list that spans projects."""
    return page_of(request, who.key_id, page_size, page_token, count=include_total)


ProjectPage = Annotated[PageAsk, Depends(page_of_project)]
CallerPage = Annotated[PageAsk, Depends(page_of_caller)]


async def expand(
    request: Request, _expand: Annotated[list[str] | None, Query(alias="expand")] = None
) -> frozenset[str]:
    """What to expand: repeated parameters and comma lists; values that nobody knows are left in peace."""
    named = (part.strip() for value in request.query_params.getlist("expand") for part in value.split(","))
    return frozenset(part for part in named if part)


Expand = Annotated[frozenset[str], Depends(expand)]


def _as_utc(moment: datetime) -> datetime:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    try:
        return aware.astimezone(UTC)
    except OverflowError:
        raise ValueError("this moment is outside the calendar") from None


def _as_written(raw: Any) -> Any:
    if isinstance(raw, datetime):
        return raw
    # A number would be taken for the seconds or milliseconds since 1970, whichever looks nearer.
    if not isinstance(raw, str) or raw.strip().replace(".", "", 1).lstrip("+-").isdigit():
        raise ValueError("a time is written like 2026-01-31T12:00:00Z")
    # A '+' that was not percent-encoded arrives as a space: 2026-01-01T00:00:00 02:00.
    return raw.replace(" ", "+") if "T" in raw else raw


Moment = Annotated[datetime, BeforeValidator(_as_written), AfterValidator(_as_utc)]
"""A time on the wire; one without an offset is UTC (contract 0)."""


def _apart(raw: Any) -> Any:
    if not isinstance(raw, list):
        return raw
    return [part.strip() for text in raw for part in (text.split(",") if isinstance(text, str) else [text])]


Several = BeforeValidator(_apart)
"""`Annotated[list[...], Several]`: a repeated parameter, a comma list, or both."""


def known_ids(kind: ids.Kind, texts: list[str] | None) -> list[UUID] | None:
    """The ids of a filter. What is no id of this kind is the id of nothing: it matches no row."""
    if texts is None:
        return None
    found: list[UUID] = []
    for one in (part for text in texts for part in text.split(",")):
        try:
            found.append(ids.parse(kind, one.strip()))
        except NotFound:
            continue
    return found


def read_json(model: type[BaseModel], text: str, *where: str) -> Any:
    """A model out of a form field; refused like a body: 422, with the place."""
    try:
        asked = model.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise RequestValidationError(
            [{**one, "loc": ("body", *where, *one["loc"])} for one in found]
        ) from None
    check_text(asked.model_dump(), *where)
    return asked


def page_of(
    request: Request,
    tenant: UUID,
    size: int | None,
    token: str | None,
    *,
    count: bool,
    body: str | None = None,
) -> PageAsk:
    """The page that is asked for; its token belongs to `tenant`'s list with these filters, those of a `body`
    included."""
    signer = door(request).signer
    filters = filters_of(request, tenant, body)
    after = None if token is None else read_token(signer, token, filters)
    return PageAsk(within_bounds(size), after, count, filters, signer)
