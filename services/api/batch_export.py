"""A batch as one download: an extension of the contract."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.api.batch_shape import BASE
from services.api.dependencies import Expand, ProjectId, Storage, TheDoor, Uow
from services.api.export.answering import MEDIA, ExportQuery, answer_export
from services.api.openapi import PROBLEM

router = APIRouter(tags=["batches"])

CONTENT: Final[dict[str, Any]] = {media: {} for media in MEDIA.values()}
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The whole export.", "content": CONTENT},
    206: {"description": "The range of it that was asked for.", "content": CONTENT},
    304: {"description": "It is what `If-None-Match` names."},
    416: {
        "description": "The range begins beyond the end; `Content-Range` says where that is.",
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{PROBLEM}"}}},
    },
}


@router.get(BASE + "/{batch_id}/export", response_class=StreamingResponse, responses=ANSWERS)
async def export(
    *,
    request: Request,
    uow: Uow,
    door: TheDoor,
    project_id: ProjectId,
    storage: Storage,
    expand: Expand,
    batch_id: str,
    asked: Annotated[ExportQuery, Query()],
) -> Response:
    """Download every file of a batch, in the order of the directory: as lines of JSON, or as a zip with a
    file for each result, in folders as at the source, and `results.jsonl`.

    `expand` (`text_full`, `markdown_full`, `extract_result`) says what of each result; left out it is what
    the job makes. Of a final batch the bytes are the same each time: `ETag`, `Range` and `If-Range` work. A
    batch that is not final is 409, unless `partial=true` asks for what there is so far, which cannot be
    resumed.
    """
    return await answer_export(
        request,
        uow,
        storage,
        door,
        project_id=project_id,
        batch_id=batch_id,
        expand=expand,
        asked=asked,
    )
