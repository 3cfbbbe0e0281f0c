"""What became of each file of a batch, at any time: an extension of the contract, in pages."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from services.api.batch_contents import CONTENTS, Contents, contents_of
from services.api.dependencies import Expand, ProjectId, ProjectPage, Storage, Uow, known_ids
from services.api.paging import PageOf
from services.api.result_shape import FileOut, show_file
from shared import ids
from shared.batches import service as batch_service
from shared.db.repository import Page
from shared.jobs.lifecycle import JobType

router = APIRouter(tags=["batches"])


@router.get("/api/v2/batches/{batch_id}/results")
async def list_results(
    *,
    uow: Uow,
    project_id: ProjectId,
    page: ProjectPage,
    storage: Storage,
    expand: Expand,
    batch_id: Annotated[str, Path()],
    job_ids: Annotated[list[str] | None, Query(description="Only the files of these jobs.")] = None,
) -> PageOf[FileOut]:
    """A page of the batch's files in the order of the directory, whatever the batch's state.

    With `expand` (`text_full`, `markdown_full`, `extract_result`) it brings what the jobs gave, and may be
    shorter than asked for: it ends after some megabytes.
    """
    batch = await batch_service.get_batch(uow, project_id, ids.parse(ids.Kind.BATCH, batch_id))
    kind = JobType(batch.job_type)
    narrowed = known_ids(kind.id_kind, job_ids)
    # The position in the list is the file's number; a page token carries it in the room of an id.
    after = 0 if page.after is None else page.after.int
    rows = list(
        await batch_service.results_page(uow, batch, after_seq=after, size=page.size + 1, job_ids=narrowed)
    )
    total = batch.total if page.count and narrowed is None else None
    shown = rows[: page.size]
    contents: list[Contents] = []
    if shown and (wanted := expand & CONTENTS.keys()):
        # No transaction stays open while the storage is read (law 2).
        await uow.commit()
        contents = await contents_of(storage, shown, wanted)
        shown = shown[: len(contents)]
    more = len(rows) > len(shown)
    answer = page.answer(
        Page(shown, UUID(int=shown[-1].seq) if more else None, total), lambda row: show_file(row, kind)
    )
    for out, found in zip(answer.items, contents, strict=False):
        for name, content in found.items():
            setattr(out, name, content)
    return answer
