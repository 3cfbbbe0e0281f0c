"""The answer to a request for an export, for the pages that have one."""

import hashlib
import time
import zlib
from typing import Final
from uuid import UUID

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.api.dependencies import Door
from services.api.downloads import safe_headers
from services.api.export.choice import Choice, ExportFormat, choose
from services.api.export.delivery import Delivery, Form
from services.api.export.folders import Folders
from services.api.export.known import KnownExports
from services.api.export.lines import Lines
from services.api.export.ranges import BeyondTheEnd, is_known, wanted_range, within
from services.api.export.reading import ExportChanged, Source
from services.api.streamed import Streamed, gathered
from shared import __version__, ids
from shared.batches import service as batch_service
from shared.batches.service import BatchView, Overview
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Conflict, Unavailable
from shared.jobs.lifecycle import JobType
from shared.storage.port import BlobStorage

MEASURED_WITHIN_S: Final = 20.0
"""So long a request for a part waits until it is known how long the whole is; proxies wait for 60 s."""
MEDIA: Final = {ExportFormat.JSONL: "application/x-ndjson", ExportFormat.ZIP: "application/zip"}
PACKED_BY: Final = f"zlib {zlib.ZLIB_RUNTIME_VERSION}"


class ExportQuery(BaseModel):
    """`partial`: also when the batch is not final."""

    format: ExportFormat = ExportFormat.JSONL
    partial: bool = False


async def answer_export(
    request: Request,
    uow: UnitOfWork,
    storage: BlobStorage,
    door: Door,
    *,
    project_id: UUID,
    batch_id: str,
    expand: frozenset[str],
    asked: ExportQuery,
) -> Response:
    """The export of a batch, or the part of it that is asked for. `Conflict` when the batch is not final and
    nobody asked for what there is so far."""
    batch = await batch_service.view_batch(uow, project_id, ids.parse(ids.Kind.BATCH, batch_id))
    final = batch_service.is_final(batch)
    if not final and not asked.partial:
        raise Conflict(
            f"The batch is {batch.status}. Export it when it is final, or ask with partial=true for what"
            " there is so far."
        )
    choice = choose(asked.format, JobType(batch.job_type), expand)
    overview = await batch_service.overview_of(uow, batch.id)
    # No transaction stays open while it is sent (law 2).
    await uow.commit()
    source = Source(door.resources.reading, storage, batch.id, JobType(batch.job_type), overview.files)
    made: Form = Lines(source, choice)
    if asked.format is ExportFormat.ZIP:
        made = Folders(source, choice, batch.created_at)
    called = overview.directory[:80].replace("/", "_").replace("\\", "_")
    name = f"{called}-{ids.show(ids.Kind.BATCH, batch.id)}.{asked.format}"
    headers = {**safe_headers(name), "accept-ranges": "bytes" if final else "none"}
    tag = _tag_of(batch, choice, overview) if final else None
    return await _Answer(request, made, tag, headers, MEDIA[asked.format]).given()


def _tag_of(batch: BatchView, choice: Choice, overview: Overview) -> str:
    """All that decides about the bytes: which rows, what of their results, and what makes bytes of that."""
    told = (str(batch.id), __version__, PACKED_BY, choice, overview)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


class _Answer:
    """To a request for an export: the whole, a part, or neither."""

    def __init__(
        self, request: Request, form: Form, tag: str | None, headers: dict[str, str], media_type: str
    ) -> None:
        kept: KnownExports = request.app.state.exports
        self._request = request
        self._delivery = Delivery(form, kept, tag)
        self._tag = tag
        self._headers = headers
        self._media_type = media_type

    async def given(self) -> Response:
        if self._tag is None:
            return self._streamed(200, 0, None)
        etag = self._headers["etag"] = f'"{self._tag}"'
        if is_known(self._request.headers, etag):
            return Response(status_code=304, headers=self._headers)
        wanted = wanted_range(self._request.headers, etag)
        if wanted is None:
            return self._streamed(200, 0, None)
        length = await self._measured()
        try:
            first, last = within(wanted, length)
        except BeyondTheEnd:
            end = {"content-range": f"bytes */{length}"}
            raise HTTPException(416, f"The export has {length:,} bytes.", end) from None
        self._headers["content-range"] = f"bytes {first}-{last}/{length}"
        self._headers["content-length"] = str(last - first + 1)
        return self._streamed(206, first, last)

    async def _measured(self) -> int:
        until = time.monotonic() + MEASURED_WITHIN_S

        async def enough() -> bool:
            return time.monotonic() > until or await self._request.is_disconnected()

        try:
            known = await self._delivery.measure(enough)
        except ExportChanged:
            raise Unavailable(
                "The batch changed while its export was made. Send the request again."
            ) from None
        if not known:
            raise Unavailable(
                "How long this export is, is not known yet; it is being found out. Send the request again."
            )
        length = self._delivery.length
        assert length is not None
        return length

    def _streamed(self, status: int, first: int, last: int | None) -> Response:
        pieces = gathered(self._delivery.pieces(first, last))
        return Streamed(pieces, status_code=status, headers=self._headers, media_type=self._media_type)
