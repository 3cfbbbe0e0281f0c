"""Dramatiq over the same broker, with its usual eight threads a process."""

import os

import dramatiq
from counting import ran
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=os.environ["BENCH_REDIS"])
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name="bench")  # type: ignore[untyped-decorator, unused-ignore]
def nothing(_number: int) -> None:
    ran()


def prepare(_kind: str) -> None:
    """Nothing is needed."""


def enqueue(_kind: str, first: int, count: int) -> None:
    """So many messages."""
    for number in range(first, first + count):
        nothing.send(number)


def workers(processes: int) -> list[list[str]]:
    """Their command lines."""
    return [["-m", "dramatiq", "with_dramatiq", "--processes", str(processes)]]
