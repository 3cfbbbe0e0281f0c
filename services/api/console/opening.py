"""A new batch over files that a browser sends.

Where scripts run, each file is a request of its own, several side by side, into a directory that was made for
them, and the batch comes last. Where none run it is one form with everything in it.
"""

import hashlib
import re
import secrets
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.api.console.drawing import base_of, page
from services.api.console.forms import fields_of
from services.api.console.visitors import Visiting, Visitor, project_name
from services.api.dependencies import Storage, TheDoor, Uow
from services.api.entries import FILE_FIELD, receive_entry, receive_part
from services.api.uploads import MAX_PARTS, FilePart, Form
from shared import ids
from shared.answers import service as answer_service
from shared.answers.service import OtherRequest, Sent
from shared.batches import service as batch_service
from shared.configurations import service as configuration_service
from shared.configurations.presets import PRESETS, Preset
from shared.db.unit_of_work import UnitOfWork
from shared.directories import service as directory_service
from shared.errors import Conflict, InvalidInput
from shared.jobs.lifecycle import JobType

router = APIRouter()
CONFIGURATIONS: Final = 200
FIELDS: Final = 6
"""Of the form, beside its files."""
LONGEST_NAME: Final = 200
_ONCE: Final = re.compile(r"[A-Za-z0-9-]{16,64}")


@router.get("/new")
async def ask(request: Request, uow: Uow, who: Visiting, door: TheDoor) -> Response:
    """The form."""
    saved = await configuration_service.list_configurations(
        uow,
        who.project_id,
        product_types=[kind.value for kind in JobType],
        name=None,
        latest_only=True,
        size=CONFIGURATIONS,
    )
    return page(
        request,
        "new.html",
        project=await project_name(uow, who),
        presets=list(PRESETS.values()),
        saved=[(ids.show(ids.Kind.CONFIGURATION, one.id), one) for one in saved.items],
        max_upload_bytes=door.max_upload_bytes,
        most_files=MAX_PARTS - FIELDS,
        once=secrets.token_hex(16),
        name=_default_name(),
    )


@router.post("/new")
async def open_with_files(
    request: Request, uow: Uow, who: Visiting, storage: Storage, door: TheDoor
) -> Response:
    """Directory, files and batch by one form. What a browser sends twice is opened once."""
    form = Form(request, file_field=FILE_FIELD, max_bytes=door.max_upload_bytes)
    await uow.commit()
    await door.space.insist(request.headers.get("content-length"))
    part: FilePart | None = await form.open_file()
    fields = form.fields
    if (known := await _opened_before(uow, _sent(who, fields))) is not None:
        return _to(request, known)
    # Refused before the files are taken in, not after.
    await _job_type(uow, who, fields.get("configuration", ""))
    directory = await directory_service.open_directory(
        uow, project_id=who.project_id, name=_name(fields.get("name"))
    )
    await uow.commit()
    while part is not None:
        if part.name is None:
            raise InvalidInput("Choose at least one file.")
        await receive_part(uow, storage, directory, part)
        part = await form.next_file()
    return _to(request, await _open_once(uow, who, fields, directory.id))


@router.post("/directories", status_code=201)
async def open_directory(request: Request, uow: Uow, who: Visiting) -> Response:
    """A directory for the files of one batch."""
    fields = await fields_of(request)
    made = await directory_service.open_directory(
        uow, project_id=who.project_id, name=_name(fields.get("name"))
    )
    directory_id = ids.show(ids.Kind.DIRECTORY, made.id)
    files = f"{base_of(request.scope)}/directories/{directory_id}/files"
    return JSONResponse({"id": directory_id, "files": files}, 201)


@router.post("/directories/{directory_id}/files", status_code=201)
async def add_file(
    request: Request, uow: Uow, who: Visiting, storage: Storage, door: TheDoor, directory_id: str
) -> Response:
    """One file into it; the same again is the file that is there."""
    wanted = ids.parse(ids.Kind.DIRECTORY, directory_id)
    entry = await receive_entry(request, uow, storage, door, project_id=who.project_id, directory_id=wanted)
    return JSONResponse({"name": entry.display_name}, 201)


@router.post("/batches", status_code=201)
async def open_batch(request: Request, uow: Uow, who: Visiting) -> Response:
    """The batch over the directory; answers where its page is."""
    fields = await fields_of(request)
    directory_id = ids.parse(ids.Kind.DIRECTORY, fields.get("directory", ""))
    batch_id = await _open_once(uow, who, fields, directory_id)
    return JSONResponse({"page": f"{base_of(request.scope)}/batches/{batch_id}"}, 201)


async def _open_once(uow: UnitOfWork, who: Visitor, fields: dict[str, str], directory_id: UUID) -> str:
    """The id of the batch that this form opened, now or before."""
    sent = _sent(who, fields)
    if (known := await _opened_before(uow, sent)) is not None:
        return known
    configuration = fields.get("configuration", "")
    batch = await batch_service.open_batch(
        uow,
        project_id=who.project_id,
        source_directory_id=directory_id,
        job_type=await _job_type(uow, who, configuration),
        configuration_id=configuration,
    )
    batch_id = ids.show(ids.Kind.BATCH, batch.id)
    await answer_service.keep(uow, sent, status=201, body=batch_id)
    return batch_id


async def _opened_before(uow: UnitOfWork, sent: Sent) -> str | None:
    try:
        known = await answer_service.begin(uow, sent)
    except OtherRequest:
        raise Conflict("This form was sent before, with other choices. Open a new one.") from None
    return None if known is None else known.body


def _sent(who: Visitor, fields: dict[str, str]) -> Sent:
    once = fields.get("once", "")
    if not _ONCE.fullmatch(once):
        raise InvalidInput("The form has no field 'once' of its own. Open it anew.")
    told = f"console\n{fields.get('configuration', '')}\n{fields.get('directory', '')}"
    return Sent(
        project_id=who.project_id,
        key_id=who.caller.key_id,
        fingerprint=hashlib.sha256(told.encode()).digest(),
        idempotency_key=f"console:{once}",
        sending=None,
    )


async def _job_type(uow: UnitOfWork, who: Visitor, configuration_id: str) -> str:
    if not configuration_id:
        raise InvalidInput("Choose a configuration.")
    found: Any = await configuration_service.get_configuration(uow, who.project_id, configuration_id)
    return JobType.PARSE.value if isinstance(found, Preset) else str(found.product_type)


def _to(request: Request, batch_id: str) -> Response:
    return RedirectResponse(f"{base_of(request.scope)}/batches/{batch_id}", 303)


def _name(given: str | None) -> str:
    return (given or "").strip()[:LONGEST_NAME] or _default_name()


def _default_name() -> str:
    return f"Upload of {datetime.now(UTC):%Y-%m-%d %H:%M}"
