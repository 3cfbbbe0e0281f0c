"""The states of a batch and the one table of its moves. Nothing else decides; final is final."""

from enum import StrEnum

from shared.state_machine import StateMachine


class BatchStatus(StrEnum):
    """PENDING    a create enters it, the first advance leaves it
    RUNNING    the first advance, a grant or a resume enters it
    THROTTLED  a refusal of its lane, or a pause, enters it; a grant or the resume leaves it
    COMPLETED  settle enters it when every file is mapped and every job final
    FAILED     settle enters it when no trustworthy set of results can be given, or when so many files
               failed that the batch was stopped
    CANCELLED  settle enters it when a cancel was asked and nothing of the batch runs any more
    """

    PENDING = "PENDING"
    THROTTLED = "THROTTLED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


_END = frozenset({BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED})

BATCH_MOVES = StateMachine[BatchStatus](
    {
        BatchStatus.PENDING: frozenset({BatchStatus.RUNNING}) | _END,
        BatchStatus.RUNNING: frozenset({BatchStatus.THROTTLED}) | _END,
        BatchStatus.THROTTLED: frozenset({BatchStatus.RUNNING}) | _END,
        BatchStatus.COMPLETED: frozenset(),
        BatchStatus.FAILED: frozenset(),
        BatchStatus.CANCELLED: frozenset(),
    }
)
