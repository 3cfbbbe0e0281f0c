"""A file that comes in a form and goes into a directory, for the pages that take one."""

import json
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request

from services.api.dependencies import Door
from services.api.plain_text import check_text
from services.api.uploads import FilePart, Form
from shared.db.unit_of_work import UnitOfWork
from shared.directories import service as directory_service
from shared.directories.model import Directory, DirectoryFile
from shared.errors import InvalidInput
from shared.files import service as file_service
from shared.storage.port import BlobStorage

FILE_FIELD: Final = "upload_file"


async def receive_entry(
    request: Request,
    uow: UnitOfWork,
    storage: BlobStorage,
    door: Door,
    *,
    project_id: UUID,
    directory_id: UUID,
) -> DirectoryFile:
    """The one file of the form, in the directory. The same bytes under the same unique_id again: the file
    that is there."""
    directory = await directory_service.get_directory(uow, project_id, directory_id)
    directory_service.insist_on_uploads(directory)
    form = Form(request, file_field=FILE_FIELD, max_bytes=door.max_upload_bytes)
    # The head of the form comes as slowly as the client likes: no transaction waits for it (law 2).
    await uow.commit()
    await door.space.insist(request.headers.get("content-length"))
    part = await form.open_file()
    name = file_service.clean_name(part.name)
    async with file_service.receive(uow, storage, project_id, part.chunks) as stored:
        await form.rest()
        metadata = _metadata(form.fields.get("metadata"))
        file = await file_service.add_file(uow, project_id, stored, name=name)
        entry = await directory_service.add_entry(
            uow,
            directory,
            file,
            display_name=form.fields.get("display_name") or None,
            unique_id=form.fields.get("unique_id") or None,
            external_file_id=form.fields.get("external_file_id") or None,
            metadata=metadata,
        )
        if entry.file_id != file.id:
            await file_service.drop_file(uow, storage, file)
    return entry


async def receive_part(
    uow: UnitOfWork, storage: BlobStorage, directory: Directory, part: FilePart
) -> DirectoryFile:
    """One of several files of a form, in the directory; committed."""
    name = file_service.clean_name(part.name)
    async with file_service.receive(uow, storage, directory.project_id, part.chunks) as stored:
        file = await file_service.add_file(uow, directory.project_id, stored, name=name)
        entry = await directory_service.add_entry(uow, directory, file)
        if entry.file_id != file.id:
            await file_service.drop_file(uow, storage, file)
    await uow.commit()
    return entry


def _metadata(text: str | None) -> dict[str, Any] | None:
    """The form field `metadata`: a JSON object as text."""
    if not text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidInput("The field 'metadata' must be a JSON object.")
    check_text(found, "metadata")
    return found
