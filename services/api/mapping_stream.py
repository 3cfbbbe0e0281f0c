"""A batch with what became of each of its files: `expand=results` of batches of any size, in bounded memory.

A batch of one page is an answer like others. A larger one is sent while it is read, page by page: each page
is a short read of its own, so that no row, no transaction and no connection waits for a slow client. A file
has one job for ever and a final batch gets no more files, so pages read at different moments are of one list.
When files are missing from it, because the batch is being removed meanwhile, the connection is cut before the
answer is whole.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

from services.api.batch_shape import BatchOut, show_result
from services.api.streamed import Streamed
from shared import ids
from shared.batches import service as batch_service
from shared.batches.service import BatchView, MappedFile
from shared.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from shared.jobs.lifecycle import JobType

PAGE: Final = 2_000
RESULTS: Final = "results"


class FilesGone(Exception):
    """The batch has fewer files than it had when the answer began."""


async def with_results(
    reading: UnitOfWorkFactory, uow: UnitOfWork, batch: BatchView, answer: BatchOut
) -> BatchOut | Streamed:
    """The answer with its results: whole, or as a stream when there is more than one page of them."""
    first = await batch_service.mapped_page(uow, batch, after_seq=0, size=PAGE)
    if batch.total <= PAGE:
        kind = JobType(batch.job_type)
        answer.results = [show_result(one, kind) for one in first]
        return answer
    return Streamed(_pieces(reading, batch, answer, first), media_type="application/json")


async def _pieces(
    reading: UnitOfWorkFactory, batch: BatchView, answer: BatchOut, page: Sequence[MappedFile]
) -> AsyncGenerator[bytes]:
    before, after = _around_results(answer)
    kind = JobType(batch.job_type)
    yield before
    sent = 0
    while page:
        yield (b"," if sent else b"") + ",".join(_item(one, kind) for one in page).encode()
        sent += len(page)
        if sent >= batch.total:
            break
        async with reading() as uow:
            page = await batch_service.mapped_page(uow, batch, after_seq=page[-1].seq, size=PAGE)
    if sent != batch.total:
        raise FilesGone(f"{sent} of {batch.total} files of the batch {batch.id} are there")
    yield after


def _around_results(answer: BatchOut) -> tuple[bytes, bytes]:
    """The JSON of the answer up to the first of its results, and from behind the last one on."""
    fields: dict[str, Any] = answer.model_dump(mode="json")
    before = {name: value for name, value in fields.items() if name != RESULTS}
    return (_dump(before)[:-1] + f',"{RESULTS}":[').encode(), b"]}"


def _item(one: MappedFile, kind: JobType) -> str:
    """`ResultOut` as JSON; a model for each of a million files takes ten times as long."""
    job = "null"
    if one.job_id is not None:
        job = f'{{"type":"{kind}","id":"{ids.show(kind.id_kind, one.job_id)}"}}'
    error = "null" if one.job_id is not None else _dump(one.error_message)
    entry = ids.show(ids.Kind.DIRECTORY_FILE, one.directory_file_id)
    return f'{{"source_directory_file_id":"{entry}","job_reference":{job},"error_message":{error}}}'


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
