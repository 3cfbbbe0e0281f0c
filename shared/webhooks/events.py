"""The names of events (contract 2.7): those that are sent here, and those that may only be subscribed to."""

from typing import Final

BATCH_EVENT: Final = {
    "PENDING": "batch.pending",
    "RUNNING": "batch.running",
    "COMPLETED": "batch.success",
    "FAILED": "batch.error",
    "CANCELLED": "batch.cancelled",
}
"""The event of each state of a batch; THROTTLED has none."""
JOB_ENDING: Final = {
    "PENDING": "pending",
    "RUNNING": "running",
    "COMPLETED": "success",
    "FAILED": "error",
    "CANCELLED": "cancelled",
}
"""The second half of the event of each state of a job; the first is `parse` or `extract`."""

_STATES: Final = {
    "batch": ("pending", "running", "success", "error", "cancelled"),
    "parse": ("pending", "running", "success", "error", "partial_success", "cancelled"),
    "extract": ("pending", "success", "error", "partial_success", "cancelled"),
    "classify": ("pending", "running", "success", "error", "partial_success", "cancelled"),
    "sheets": ("pending", "success", "error", "partial_success", "cancelled"),
    "split": ("pending", "processing", "success", "error", "cancelled"),
    "verify": ("pending", "running", "success", "error", "cancelled"),
}
EVENTS: Final = frozenset(
    {f"{product}.{state}" for product, states in _STATES.items() for state in states} | {"unmapped_event"}
)
"""All that the contract knows. This server sends those of batches, and of parse and extract jobs but for
`partial_success`."""
