"""What `expand=progress` makes of the counts."""

from dataclasses import replace
from typing import Any

import pytest

from services.api.batch_shape import show_progress
from shared.batches.service import Progress

HALF = Progress(
    total=100,
    unmapped=0,
    pending=40,
    running=10,
    completed=15,
    failed=5,
    cancelled=30,
    reused=0,
    seconds=10.0,
)


def test_files_that_were_reused_are_no_work() -> None:
    shown = show_progress(replace(HALF, completed=45, cancelled=0, reused=30), None)
    assert (shown.files_per_second, shown.reused, shown.completed) == (2.0, 30, 45)


def test_files_that_were_cancelled_are_no_work() -> None:
    assert show_progress(HALF, None).files_per_second == 2.0


@pytest.mark.parametrize(
    ("waiting", "eta"),
    [
        (None, 25.0),
        ({"code": "WINDOW_FULL"}, 25.0),
        ({"code": "PROJECT_CONCURRENCY", "limit": 4}, 25.0),
        ({"code": "PROJECT_RATE", "limit": 60}, 50.0),
        ({"code": "PROJECT_RATE", "limit": None}, 25.0),
        ({"code": "BATCH_CONCURRENCY", "limit": 1}, None),
        ({"code": "MAINTENANCE"}, None),
        ({"code": "UPSTREAM_DOWN"}, None),
        ({"code": "NO_WORKER"}, None),
        ({"code": "DIRECTORY_READING"}, None),
    ],
)
def test_the_end_is_told_only_where_somebody_can_tell(
    waiting: dict[str, Any] | None, eta: float | None
) -> None:
    assert show_progress(HALF, waiting).eta_seconds == eta
