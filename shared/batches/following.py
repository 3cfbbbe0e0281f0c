"""What a listener reads of a batch: how it stands, and each event after the last one it knows.

The numbers of a batch's events have no gap and become visible in their order (protocol rule 29), so what is
read after `n` begins at `n + 1`, or that one was removed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from shared.db.reader import Reader
from shared.errors import NotFound
from shared.ids import Kind, show

FINAL: Final = frozenset({"batch.completed", "batch.failed", "batch.cancelled"})
"""After one of these a batch has no event any more."""
AT_ONCE: Final = 200


class Event(NamedTuple):
    """One event. `data` has the sums of the batch under the names of its columns, its state and its rate, and
    what was told besides."""

    batch_id: UUID
    n: int
    kind: str
    at: datetime
    data: dict[str, Any]


class Place(NamedTuple):
    """The last event of a batch is `event_no`; `status` and `stop_as` are of that moment."""

    event_no: int
    status: str
    stop_as: str | None


async def place_of(reader: Reader, project_id: UUID, batch_id: UUID) -> Place:
    """How far the batch of this project is told. `NotFound`; `NotNow`."""
    found = await reader.fetch(
        "SELECT event_no, status, stop_as FROM batches"
        " WHERE id = $1 AND project_id = $2 AND deleted_at IS NULL",
        batch_id,
        project_id,
    )
    if not found:
        raise NotFound(f"No batch has the id {show(Kind.BATCH, batch_id)}.")
    return Place(*found[0])


async def since(reader: Reader, batch_id: UUID, after: int) -> list[Event]:
    """All events of a batch after this one, as many as are kept. Raises `NotNow`."""
    found = await reader.fetch(
        "SELECT batch_id, n, kind, at, data FROM batch_events WHERE batch_id = $1 AND n > $2 ORDER BY n",
        batch_id,
        after,
    )
    return [Event._make(row) for row in found]


async def news(reader: Reader, places: Mapping[UUID, int]) -> Sequence[Event]:
    """The next events of many batches, at most `AT_ONCE` of each, each batch's in their order. One statement,
    which costs one look into an index for each batch without news. Raises `NotNow`."""
    found = await reader.fetch(
        "SELECT e.batch_id, e.n, e.kind, e.at, e.data FROM unnest($1::uuid[], $2::int[]) AS w(id, n)"
        " CROSS JOIN LATERAL (SELECT * FROM batch_events WHERE batch_id = w.id AND n > w.n"
        "  ORDER BY n LIMIT $3) e ORDER BY e.batch_id, e.n",
        list(places),
        list(places.values()),
        AT_ONCE,
    )
    return [Event._make(row) for row in found]
