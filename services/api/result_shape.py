"""A file of a batch on the wire, with its name beside its id (an extension of contract 1)."""

from typing import Any

from pydantic import BaseModel

from shared import ids
from shared.batches.service import BatchResult, ExportedFile
from shared.jobs.lifecycle import JobType


class Reference(BaseModel):
    """The job of one file."""

    type: JobType
    id: str


class FileOut(BaseModel):
    """One source file with its name beside it, so that nobody has to look the id up. The last three are null
    unless they are expanded and the job has a result."""

    source_directory_file_id: str
    name: str
    external_file_id: str | None
    job_reference: Reference | None
    status: str
    error_code: str | None
    error_message: str | None
    pages: int | None
    seconds: float | None
    reused: bool
    text_full: str | None = None
    markdown_full: str | None = None
    extract_result: dict[str, Any] | list[Any] | None = None


def show_file(result: BatchResult | ExportedFile, kind: JobType) -> FileOut:
    """The row on the wire; a file without a job has no reference."""
    reference = None
    if result.job_id is not None:
        reference = Reference(type=kind, id=ids.show(kind.id_kind, result.job_id))
    return FileOut(
        source_directory_file_id=ids.show(ids.Kind.DIRECTORY_FILE, result.directory_file_id),
        name=result.name,
        external_file_id=result.external_file_id,
        job_reference=reference,
        status=result.status,
        error_code=result.error_code,
        error_message=result.error_message,
        pages=result.pages,
        seconds=result.seconds,
        reused=result.reused,
    )
