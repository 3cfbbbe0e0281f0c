"""What a job made of one file: to read, and to keep."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from services.api.batch_contents import CONTENTS, contents_of
from services.api.console.drawing import page
from services.api.console.visitors import Visiting, Visitor, project_name
from services.api.dependencies import Storage, Uow
from services.api.downloads import safe_headers
from shared import ids
from shared.batches import service as batch_service
from shared.batches.service import BatchResult
from shared.db.unit_of_work import UnitOfWork
from shared.errors import NotFound
from shared.storage.port import BlobStorage

router = APIRouter(prefix="/batches/{batch_id}/files/{seq}")
MOST_SHOWN: Final = 100_000
"""Characters of a result that a page shows; the rest is to be downloaded."""
LARGEST: Final = 2**31 - 1

Seq = Annotated[int, Path(ge=1, le=LARGEST)]
PartName = Annotated[str | None, Query(max_length=20)]


@dataclass(frozen=True, slots=True)
class Part:
    """A way to read a result: its name, and the ending of it as a file."""

    name: str
    suffix: str
    key: str


PARTS: Final = (
    Part("values", "json", "extract_result"),
    Part("markdown", "md", "markdown_full"),
    Part("text", "txt", "text_full"),
)


@router.get("")
async def show(
    *,
    request: Request,
    uow: Uow,
    who: Visiting,
    storage: Storage,
    batch_id: str,
    seq: Seq,
    part: PartName = None,
) -> Response:
    """The file, what became of it, and the beginning of its result."""
    batch, row = await _row(uow, who, batch_id, seq)
    project = await project_name(uow, who)
    texts = await _texts(uow, storage, row)
    chosen = next((one for one in texts if one.name == part), next(iter(texts), None))
    text = "" if chosen is None else texts[chosen]
    return page(
        request,
        "file.html",
        project=project,
        batch_id=ids.show(ids.Kind.BATCH, batch),
        file=row,
        parts=list(texts),
        chosen=chosen,
        text=text[:MOST_SHOWN],
        characters=len(text),
        cut=len(text) > MOST_SHOWN,
    )


@router.get("/download")
async def download(
    uow: Uow, who: Visiting, storage: Storage, batch_id: str, seq: Seq, part: PartName = None
) -> Response:
    """The result as a file."""
    _batch, row = await _row(uow, who, batch_id, seq)
    texts = await _texts(uow, storage, row)
    for one, text in texts.items():
        if part in (one.name, None):
            headers = safe_headers(f"{row.name}.{one.suffix}")
            # A surrogate has no bytes.
            raw = text.encode("utf-8", "replace")
            return Response(raw, media_type="text/plain; charset=utf-8", headers=headers)
    raise NotFound("This file has no such result.")


async def _row(uow: UnitOfWork, who: Visitor, batch_id: str, seq: int) -> tuple[UUID, BatchResult]:
    batch = await batch_service.view_batch(uow, who.project_id, ids.parse(ids.Kind.BATCH, batch_id))
    rows = await batch_service.results_page(uow, batch, after_seq=seq - 1, size=1)
    if not rows or rows[0].seq != seq:
        raise NotFound(f"The batch has no file number {seq}.")
    return batch.id, rows[0]


async def _texts(uow: UnitOfWork, storage: BlobStorage, row: BatchResult) -> dict[Part, str]:
    """What there is to read, the most telling first."""
    if row.result_key is None:
        return {}
    # No transaction stays open while the storage is read (law 2).
    await uow.commit()
    (found,) = await contents_of(storage, [row], frozenset(CONTENTS))
    return {part: _as_text(found[part.key]) for part in PARTS if found.get(part.key) is not None}


def _as_text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)
