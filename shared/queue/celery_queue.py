"""Bells over a Celery broker, rung from one thread so that a dead broker stops nobody.

`apply_async` blocks while it connects; in an event loop that would freeze every request of the process.
So `publish` only puts the bell in a bounded queue. When the queue is full, or the breaker is open after a
failure, bells are dropped and counted: rows hold the truth and the sweeper rings again.
"""

import queue
import threading
import time
from dataclasses import dataclass

from celery import Celery

from shared.queue.messages import Message
from shared.telemetry import logger

log = logger(__name__)

WAITING_BELLS = 1_000
BREAKER_OPEN_S = 5.0
SOCKET_TIMEOUT_S = 3


@dataclass(slots=True)
class Counts:
    """What became of the bells so far."""

    sent: int = 0
    dropped: int = 0


def celery_settings(broker_url: str) -> dict[str, object]:
    """What publisher and worker agree on: JSON only, no results, short waits for the broker."""
    return {
        "broker_url": broker_url,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_backend": None,
        "broker_connection_retry_on_startup": True,
        "broker_connection_timeout": SOCKET_TIMEOUT_S,
        "broker_transport_options": {
            "socket_timeout": SOCKET_TIMEOUT_S * 10,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
        },
    }


class CeleryQueue:
    """A `TaskQueue`. The thread starts with the first bell, so it is safe to build before a fork."""

    def __init__(self, broker_url: str) -> None:
        self._app = Celery("batchmill-bells")
        self._app.conf.update(celery_settings(broker_url))
        self._app.conf.broker_transport_options = {
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
            # One try a bell: the breaker decides when to try again, not the library's own patience.
            "max_retries": 1,
            "interval_start": 0.0,
            "interval_step": 0.1,
            "interval_max": 0.1,
        }
        self._waiting: queue.Queue[Message | None] = queue.Queue(WAITING_BELLS)
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()
        self._closed_until = 0.0
        self._failing = False
        self.counts = Counts()

    def publish(self, message: Message) -> None:
        """Hand the bell to the thread; drop it when the broker is away or too slow."""
        if time.monotonic() < self._closed_until:
            self.counts.dropped += 1
            return
        self._ensure_thread()
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self.counts.dropped += 1

    @property
    def broker_up(self) -> bool:
        """False from a bell that could not be sent until one that could."""
        return not self._failing

    @property
    def sent(self) -> int:
        """How many bells reached the broker so far."""
        return self.counts.sent

    def close(self, timeout: float = 2.0) -> None:
        """Send what waits, for at most `timeout` seconds."""
        if self._thread is not None:
            try:
                self._waiting.put(None, timeout=timeout)
            except queue.Full:
                return
            self._thread.join(timeout)

    def _ensure_thread(self) -> None:
        with self._start:
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, name="bells", daemon=True)
                self._thread.start()

    def _send_all(self) -> None:
        while (message := self._waiting.get()) is not None:
            if time.monotonic() < self._closed_until:
                self.counts.dropped += 1
                continue
            try:
                self._send(message)
                self.counts.sent += 1
                self._failing = False
            # Any library below may fail in its own way here, and no failure may end the thread.
            except Exception as error:  # noqa: BLE001
                self.counts.dropped += 1
                self._failing = True
                self._closed_until = time.monotonic() + BREAKER_OPEN_S
                log.warning("bell not sent", task=message.task, error=repr(error)[:200])

    def _send(self, message: Message) -> None:
        self._app.send_task(
            message.task, kwargs=message.body(), queue=message.queue, retry=False, ignore_result=True
        )
