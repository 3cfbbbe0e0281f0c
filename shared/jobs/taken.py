"""What a holder knows of its chunk: the range and its fence, the files to run, the ends to hand in."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

HOOKED: Final = (
    "EXISTS (SELECT 1 FROM webhook_endpoints e"
    " WHERE e.owner_id = coalesce(chunks.job_id, chunks.batch_id) AND e.about = 'JOBS')"
)
"""SQL: whether anybody is told of the jobs of a chunk."""


@dataclass(frozen=True, slots=True)
class TakenChunk:
    """A chunk this process holds: `token` is its fence, and part of the path of every result. `hooked`:
    somebody is told what becomes of its jobs."""

    id: int
    token: UUID
    project_id: UUID
    job_type: str
    queue: str
    batch_id: UUID | None
    lo: int | None
    hi: int | None
    job_id: UUID | None
    size: int
    losses: int
    stop: bool
    hooked: bool = False

    @property
    def place(self) -> dict[str, Any]:
        """The values that name its jobs in a statement: `job`, or `batch`, `lo` and `hi`."""
        if self.job_id is not None:
            return {"job": self.job_id}
        return {"batch": self.batch_id, "lo": self.lo, "hi": self.hi}


@dataclass(frozen=True, slots=True)
class FileToRun:
    """A job of the chunk that has no end yet, and where its file's bytes lie (None: the file is gone).
    `parsed`: what lies there is the result of a parse job, not a document. `source_version`: the bytes lie
    with their owner, and count only as long as they are of this size and version."""

    job_id: UUID
    name: str
    size_bytes: int
    storage_key: str | None
    parsed: bool = False
    source_version: str | None = None


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How one job ended; `status` is COMPLETED, FAILED or CANCELLED. `recipe`: what its result may be found
    again by; None when it shall not be. `sha256` is of the bytes that were read, where they were not known
    before."""

    job_id: UUID
    status: str
    code: str | None
    message: str | None
    retryable: bool | None
    result_key: str | None
    pages: int | None
    seconds: float | None
    engine: str | None
    recipe: bytes | None = None
    sha256: bytes | None = None
