"""Pause, threshold and redrive on a real stack, with real workers."""

from typing import Any

from tests.flows.test_limits import Operator, texts

BASE = "/api/v2/batches"


def ask(stack: Any, batch_id: str, word: str, **body: Any) -> Any:
    return stack.client.post(f"{BASE}/{batch_id}/{word}", cast_to=dict[str, Any], body=body or None)


def test_a_paused_batch_stands_still_and_goes_on(stack: Any) -> None:
    operator = Operator(stack)
    # At a pace that leaves time to pause it while most of it is still to come.
    with operator.http, operator.limited(jobs_per_minute=600):
        batch_id = stack.open_batch(texts(100))
        stack.wait_for(lambda: stack.done_of(batch_id) > 3)
        ask(stack, batch_id, "pause")
        stack.wait_for(lambda: stack.client.batches.get(batch_id).status == "THROTTLED")
        done = stack.done_of(batch_id)
        assert done < 100
        assert operator.explain(batch_id)["waiting"]["code"] == "PAUSED"
        other = stack.open_batch(texts(20))
        assert stack.wait_final(other) == "COMPLETED"
        assert stack.done_of(batch_id) == done, "others go on, it does not"
        ask(stack, batch_id, "resume")
    assert stack.wait_final(batch_id) == "COMPLETED"
    stack.assert_exact(batch_id, 100)


def test_a_hopeless_batch_stops_and_its_failed_files_run_again(stack: Any) -> None:
    broken = [(f"{n}.pdf", b"%PDF-1.7 broken") for n in range(60)]
    batch_id = stack.open_batch(broken, failure_threshold={"count": 10})
    assert stack.wait_final(batch_id) == "FAILED"
    batch = stack.client.batches.get(batch_id, expand=["results", "progress"])
    assert batch.failure_code == "FAILURE_THRESHOLD"
    assert batch.progress["failed"] >= 10
    again = ask(stack, batch_id, "redrive")
    assert again["redrive_of"] == batch_id
    assert stack.wait_final(again["id"]) == "COMPLETED"
    done = stack.client.batches.get(again["id"], expand=["progress"]).progress
    assert (done["total"], done["failed"]) == (60, 60)
