"""How large a chunk is, and how many of them may stand ready. Pure: no clock, no rows."""

from math import ceil
from typing import Final

from shared.batches.orchestration import OpenBatch

CHUNK_SECONDS: Final = 1.0
MOST_FILES: Final = 2_048
FIRST_GUESS: Final = 2
CHUNKS_PER_SLOT: Final = 2
FIRST_PER_SLOT: Final = 4
WINDOW_SECONDS: Final = 0.5
MOST_CHUNKS: Final = 64
SMALLEST_PART: Final = 8


def chunk_size(batch: OpenBatch, slots: int) -> int:
    """About one second of work by the running average, and less towards the end: half of a slot's share of
    what is left, but no less than an eighth of a second, so that no slot is left with a long chunk while the
    others have none. A small batch is shared among the slots."""
    left = batch.total - batch.fed_seq
    pace = batch.seconds_per_file
    share = ceil(left / slots)
    if pace is None:
        return max(1, min(FIRST_GUESS, share))
    whole = min(int(CHUNK_SECONDS / max(pace, 1e-6)), MOST_FILES)
    return max(1, min(whole, share, max(ceil(share / 2), whole // SMALLEST_PART)))


def window(pace: float | None, size: int, slots: int) -> int:
    """How many chunks may stand READY: two a slot, or half a second of work when they are very short; four a
    slot of the small ones with which a batch begins."""
    if pace is None:
        return FIRST_PER_SLOT * slots
    by_time = ceil(WINDOW_SECONDS * slots / max(pace * size, 1e-4))
    return max(CHUNKS_PER_SLOT * slots, min(by_time, MOST_CHUNKS))
