"""What happens to a batch, as it happens: Server-Sent Events (an extension of the contract)."""

import asyncio
import random
import time
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.api.batch_shape import BASE, show_progress
from services.api.dependencies import ProjectId, TheCaller, Uow, door
from services.api.event_hub import LEAVE, LEAVING, Behind, Hub, Listener
from services.api.event_shape import (
    HEARTBEAT,
    MEDIA_TYPE,
    RESET,
    RETRY,
    STATE,
    EventOut,
    Told,
    frame,
    of_state,
    told,
)
from shared import ids
from shared.batches import explain as batch_explain
from shared.batches import following
from shared.batches import service as batch_service
from shared.batches.following import Place
from shared.batches.lifecycle import BATCH_MOVES, BatchStatus
from shared.db.reader import NotNow
from shared.db.unit_of_work import UnitOfWork
from shared.errors import Unavailable

router = APIRouter(tags=["batches"])

HEARTBEAT_S: Final = 15.0
LIVES_S: Final = 900.0
"""A stream ends after so long, so that a key that was revoked does not listen on; the client comes again."""
AGAIN_S: Final = 1.0
HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events, until the batch is final. `data` is one `EventOut` in JSON.",
        "content": {
            MEDIA_TYPE: {
                # Of one event; the stream has many.
                "schema": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "pattern": "^[0-9]+$"},
                        "event": {"type": "string"},
                        "data": {"type": "string", "contentMediaType": "application/json"},
                    },
                    "required": ["id", "event", "data"],
                },
                "examples": {
                    "progress": {
                        "summary": "Two events, and a sign of life between them",
                        "value": (
                            "id: 3\nevent: batch.progress\n"
                            'data: {"status":"RUNNING","total":400,"open":280,"completed":118,"failed":2}\n\n'
                            ": still here\n\n"
                            "id: 4\nevent: batch.completed\n"
                            'data: {"status":"COMPLETED","total":400,"open":0,"completed":397,"failed":3}\n\n'
                        ),
                    }
                },
            }
        },
    },
    204: {"description": "The batch is final and its last event was the one named: nothing will follow."},
}


class EventStream(Response):
    """Sends `opening`, and then what the hub brings, until the batch is final, the client goes or the process
    ends. It joins the hub when it is sent: an answer that never is leaves nothing behind. Without a hub it
    ends after the opening."""

    media_type = MEDIA_TYPE

    def __init__(self, opening: bytes, hub: Hub | None, batch_id: UUID, key_id: UUID, place: int) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(HEADERS)
        self._opening = opening
        self._hub = hub
        self._where = (batch_id, key_id, place)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The whole stream."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if self._opening:
            await send({"type": "http.response.body", "body": self._opening, "more_body": True})
        if self._hub is not None:
            listener = self._hub.join(*self._where)
            # The server says so when it is about to end; it may have done it before this line.
            scope[LEAVE] = listener.leave
            if scope.get(LEAVING):
                listener.leave()
            gone = asyncio.create_task(_until_gone(receive, listener))
            try:
                await _follow(listener, send)
            finally:
                gone.cancel()
                listener.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive, listener: Listener) -> None:
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except HTTPException:
        # A body was announced and does not come: such a client is not served any longer.
        return
    finally:
        listener.leave()


async def _follow(listener: Listener, send: Send) -> None:
    end = time.monotonic() + LIVES_S * random.uniform(0.9, 1.0)  # noqa: S311 - spreads load, guards nothing
    while not listener.is_leaving() and (left := end - time.monotonic()) > 0:
        try:
            events = await listener.next(min(HEARTBEAT_S, left))
        except Behind:
            # The client comes again with the last id it has, and is told that there was more.
            return
        except NotNow:
            await asyncio.sleep(AGAIN_S)
            continue
        if listener.is_leaving():
            return
        body = b"".join(event.wire for event in events) or HEARTBEAT
        await send({"type": "http.response.body", "body": body, "more_body": True})
        if events and events[-1].final:
            return


async def known_event(
    last_event_id: Annotated[int | None, Header(ge=0, description="The last id that was received.")] = None,
    after: Annotated[
        int | None,
        Query(alias="last_event_id", ge=0, description="The same, for who can set no header."),
    ] = None,
) -> int | None:
    """The number of the last event that the caller has; the header counts, if both are there."""
    return after if last_event_id is None else last_event_id


@router.get(BASE + "/{batch_id}/events", status_code=200, response_class=EventStream, responses=ANSWERS)
async def follow(
    *,
    request: Request,
    uow: Uow,
    who: TheCaller,
    project_id: ProjectId,
    batch_id: str,
    known: Annotated[int | None, Depends(known_event)],
    wait: Annotated[bool, Query(description="false: answer what there is now, and end.")] = True,
) -> Response:
    """What happens to a batch, as it happens, in Server-Sent Events.

    The events of a batch are numbered 1, 2, 3 without a gap; the number is the `id`. The first event is
    `state`, how the batch stands now. With the last id that was received what came after it follows, without
    gap or repeat; if that is not kept any more, or the id is none that was given, the first event is `reset`,
    the same as `state`. After the event of its end the stream ends; then asking again with its id is 204.
    """
    hub: Hub = request.app.state.hub
    bare = ids.parse(ids.Kind.BATCH, batch_id)
    try:
        place = await following.place_of(door(request).resources.reader, project_id, bare)
        missed = await _missed(request, bare, known, place)
    except NotNow:
        raise Unavailable("The database cannot be reached now. Follow again in a moment.") from None
    ended = BATCH_MOVES.is_final(BatchStatus(place.status))
    if ended and known == place.event_no:
        return Response(status_code=204, headers=HEADERS)
    reached, opening = place.event_no, b""
    if missed is None:
        kind = STATE if known is None else RESET
        opening = frame(reached, kind, await _state(uow, bare, project_id, place))
    elif missed:
        reached, ended, opening = missed[-1].n, missed[-1].final, b"".join(one.wire for one in missed)
    if wait and not ended:
        hub.check_room(who.key_id)
    listened = hub if wait and not ended else None
    return EventStream(RETRY + opening, listened, bare, who.key_id, reached)


async def _missed(request: Request, batch_id: UUID, known: int | None, place: Place) -> list[Told] | None:
    """What came after the event that is known; None when the client has to begin anew."""
    if known is None or known > place.event_no:
        return None
    if known == place.event_no:
        return []
    found = await following.since(door(request).resources.reader, batch_id, known)
    if not found or found[0].n != known + 1:
        return None
    return [told(event) for event in found]


async def _state(uow: UnitOfWork, batch_id: UUID, project_id: UUID, place: Place) -> EventOut:
    batch = await batch_service.view_batch(uow, project_id, batch_id)
    progress = show_progress(
        await batch_service.progress_of(uow, batch), await batch_explain.waiting_of(uow, batch)
    )
    return of_state(batch, progress, place)
