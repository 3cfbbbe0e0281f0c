"""Ringing never blocks and never raises, whatever the broker does."""

import socket
import time
from typing import Any
from uuid import uuid4

import redis

from shared.queue.celery_queue import WAITING_BELLS, CeleryQueue
from shared.queue.messages import VERSION, Advance, Work


def test_a_bell_reaches_its_queue_with_ids_and_a_version(broker_url: str) -> None:
    queue = CeleryQueue(broker_url)
    batch_id = uuid4()
    queue.publish(Advance(batch_id))
    queue.publish(Work("parse"))
    queue.close(5)
    assert (queue.counts.sent, queue.counts.dropped) == (2, 0)
    broker: Any = redis.Redis.from_url(broker_url.replace("redis+socket", "unix"))
    assert broker.llen("parse") == 1
    message = broker.lindex("orchestrate", 0).decode()
    assert '"batchmill.advance"' in message
    assert Advance(batch_id).body() == {"version": VERSION, "batch_id": str(batch_id)}
    broker.flushall()


def test_a_dead_broker_costs_the_caller_nothing() -> None:
    queue = CeleryQueue("redis://127.0.0.1:1/0")
    started = time.monotonic()
    for _ in range(3 * WAITING_BELLS):
        queue.publish(Advance(uuid4()))
    assert time.monotonic() - started < 1
    queue.close(5)
    assert queue.counts.sent == 0
    assert queue.counts.dropped > 0
    dropped = queue.counts.dropped
    queue.publish(Advance(uuid4()))
    assert queue.counts.dropped == dropped + 1, "the breaker is open: what follows is dropped at once"


def test_a_silent_broker_fills_the_queue_and_then_bells_are_dropped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        queue = CeleryQueue(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0")
        started = time.monotonic()
        for _ in range(2 * WAITING_BELLS):
            queue.publish(Work("parse"))
        assert time.monotonic() - started < 2
        assert queue.counts.dropped >= WAITING_BELLS - 1
