"""Celery, one message a file. `plain`: as it comes. `durable`: what it takes for a file to survive the death
of a worker: its row is claimed and completed in PostgreSQL, and the message is acknowledged after that."""

import os
from typing import Any

import psycopg
from celery import Celery
from counting import ran

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
app.conf.update(
    task_ignore_result=True,
    task_serializer="json",
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
TABLE = """
DROP TABLE IF EXISTS bench_celery;
CREATE TABLE bench_celery (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'PENDING', worker int,
  started_at timestamptz, finished_at timestamptz, result text)
"""
CLAIM = (
    "UPDATE bench_celery SET status = 'RUNNING', worker = %s, started_at = now()"
    " WHERE id = %s AND status IN ('PENDING', 'RUNNING')"
)
COMPLETE = (
    "UPDATE bench_celery SET status = 'COMPLETED', result = %s, finished_at = now()"
    " WHERE id = %s AND status = 'RUNNING' AND worker = %s"
)
_kept: dict[int, Any] = {}


@app.task(name="bench.plain")  # type: ignore[untyped-decorator, unused-ignore]
def plain(_number: int) -> None:
    ran()


@app.task(name="bench.durable", acks_late=True)  # type: ignore[untyped-decorator, unused-ignore]
def durable(number: int) -> None:
    me = os.getpid()
    connection = _connection(me)
    claimed = connection.execute(CLAIM, (me, number)).rowcount
    if claimed and connection.execute(COMPLETE, ("nothing", number, me)).rowcount:
        ran()


def _connection(me: int) -> Any:
    if me not in _kept:
        _kept[me] = psycopg.connect(os.environ["BENCH_DATABASE"], autocommit=True)
    return _kept[me]


def prepare(kind: str) -> None:
    """Before the workers start."""
    if kind == "durable":
        with psycopg.connect(os.environ["BENCH_DATABASE"], autocommit=True) as connection:
            connection.execute(TABLE)


def enqueue(kind: str, first: int, count: int) -> None:
    """So many files; the rows of the durable ones in one statement."""
    if kind == "durable":
        with psycopg.connect(os.environ["BENCH_DATABASE"], autocommit=True) as connection:
            connection.execute(
                "INSERT INTO bench_celery (id) SELECT generate_series(%s::bigint, %s::bigint)",
                (first, first + count - 1),
            )
    task = durable if kind == "durable" else plain
    with app.producer_pool.acquire(block=True) as producer:
        for number in range(first, first + count):
            task.apply_async((number,), producer=producer)


def workers(processes: int) -> list[list[str]]:
    """Their command lines."""
    options = ["--pool", "prefork", "--concurrency", str(processes), "--loglevel", "WARNING"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return [["-m", "celery", "--app", "with_celery", "worker", *options, *quiet]]
