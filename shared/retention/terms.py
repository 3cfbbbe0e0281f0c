"""How long a project keeps what: plain values, and the numbers of retention."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

SLICE: Final = 5_000
"""Most rows that one transaction of retention removes or hides."""
SLICE_OF_FILES: Final = 2_500
"""A file goes with its places in directories: as a rule there is one."""
HIDDEN_FOR_S: Final = 3_600.0
"""What was hidden so long ago is in nobody's hands: no request lasts longer, and no download link."""
BLOB_GRACE_S: Final = 120.0
"""Between the end of the last row and that of its blob: longer than any statement that may still read it."""
ORPHAN_AGE_S: Final = 24 * 3_600.0
"""A blob without a row is an orphan when the storage had it for so long: the loser of a fence may be about to
write, and so may an upload that trickles in."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Days for which a project keeps its results, jobs that came alone, batches and files; None: for ever."""

    results_days: int | None = None
    jobs_days: int | None = None
    batches_days: int | None = None
    files_days: int | None = None


@dataclass(frozen=True, slots=True)
class TermsOf:
    """The terms of one project."""

    project_id: UUID
    terms: Terms


def sooner(first: int | None, second: int | None) -> int | None:
    """The smaller of two terms; None is for ever."""
    given = [days for days in (first, second) if days is not None]
    return min(given) if given else None
