"""A worker whose consumer went deaf, which the broker's library does not notice, hears again by itself."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import redis

from shared.config import Settings
from shared.queue.celery_queue import CeleryQueue
from shared.queue.messages import Advance

DEAF_WORKER = """
import pathlib, sys
from kombu.transport.redis import MultiChannelPoller
from services.worker import hearing
from services.worker.app import run

hearing.LOOK_EVERY_S = 0.5
deaf, ask, first = pathlib.Path(sys.argv[1]), MultiChannelPoller._register_BRPOP, []

def register(poller, channel):
    first.append(poller)
    return None if poller is first[0] and deaf.exists() else ask(poller, channel)

MultiChannelPoller._register_BRPOP = register
run(["extract", "orchestrate"], 1)
"""


def until(done: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@contextmanager
def worker(settings: Settings, broker_url: str, deaf: Path, log: Path) -> Iterator[None]:
    script = deaf.with_suffix(".py")
    script.write_text(DEAF_WORKER)
    environment = {
        **os.environ,
        "BATCHMILL_DATABASE__URL": settings.database_url(),
        "BATCHMILL_BROKER__URL": broker_url,
        "BATCHMILL_STORAGE__URL": settings.storage_url(),
        "BATCHMILL_READY_FILE": str(deaf.with_suffix(".ready")),
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(script), str(deaf)], env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        until(deaf.with_suffix(".ready").exists, "the worker did not come up")
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_a_deaf_worker_connects_anew_whichever_of_its_queues_has_the_bells(
    settings: Settings, broker_url: str, tmp_path: Path
) -> None:
    deaf, log = tmp_path / "deaf", tmp_path / "worker.log"
    broker = redis.Redis.from_url(broker_url.replace("redis+socket", "unix"))
    queue = CeleryQueue(broker_url)
    with worker(settings, broker_url, deaf, log):
        deaf.touch()
        for _ in range(5):
            queue.publish(Advance(uuid4()))
        queue.close(5)
        until(
            lambda: broker.llen("orchestrate") > 0 or "connecting anew" in log.read_text(), "it was not deaf"
        )
        until(lambda: broker.llen("orchestrate") == 0, "it stayed deaf")
    assert "connecting anew" in log.read_text()
