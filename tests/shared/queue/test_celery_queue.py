"""Ringing never blocks and never raises, whatever the broker does."""

import socket
import threading
from typing import Any
from uuid import uuid4

import redis

from shared.queue.celery_queue import SOCKET_TIMEOUT_S, WAITING_BELLS, CeleryQueue
from shared.queue.messages import VERSION, Advance, Message, Work


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


class HeldQueue(CeleryQueue):
    """Whose broker answers when the test says so: who waited for it would wait for ever."""

    def __init__(self) -> None:
        super().__init__("redis://127.0.0.1:1/0")
        self.answers = threading.Event()
        self.senders: set[str] = set()

    def _send(self, message: Message) -> None:
        self.senders.add(threading.current_thread().name)
        self.answers.wait()


def test_a_bell_never_waits_for_the_broker() -> None:
    queue = HeldQueue()
    for _ in range(3 * WAITING_BELLS):
        queue.publish(Advance(uuid4()))
    assert queue.counts.sent == 0, "nothing was answered, and the caller is here"
    # What found room is the queue, and the one bell that the thread may have in its hand by now.
    kept = 3 * WAITING_BELLS - queue.counts.dropped
    assert WAITING_BELLS <= kept <= WAITING_BELLS + 1
    queue.answers.set()
    queue.close(5)
    assert queue.counts.sent == kept
    assert queue.senders == {"bells"}


def test_a_dead_broker_opens_the_breaker() -> None:
    queue = CeleryQueue("redis://127.0.0.1:1/0")
    for _ in range(3 * WAITING_BELLS):
        queue.publish(Advance(uuid4()))
    queue.close(5)
    assert queue.counts.sent == 0
    assert queue.counts.dropped > 0
    dropped = queue.counts.dropped
    queue.publish(Advance(uuid4()))
    assert queue.counts.dropped == dropped + 1, "the breaker is open: what follows is dropped at once"


def test_a_broker_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        queue = CeleryQueue(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0")
        queue.publish(Work("parse"))
        queue.close(4 * SOCKET_TIMEOUT_S)
        assert (queue.counts.sent, queue.counts.dropped) == (0, 1)
        assert not queue.broker_up
