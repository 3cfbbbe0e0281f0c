"""Notices that this worker no longer hears its bells, and has it connect to the broker anew.

A broker that dies at the wrong moment can leave the library's consumer alive and deaf: connected to nothing,
without an error, for ever (seen with Celery 5.7 when the broker went between the end of a task and its
acknowledgement). Rows are swept all the same, but every bell would ring in an empty room.
"""

from typing import Any, Final

from celery import Celery
from celery.worker import state
from kombu.exceptions import OperationalError

from shared.telemetry import logger

log = logger(__name__)

LOOK_EVERY_S: Final = 5.0
DEAF_LOOKS: Final = 2
ANSWERS_WITHIN_S: Final = 3
ONE_TRY: Final = {
    "socket_timeout": ANSWERS_WITHIN_S,
    "socket_connect_timeout": ANSWERS_WITHIN_S,
    "max_retries": 1,
    "interval_start": 0.0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
"""Of the question whether bells lie: it is asked on the consumer's loop, and again in five seconds."""


class Hearing:
    """One worker's ear: bells lie in its queues, it has a free slot, and in two looks none was received."""

    def __init__(self, app: Celery, queues: list[str], *, slots: int) -> None:
        self._app = app
        self._queues = queues
        self._slots = slots
        self._heard = -1
        self._deaf = 0
        self._line: Any = None

    def watch(self, consumer: Any) -> None:
        """Look every few seconds, on the consumer's own loop."""
        consumer.timer.call_repeatedly(LOOK_EVERY_S, self.look)

    def look(self) -> None:
        """Raises `ConnectionResetError` when the consumer is deaf: it goes through the loop that calls this,
        and Celery connects anew, as after any loss of the broker."""
        heard = state.all_total_count[0]
        idle = len(state.reserved_requests) < self._slots
        if heard == self._heard and idle and self._bells_lie():
            self._deaf += 1
        else:
            self._deaf = 0
        self._heard = heard
        if self._deaf >= DEAF_LOOKS:
            self._deaf = 0
            log.warning("bells lie in the queue and none is heard: connecting anew", queues=self._queues)
            raise ConnectionResetError("the consumer is deaf")

    def _bells_lie(self) -> bool:
        """Asked over a connection of its own, which is kept: opening one costs ten times the question. A
        broker that does not answer has nothing to be heard."""
        line = self._line = self._line or self._app.connection_for_read(transport_options=ONE_TRY)
        try:
            return any(_lie_in(line, queue) for queue in self._queues)
        except (*line.connection_errors, OperationalError):
            self._line = None
            line.collect()
            return False


def _lie_in(line: Any, queue: str) -> bool:
    try:
        return bool(line.default_channel.queue_declare(queue, passive=True).message_count)
    except line.channel_errors:
        return False  # a queue in which nothing lies is not known to the broker
