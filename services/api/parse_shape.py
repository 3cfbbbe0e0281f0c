"""A parse job and its result on the wire (contract 2.5), and how the OpenAPI document describes them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel

from services.api.item_shape import AnyItem, Form, Revision
from services.api.shown_as import Described, ShownAs
from shared import ids
from shared.jobs.service import JobView


class ParseStatus(StrEnum):
    """The states a parse job shows."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Usage(BaseModel):
    """What a job cost. Nothing is charged here, so it is never given."""

    credits: float | None = None


class ParseJobOut(BaseModel):
    """A parse job on the wire."""

    id: str
    project_id: str
    status: ParseStatus
    created_at: datetime
    updated_at: datetime
    error_message: str | None
    name: str | None
    tier: str | None
    user_metadata: dict[str, str] | None
    usage: Usage | None = None
    # Not of the contract: the code alone, for programs.
    error_code: str | None = None


class TextPage(Described):
    """The text of a page."""

    page_number: int
    text: str


class TextResult(Described):
    """`expand=text`."""

    pages: list[TextPage]


class FailedPage(Described):
    """A page that could not be read."""

    page_number: int
    error: str
    success: Literal[False]


class LineNumber(Described):
    """Where a line of the source stands in the markdown."""

    line_number: int
    start_index: int
    end_index: int


class MarkdownPage(Described):
    """The markdown of a page."""

    page_number: int
    markdown: str
    header: str | None = None
    footer: str | None = None
    line_numbers: list[LineNumber] | None = None
    success: Literal[True]


class MarkdownResult(Described):
    """`expand=markdown`."""

    pages: list[MarkdownPage | FailedPage]


class ItemPage(Described):
    """The items of a page; a page that knows no size is 0 wide and high."""

    page_number: int
    items: list[AnyItem]
    page_width: float
    page_height: float
    revisions: list[Revision] | None = None
    success: Literal[True]


class ItemResult(Described):
    """`expand=items`."""

    pages: list[ItemPage | FailedPage]


class MetadataPage(Described):
    """What is known of a page. Its size in points and whether OCR ran are not of the contract."""

    page_number: int
    confidence: float | None = None
    speaker_notes: str | None = None
    slide_section_name: str | None = None
    printed_page_number: str | None = None
    original_orientation_angle: int | None = None
    cost_optimized: bool | None = None
    triggered_auto_mode: bool | None = None
    watermark: str | None = None
    page_width: float | None = None
    page_height: float | None = None
    ocr: bool | None = None


class ConfidenceBreakdown(Described):
    """How the confidence of a document was made."""

    min_page_score: float | None = None
    scored_pages: int | None = None
    total_pages: int | None = None


class DocumentMetadata(Described):
    """What is known of the document."""

    confidence: float | None = None
    confidence_breakdown: ConfidenceBreakdown | None = None


class MetadataResult(Described):
    """`expand=metadata`."""

    pages: list[MetadataPage]
    document: DocumentMetadata | None = None


class FormsPage(Described):
    """The forms of a page."""

    page_number: int
    page_width: float | None = None
    page_height: float | None = None
    detected_form_types: list[str] | None = None
    forms: list[Form]
    success: Literal[True]


class FormsResult(Described):
    """`expand=forms`; no engine here makes them yet."""

    pages: list[FormsPage | FailedPage]


class ContentOut(BaseModel):
    """A part of a result as a file of its own: its bytes, and a signed link to them."""

    size_bytes: int
    exists: bool = True
    presigned_url: str | None = None


class ImageBox(Described):
    """Where a picture stands, in points."""

    x: int
    y: int
    w: int
    h: int


class ImageOut(Described):
    """A picture of a document."""

    index: int
    filename: str
    content_type: str | None = None
    size_bytes: int | None = None
    presigned_url: str | None = None
    category: Literal["screenshot", "embedded", "layout"] | None = None
    bbox: ImageBox | None = None


class ImagesOut(Described):
    """`expand=images_content_metadata`; no engine here saves pictures."""

    total_count: int
    images: list[ImageOut]


class ParseResultOut(BaseModel):
    """A job and what was asked to be expanded; the rest is null, and all of it until the job is COMPLETED."""

    job: ParseJobOut
    text: Annotated[dict[str, Any], ShownAs(TextResult)] | None = None
    markdown: Annotated[dict[str, Any], ShownAs(MarkdownResult)] | None = None
    items: Annotated[dict[str, Any], ShownAs(ItemResult)] | None = None
    metadata: Annotated[dict[str, Any], ShownAs(MetadataResult)] | None = None
    forms: Annotated[dict[str, Any], ShownAs(FormsResult)] | None = None
    text_full: str | None = None
    markdown_full: str | None = None
    job_metadata: dict[str, Any] | None = None
    result_content_metadata: dict[str, ContentOut] | None = None
    images_content_metadata: Annotated[dict[str, Any], ShownAs(ImagesOut)] | None = None
    raw_parameters: dict[str, Any] | None = None


class LatestVersions(BaseModel):
    """What `latest` means, by tier."""

    fast: str
    cost_effective: str
    agentic: str
    agentic_plus: str


class ParseVersionsOut(BaseModel):
    """The versions of each tier."""

    fast: list[str]
    cost_effective: list[str]
    agentic: list[str]
    agentic_plus: list[str]
    latest: LatestVersions


class DeletedOut(BaseModel):
    """What was deleted."""

    id: str
    project_id: str


def show(view: JobView) -> ParseJobOut:
    """The job as the contract has it: the failure code stands before its message."""
    config = view.config or {}
    message = view.error_message
    if view.error_code is not None:
        message = f"{view.error_code}: {message}" if message else view.error_code
    return ParseJobOut(
        id=ids.show(ids.Kind.PARSE_JOB, view.id),
        project_id=ids.show(ids.Kind.PROJECT, view.project_id),
        status=ParseStatus(view.status),
        created_at=view.created_at,
        updated_at=view.updated_at,
        error_message=message,
        name=view.name,
        tier=config.get("tier"),
        user_metadata=config.get("user_metadata"),
        error_code=view.error_code,
    )
