"""Limits on a real stack: what a client sees, what an operator is told, and that both are true."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.patience import GIVES_UP_S

FELT_WITHIN_S = 5.0


class Operator:
    """The operator's door to the lane of the default project."""

    def __init__(self, stack: Any) -> None:
        self.http = httpx.Client(
            base_url=f"{stack.base_url}/api/v1/admin",
            headers={"authorization": f"Bearer {stack.key('operator')}"},
            timeout=GIVES_UP_S,
        )
        self._lane = f"/projects/{stack.client.v2_projects.list().items[0].id}/lanes/parse_v2"

    @contextmanager
    def limited(self, **limits: Any) -> Iterator[None]:
        """Limits for the length of the block; afterwards there are none."""
        self.limit(**limits)
        try:
            yield
        finally:
            self.limit()

    def limit(self, **limits: Any) -> None:
        self.http.put(self._lane, json=limits).raise_for_status()

    def explain(self, batch_id: str) -> dict[str, Any]:
        return dict(self.http.get(f"/batches/{batch_id}/explain").raise_for_status().json())


@pytest.fixture
def operator(stack: Any) -> Iterator[Operator]:
    """The operator of the shared stack."""
    made = Operator(stack)
    with made.http:
        yield made


def texts(count: int) -> list[tuple[str, bytes]]:
    return [(f"{i}.txt", b"text %d" % i) for i in range(count)]


def starts_of(stack: Any, batch_id: str) -> list[float]:
    rows = stack.sql(
        "SELECT extract(epoch FROM finished_at) - seconds AS at FROM jobs WHERE batch_id = $1::uuid"
        " AND status = 'COMPLETED' ORDER BY 1",
        batch_id[4:],
    )
    return [float(row["at"]) for row in rows]


def test_a_rate_is_kept_without_a_sweep_in_between(stack: Any, operator: Operator) -> None:
    with operator.limited(jobs_per_minute=240):
        batch_id = stack.open_batch(texts(24))
        assert stack.wait_final(batch_id) == "COMPLETED"
    starts = starts_of(stack, batch_id)
    # Starts are read off the flush, so one may seem a little late; more than the rate allows it never is.
    assert 24 / 240 * 60 * 0.9 <= starts[-1] - starts[0] <= 24 / 240 * 60 * 1.6
    stack.assert_exact(batch_id, 24)


def test_a_throttled_batch_says_why_and_until_when_and_that_is_true(stack: Any, operator: Operator) -> None:
    with operator.limited(jobs_per_minute=10):
        batch_id = stack.open_batch(texts(40))
        stack.wait_for(lambda: stack.client.batches.get(batch_id).status == "THROTTLED")
        told = operator.explain(batch_id)
        assert told["state"] == "THROTTLED"
        assert (told["waiting"]["code"], told["waiting"]["limit"]) == ("PROJECT_RATE", 10)
        shown = stack.client.batches.get(batch_id, expand=["progress"]).progress["waiting"]
        assert shown["code"] == "PROJECT_RATE"
        until = datetime.fromisoformat(told["waiting"]["until"]).timestamp()
        begun = len(starts_of(stack, batch_id))
        stack.wait_for(lambda: len(starts_of(stack, batch_id)) > begun)
        assert abs(starts_of(stack, batch_id)[begun] - until) < 1.0
    lifted = time.monotonic()
    assert stack.wait_final(batch_id) == "COMPLETED"
    assert time.monotonic() - lifted < 20, "40 files at ten a minute would have taken minutes"
    stack.assert_exact(batch_id, 40)


def test_a_hold_stops_everything_and_lets_go(stack: Any, operator: Operator) -> None:
    with operator.limited(hold={"reason": "moving house"}):
        batch_id = stack.open_batch(texts(5))
        stack.wait_for(lambda: stack.client.batches.get(batch_id).status == "THROTTLED")
        told = operator.explain(batch_id)
        assert (told["waiting"]["code"], told["waiting"]["until"]) == ("MAINTENANCE", None)
        assert "moving house" in told["waiting"]["message"]
        assert stack.done_of(batch_id) == 0
    stack.wait_for(lambda: stack.done_of(batch_id) > 0, within_s=FELT_WITHIN_S)
    assert stack.wait_final(batch_id) == "COMPLETED"


def test_a_job_that_comes_alone_obeys_the_limits_of_its_project(stack: Any, operator: Operator) -> None:
    file = stack.client.files.create(file=("a.txt", b"alone"), purpose="parse")
    with operator.limited(hold={"reason": "not now"}):
        job = stack.client.parsing.create(tier="fast", version="latest", file_id=file.id)
        time.sleep(2)
        assert stack.client.parsing.get(job.id).job.status == "PENDING"
    stack.wait_for(lambda: stack.client.parsing.get(job.id).job.status == "COMPLETED", within_s=FELT_WITHIN_S)
