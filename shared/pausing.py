"""Named points in the protocol's code at which a test may stop, or end, whoever comes by.

In production nobody listens: one global is None, there is no setting, and a point costs one comparison.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

Listener = Callable[["Point"], Awaitable[None]]


class Point(StrEnum):
    """Where a process may stand still, or die, and leave the protocol as it is there."""

    TAKEN = "a chunk was taken, nothing of it ran"
    BEFORE_FLUSH = "files ended, nothing of that is written"
    CHUNK_HELD = "the holder has locked its chunk and written nothing"
    FLUSHED = "the ends are written, the chunk is not closed"
    COMMITTED = "the rows are committed, no bell is rung"
    SPREAD_LOCKED = "the batch is locked, no page is read"
    SPREAD_PAGE = "a page of jobs is written and not committed"
    FOLDED = "the counts are folded, the batch is not settled"
    LANE_COUNTED = "the lane is locked and counted, nothing is granted"
    GRANTED = "chunks are granted, the lane is not charged"
    LOST_HELD = "the sweeper has locked what was lost and taken nothing back"
    SPLIT_READ = "the sweeper knows what a lost chunk left open and has not split it"
    SWEEP_ASKED = "the sweeper knows how long it was away and has taken nothing"
    PAUSE_HELD = "the batch is locked and paused, its chunks are not held back"
    DRAIN_DROPPED = "what nobody held is cancelled, what was never granted is not"
    RESULT_MADE = "the document was read, its result is not stored"
    BLOB_STORED = "the result is stored, no row names it"
    ANSWER_KEPT = "a request did its work and kept its answer, nothing of it is committed"
    SLICE_REMOVED = "retention has removed a slice and not committed it"
    BLOBS_TAKEN = "doomed blobs are taken, none is removed"
    WEBHOOKS_TAKEN = "deliveries are taken, nothing is sent"
    WEBHOOK_SENT = "a receiver has answered, nothing of that is written"
    BLOBS_REMOVED = "doomed blobs are removed, their rows are still there"


_listener: Listener | None = None


async def reach(point: Point) -> None:
    """Say that the caller stands at the point. What the listener raises ends the caller there."""
    if _listener is not None:
        await _listener(point)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let `listener` hear of every point in this process; one at a time, else `RuntimeError`."""
    global _listener  # noqa: PLW0603 - the one switch there is, and only tests turn it
    if _listener is not None:
        raise RuntimeError("somebody listens already")
    _listener = listener
    try:
        yield
    finally:
        _listener = None
