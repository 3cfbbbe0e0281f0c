"""The states of a job, and of the chunk that lets it run."""

from enum import StrEnum

from shared import ids
from shared.state_machine import StateMachine


class JobType(StrEnum):
    """The product that runs over each file."""

    PARSE = "parse_v2"
    EXTRACT = "extract_v2"

    @property
    def queue(self) -> str:
        """The work queue that serves this type."""
        return self.value.removesuffix("_v2")

    @property
    def id_kind(self) -> ids.Kind:
        """The kind of public id its jobs have."""
        return ids.Kind.PARSE_JOB if self is JobType.PARSE else ids.Kind.EXTRACT_JOB


class JobStatus(StrEnum):
    """RUNNING is not stored: it is PENDING while the job's chunk is TAKEN.

    PENDING    spread or a request enters it, a worker's flush or a drain leaves it
    COMPLETED  a flush enters it; final
    FAILED     a flush, or the sweep of a third loss, enters it; final, but for an operator's retry
    CANCELLED  a drain or a cancel enters it; final, but for an operator's retry
    UNMAPPED   spread enters it for a file that got no job; its id is never shown; final
    """

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    UNMAPPED = "UNMAPPED"


class ChunkState(StrEnum):
    """WAITING: a job that came alone into a limited lane enters, a recall when limits change, or a release
    for later in a limited lane; a grant leaves. READY: a grant or a release enters, a take leaves. TAKEN: a
    take enters, a close, a release or the sweep of its lease leaves. DONE: a close enters, the fold of its
    batch deletes it."""

    WAITING = "WAITING"
    READY = "READY"
    TAKEN = "TAKEN"
    DONE = "DONE"


# The two ways back are those of a job that came alone (decision 17); what a batch counted stays as it was.
JOB_MOVES = StateMachine[JobStatus](
    {
        JobStatus.PENDING: frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}),
        JobStatus.COMPLETED: frozenset(),
        JobStatus.FAILED: frozenset({JobStatus.PENDING}),
        JobStatus.CANCELLED: frozenset({JobStatus.PENDING}),
        JobStatus.UNMAPPED: frozenset(),
    }
)
