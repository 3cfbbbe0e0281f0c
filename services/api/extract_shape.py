"""An extract job on the wire (contract 2.6)."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel

from services.api.shown_as import Described, ShownAs
from shared import ids
from shared.configurations.options import ExtractChoices
from shared.configurations.service import PARSE_PARAMETERS
from shared.jobs.result import ResultDocument
from shared.jobs.service import JobView


class ExtractStatus(StrEnum):
    """The states an extract job shows."""

    PENDING = "PENDING"
    THROTTLED = "THROTTLED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class FieldMetadata(Described):
    """For each field of the answer: where its value stands, and how sure it is. By the target of the
    extraction one of the three."""

    document_metadata: dict[str, Any] | None = None
    page_metadata: list[dict[str, Any]] | None = None
    row_metadata: list[dict[str, Any]] | None = None


class PagesDone(Described):
    """How many pages were read, and charged. Nothing is charged here, so it is never given."""

    num_pages_extracted: int | None = None
    num_pages_billed: int | None = None


class WorkDone(Described):
    """What did the work, in words, and the note that goes with it."""

    usage: PagesDone | None = None
    engine: str | None = None
    extract_engine: str | None = None
    extract_note: str | None = None
    note: str | None = None


class Credits(BaseModel):
    """What a job cost. Nothing is charged here, so it is never given."""

    credits: float | None = None
    extract_credits: float | None = None
    parse_credits: float | None = None


class ExtractMetadata(BaseModel):
    """Where values come from. `missing_fields` is not of the contract: paths of required fields that the
    document did not give."""

    field_metadata: Annotated[dict[str, Any], ShownAs(FieldMetadata)] | None
    parse_job_id: str | None
    parse_tier: str | None
    missing_fields: list[str]


class ExtractJobOut(BaseModel):
    """An extract job on the wire."""

    id: str
    project_id: str
    status: ExtractStatus
    file_input: str
    created_at: datetime
    updated_at: datetime
    configuration: Annotated[dict[str, Any], ShownAs(ExtractChoices)] | None = None
    configuration_id: str | None = None
    error_message: str | None = None
    extract_result: (
        Annotated[dict[str, Any] | list[Any], ShownAs(dict[str, Any] | list[dict[str, Any]])] | None
    ) = None
    extract_metadata: ExtractMetadata | None = None
    # What did the work, in words, and the note that goes with it.
    metadata: Annotated[dict[str, Any], ShownAs(WorkDone)] | None = None
    usage: Credits | None = None
    # Not of the contract: the code alone, for programs.
    error_code: str | None = None


class DeletedOut(BaseModel):
    """What was deleted."""

    id: str
    project_id: str


def show(view: JobView) -> ExtractJobOut:
    """The job as the contract has it, without what it made: the failure code stands before its message."""
    message = view.error_message
    if view.error_code is not None:
        message = f"{view.error_code}: {message}" if message else view.error_code
    return ExtractJobOut(
        id=ids.show(ids.Kind.EXTRACT_JOB, view.id),
        project_id=ids.show(ids.Kind.PROJECT, view.project_id),
        status=ExtractStatus(view.status),
        file_input=view.file_input or ids.show(ids.Kind.FILE, view.file_id),
        created_at=view.created_at,
        updated_at=view.updated_at,
        configuration_id=view.configuration_id,
        error_message=message,
        error_code=view.error_code,
    )


def configuration_of(view: JobView) -> dict[str, Any] | None:
    """The snapshot that the job runs with, without what the server added for itself."""
    if view.config is None:
        return None
    return {
        name: value for name, value in view.config.items() if name not in (PARSE_PARAMETERS, "product_type")
    }


def metadata_of(view: JobView, document: ResultDocument) -> ExtractMetadata:
    """`extract_metadata` of contract 2.6."""
    assert document.extraction is not None
    parse: Mapping[str, Any] = (view.config or {}).get(PARSE_PARAMETERS) or {}
    return ExtractMetadata(
        field_metadata=dict(document.extraction.fields),
        parse_job_id=None if view.parse_job_id is None else ids.show(ids.Kind.PARSE_JOB, view.parse_job_id),
        parse_tier=document.job_metadata.get("tier") or parse.get("tier"),
        missing_fields=list(document.extraction.missing_fields),
    )
