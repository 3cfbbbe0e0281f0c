"""What a job may be asked to run over, by the ids that callers have."""

from uuid import UUID

from shared import ids
from shared.db.unit_of_work import UnitOfWork
from shared.directories import service as directory_service
from shared.errors import NotFound
from shared.files import service as file_service
from shared.files.model import File
from shared.jobs import opening
from shared.jobs.opening import JobInput


async def file_of(uow: UnitOfWork, project_id: UUID, text: str) -> File:
    """A file by its own id, or by that of a directory's file."""
    if text.startswith(f"{ids.Kind.DIRECTORY_FILE}-"):
        entry = ids.parse(ids.Kind.DIRECTORY_FILE, text)
        file_id = await directory_service.file_of_entry(uow, project_id, entry)
    else:
        file_id = ids.parse(ids.Kind.FILE, text)
    return await file_service.get_file(uow, project_id, file_id)


async def input_of(uow: UnitOfWork, project_id: UUID, text: str) -> JobInput:
    """The input of an extraction: a file (`fil-`), a directory's file (`dfl-`) or a COMPLETED parse job
    (`pjb-`). An id without a prefix may be that of any of them."""
    if text.startswith(f"{ids.Kind.PARSE_JOB}-"):
        job_id = ids.parse(ids.Kind.PARSE_JOB, text)
        return await opening.input_of_parse_job(uow, project_id, job_id, named=text)
    if "-" not in text[:4]:
        return await _input_without_prefix(uow, project_id, text)
    return _of_file(await file_of(uow, project_id, text), text)


async def _input_without_prefix(uow: UnitOfWork, project_id: UUID, text: str) -> JobInput:
    bare = ids.parse(ids.Kind.FILE, text)
    for prefix in ("", f"{ids.Kind.DIRECTORY_FILE}-"):
        try:
            return _of_file(await file_of(uow, project_id, f"{prefix}{bare}"), text)
        except NotFound:
            continue
    try:
        return await opening.input_of_parse_job(uow, project_id, bare, named=text)
    except NotFound:
        raise NotFound(f"No file and no parse job has the id {text!r}.") from None


def _of_file(file: File, named: str) -> JobInput:
    return JobInput(file.project_id, file.id, file.name, file.size_bytes, file.sha256, named)
