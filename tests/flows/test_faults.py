"""Messages doubled, lost and late; processes killed; the broker away. One stack of real processes."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psutil
import pytest
import redis

from services.worker.app import LEAVES_WITHIN_S
from shared.queue.celery_queue import CeleryQueue
from shared.queue.messages import Advance, Dispatch, Work
from tests.patience import GIVES_UP_S

MOVES_AGAIN_S = 30.0
NOBODY_COMES_S = 4.0


@pytest.fixture(scope="module")
def stack(start_stack: Callable[[], Any]) -> Any:
    """A stack of this module's own: it is hurt."""
    return start_stack()


def some_files(count: int, size: int = 20_000) -> list[tuple[str, bytes]]:
    return [(f"{i:04}.txt", (b"line %d of a file\n" % i) * (size // 20)) for i in range(count)]


def broker_of(stack: Any) -> Any:
    return redis.Redis.from_url(stack.broker_url.replace("redis+socket", "unix"))


def test_bells_rung_many_times_change_nothing(stack: Any) -> None:
    batch_id = stack.open_batch(some_files(60))
    bare = UUID(batch_id.removeprefix("bat-"))
    project = stack.sql("SELECT project_id FROM batches WHERE id = $1", bare)[0][0]
    queue = CeleryQueue(stack.broker_url)
    for _ in range(10):
        for bell in (Advance(bare), Dispatch(project, "parse_v2"), Work("parse")):
            queue.publish(bell)
    assert stack.wait_final(batch_id) == "COMPLETED"
    stack.assert_exact(batch_id, 60)
    finished = stack.sql("SELECT finished_at, event_no FROM batches WHERE id = $1", bare)
    # Late: a bell for a batch that is final.
    queue.publish(Advance(bare))
    queue.publish(Dispatch(project, "parse_v2"))
    queue.close(2)
    time.sleep(1)
    assert stack.sql("SELECT finished_at, event_no FROM batches WHERE id = $1", bare) == finished


def test_a_bell_of_an_unknown_version_is_dropped_and_harms_nobody(stack: Any) -> None:
    queue = CeleryQueue(stack.broker_url)
    queue._app.send_task(Work.task, kwargs={"version": "999", "work_queue": "parse"}, queue="parse")
    batch_id = stack.open_batch(some_files(3))
    assert stack.wait_final(batch_id) == "COMPLETED"


def test_every_message_lost(stack: Any) -> None:
    batch_id = stack.open_batch(some_files(80))
    broker = broker_of(stack)
    for _ in range(20):
        broker.flushall()
        time.sleep(0.05)
    moved = stack.wait_for(lambda: stack.done_of(batch_id) > 0, within_s=MOVES_AGAIN_S)
    assert stack.wait_final(batch_id) == "COMPLETED", moved
    stack.assert_exact(batch_id, 80)


def test_rule_12_without_upkeep_a_lost_message_is_rung_by_nobody(stack: Any) -> None:
    known = stack.open_batch(some_files(3))
    assert stack.wait_final(known) == "COMPLETED"
    with stack.suspended("upkeep"):
        # As if the message about it had been lost: its row was committed, and nothing was said to anybody.
        found = stack.sql(
            "INSERT INTO batches (project_id, job_type, source_directory_id, configuration_id, config,"
            " last_pos, wake_at) SELECT project_id, job_type, source_directory_id, configuration_id, config,"
            " last_pos, now() FROM batches WHERE id = $1::uuid RETURNING id",
            known[4:],
        )
        batch_id = f"bat-{found[0][0]}"
        time.sleep(NOBODY_COMES_S)
        assert stack.done_of(batch_id) == 0, "the control: nobody else looks for what is due"
    assert stack.wait_final(batch_id) == "COMPLETED"


def test_a_worker_leaves_although_a_process_of_its_pool_stands_still(stack: Any) -> None:
    first, *children = stack.pids("worker")
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    worker = psutil.Process(first)
    worker.terminate()
    worker.wait(timeout=LEAVES_WITHIN_S + 20)
    for pid in children:
        # They were to die with it, and did.
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(timeout=GIVES_UP_S)
    batch_id = stack.open_batch(some_files(5, size=2_000))
    assert stack.wait_final(batch_id) == "COMPLETED", "another one took its place"


@pytest.mark.parametrize("children_only", [True, False])
def test_a_worker_killed_while_parsing(stack: Any, children_only: bool) -> None:
    batch_id = stack.open_batch(some_files(200))
    stack.wait_for(lambda: stack.done_of(batch_id) > 0, within_s=MOVES_AGAIN_S)
    stack.kill("worker", children_only=children_only)
    before = stack.done_of(batch_id)
    if before < 200:
        stack.wait_for(lambda: stack.done_of(batch_id) > before, within_s=MOVES_AGAIN_S)
    assert stack.wait_final(batch_id) == "COMPLETED"
    stack.assert_exact(batch_id, 200)
    failed = stack.sql(
        "SELECT count(*) FROM jobs WHERE batch_id = $1::uuid AND status = 'FAILED'", batch_id[4:]
    )
    assert failed[0][0] == 0, "a killed worker is no file's fault"


@pytest.mark.parametrize("part", ["orchestrate", "upkeep", "api"])
def test_any_other_process_killed(stack: Any, part: str) -> None:
    batch_id = stack.open_batch(some_files(100))
    stack.kill(part)
    assert stack.wait_final(batch_id) == "COMPLETED"
    stack.assert_exact(batch_id, 100)


def test_the_broker_is_silent_at_create(stack: Any) -> None:
    client = stack.client
    directory = client.beta.directories.create(name="silent")
    client.beta.directories.files.upload(directory.id, upload_file=("a.txt", b"text"))
    (broker,) = stack.pids("valkey")[:1]
    os.kill(broker, signal.SIGSTOP)
    try:
        started = time.monotonic()
        batch = client.batches.create(
            source_directory_id=directory.id,
            config={"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}},
        )
        assert time.monotonic() - started < 5
        assert client.batches.get(batch.id).status == "PENDING"
    finally:
        os.kill(broker, signal.SIGCONT)
    assert stack.wait_final(batch.id) == "COMPLETED"


def test_the_broker_killed_at_create(stack: Any) -> None:
    stack.kill("valkey")
    batch_id = stack.open_batch(some_files(5))
    assert stack.wait_final(batch_id) == "COMPLETED"
    stack.assert_exact(batch_id, 5)
