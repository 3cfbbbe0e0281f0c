"""GCRA and the budget of a dispatch, as arithmetic."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.lanes.budget import AHEAD_S, BOUNDLESS, Budget, Terms
from shared.lanes.limits import WaitingCode, hold_code
from shared.lanes.rate import Rate

OPEN = Terms(jobs_per_minute=None, burst=1, max_jobs=None, held_for=None, hold_reason=None, tat_in=0.0)


def terms(**changes: object) -> Terms:
    return Terms(**{**{name: getattr(OPEN, name) for name in OPEN.__slots__}, **changes})


def test_a_rested_lane_starts_its_burst_at_once_and_then_keeps_the_step() -> None:
    rate = Rate(jobs_per_minute=60, burst=3)
    assert [rate.start_in(0.0, nth) for nth in range(5)] == [0.0, 0.0, 0.0, 1.0, 2.0]
    assert rate.within(0.0, 0.0) == 3
    assert rate.within(0.0, 1.0) == 4


@given(
    per_minute=st.integers(1, 6_000),
    burst=st.integers(1, 50),
    looks=st.lists(st.floats(0.01, 5.0), min_size=1, max_size=60),
)
def test_never_more_than_the_rate_and_its_burst_in_any_window(
    per_minute: int, burst: int, looks: list[float]
) -> None:
    """Dispatches at any moments, each granting all it may: the starts obey the rate over every window."""
    now, tat, starts = 0.0, 0.0, []
    for pause in looks:
        now += pause
        budget = Budget(terms(jobs_per_minute=per_minute, burst=burst, tat_in=max(0.0, tat - now)), used=0)
        starts += [now + budget.spend(1) for _ in range(min(budget.room, 200))]
        tat = now + budget.tat_in
    step = 60 / per_minute
    for first in range(0, len(starts), 7):
        for last in range(first + 1, len(starts), 5):
            allowed = burst + (starts[last] - starts[first]) / step
            assert last - first + 1 <= allowed + 1 + 1e-6


def test_rule_23_without_the_time_that_is_kept_a_window_has_more_than_the_rate() -> None:
    starts = []
    for look in range(20):
        forgetful = Budget(terms(jobs_per_minute=60, burst=5, tat_in=0.0), used=0)
        starts += [look + forgetful.spend(1) for _ in range(forgetful.room)]
    assert sum(1 for start in starts if start < 10) > 5 + 10 + 1, "the control: each look grants a burst anew"


def test_a_late_look_within_the_time_granted_ahead_loses_no_job() -> None:
    per_minute = 120
    now, tat, granted = 0.0, 0.0, 0
    for _ in range(60):
        budget = Budget(terms(jobs_per_minute=per_minute, tat_in=max(0.0, tat - now)), used=0)
        while budget.room:
            budget.spend(1)
            granted += 1
        tat = now + budget.tat_in
        now += 1.2
    assert granted == pytest.approx((59 * 1.2 + AHEAD_S) * per_minute / 60, abs=2)


def test_a_chunk_of_several_is_due_when_its_last_job_may_start() -> None:
    budget = Budget(terms(jobs_per_minute=600), used=0)
    assert budget.spend(3) == pytest.approx(0.2)
    assert budget.spend(1) == pytest.approx(0.3)


def test_an_open_lane_is_boundless_and_refuses_nothing() -> None:
    budget = Budget(OPEN, used=10_000)
    assert budget.room == BOUNDLESS
    assert budget.portion(4) == BOUNDLESS
    assert budget.spend(500) == 0.0
    assert budget.refusal(job_seconds=None) is None


def test_concurrency_counts_what_was_granted_before() -> None:
    budget = Budget(terms(max_jobs=10), used=8)
    assert budget.room == 2
    budget.spend(2)
    refusal = budget.refusal(job_seconds=3.0)
    assert refusal is not None
    assert (refusal.code, refusal.limit, refusal.used, refusal.until_in) == (
        WaitingCode.PROJECT_CONCURRENCY,
        10,
        10,
        3.0,
    )


def test_a_rate_counts_nothing_and_says_when_the_next_may_start() -> None:
    refusal = Budget(terms(jobs_per_minute=30, tat_in=4.0), used=9).refusal(job_seconds=None)
    assert refusal is not None
    assert (refusal.code, refusal.limit, refusal.used) == (WaitingCode.PROJECT_RATE, 30, None)
    assert refusal.until_in == pytest.approx(4.0)
    assert "one job every 2 s" in refusal.message


def test_portions_are_small_where_a_limit_must_be_met() -> None:
    assert Budget(terms(jobs_per_minute=60), used=0).portion(2) == 1
    assert Budget(terms(jobs_per_minute=6_000), used=0).portion(2) == 10
    assert Budget(terms(max_jobs=40), used=0).portion(2) == 10
    assert Budget(terms(max_jobs=1), used=0).portion(8) == 1


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("database moves", WaitingCode.MAINTENANCE),
        ("UPSTREAM_RATE", WaitingCode.UPSTREAM_RATE),
        ("UPSTREAM_DOWN: connection refused", WaitingCode.UPSTREAM_DOWN),
    ],
)
def test_a_hold_says_its_code(reason: str, code: WaitingCode) -> None:
    assert hold_code(reason) is code
    refusal = Budget(terms(held_for=math.inf, hold_reason=reason), used=0).refusal(job_seconds=None)
    assert refusal is not None
    assert refusal.code is code
    assert refusal.until_in is None
    assert reason in refusal.message
