"""(g) What the stack costs when nothing is to be done, with ten thousand batches that have ended: statements
a second at PostgreSQL, and processor time of everything that runs, by part.

Every statement counts, whoever sends it; BEGIN, COMMIT, ROLLBACK and SET are told beside. Every process
counts, also those that came and went meanwhile, and `manager`, which starts the others and watches over them.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Mapping
from typing import Any, Final

import psutil

from shared.config import Settings
from shared.wiring import open_resources
from tests.bench.house import REAL, House
from tests.bench.many_batches import OPEN_AT_ONCE, fill
from tests.bench.probe import free_cores
from tests.bench.reads import settings_for
from tests.bench.told import Book, figure

BATCHES: Final = 10_000
SERVER: Final = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_utility": "on"}
"""What the server needs to count statements."""
CALLS: Final = (
    "SELECT coalesce(sum(calls) FILTER (WHERE query !~* '^(begin|commit|rollback|set |start )'), 0)::float8,"
    " coalesce(sum(calls), 0)::float8 FROM pg_stat_statements WHERE query !~ 'pg_stat_statements'"
)
MOST: Final = (
    "SELECT calls, query FROM pg_stat_statements WHERE query !~* '^(begin|commit|rollback|set |start )'"
    " ORDER BY calls DESC LIMIT 12"
)


def measure(house: House, book: Book) -> None:
    """Some stretches of quiet, one after the other, with a worker of two processes that waits."""
    seconds, rounds = (10.0, 2) if house.quick else (20.0, 5)
    seconds *= max(house.scale, 0.3)
    asyncio.run(_fill(settings_for(house.folder, house.stack.database_url)))
    house.rows.do("CREATE EXTENSION pg_stat_statements")
    with house.joined(2, command=REAL) as worker:
        time.sleep(5)
        queries, every, cpu, probes = [], [], [], []
        for _ in range(rounds):
            probes.append(free_cores())
            house.rows.do("SELECT pg_stat_statements_reset()")
            used, began = _used(house, worker.pid), time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - began
            cpu.append(_shares(used, _used(house, worker.pid), took))
            real, both = house.rows.fetch(CALLS)[0]
            queries.append(real / took)
            every.append(both / took)
    conditions: dict[str, Any] = {
        "finished_batches": BATCHES,
        "seconds": seconds,
        "cores_free_before": probes,
    }
    most = [f"{row['calls'] / seconds:.2f}/s {row['query'][:90]}" for row in house.rows.fetch(MOST)]
    whole = [sum(shares.values()) for shares in cpu]
    by_part = {name: round(statistics.median(shares[name] for shares in cpu), 3) for name in cpu[0]}
    book.add(
        figure("statements a second when idle", queries, "1/s", at_most=5, most=most, **conditions),
        figure("the same with BEGIN, COMMIT and SET", every, "1/s", **conditions),
        figure(
            "processor when idle, whole stack",
            whole,
            "% of a core",
            at_most=2,
            by_part=by_part,
            **conditions,
        ),
    )
    print("  " + ", ".join(f"{name} {share:.2f}" for name, share in by_part.items()), flush=True)


async def _fill(settings: Settings) -> None:
    resources = open_resources(settings, name="bench")
    try:
        await fill(resources, BATCHES + OPEN_AT_ONCE)
        async with resources.engine.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM batches WHERE wake_at IS NOT NULL")
    finally:
        await resources.close()


def _used(house: House, worker: int) -> dict[str, float]:
    """Processor seconds so far of each part with its children."""
    firsts = {one.name: one.pid for one in house.stack.parts()} | {"worker": worker}
    used = {name: sum(seconds_of(pid) for pid in (pid, *below(pid))) for name, pid in firsts.items()}
    # The stack's own loop is the first thread of this process, and the bench is another.
    first = next(one for one in psutil.Process().threads() if one.id == os.getpid())
    return used | {"manager": first.user_time + first.system_time}


def _shares(before: Mapping[str, float], after: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Percent of a core that each part took."""
    return {name: (after[name] - used) / seconds * 100 for name, used in before.items()}


def below(pid: int) -> list[int]:
    """All processes under one."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def seconds_of(pid: int) -> float:
    """Processor seconds so far of a process and of its children that have ended; 0 when it is gone."""
    try:
        used = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(used.user + used.system + used.children_user + used.children_system)
