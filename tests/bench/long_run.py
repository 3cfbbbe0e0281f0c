"""`make bench BENCH=long`: twenty minutes of steady load, and whether anything grows that should not.

Batches of files that are nothing follow each other at a pace the machine can keep. Every half minute it is
written down: memory of each part, connections, sizes of tables and indexes, dead rows, and the p95 of
`GET batch`. Told is the last third against the middle third: what is full of caches after a while is no leak.
Rows of finished files stay, so tables grow with the files; what is told of them is bytes a file.
"""

import os
import statistics
import time
from dataclasses import dataclass
from typing import Any, Final

import psutil

from tests.bench.house import House
from tests.bench.idle import below
from tests.bench.load import measure as ask
from tests.bench.load import request
from tests.bench.probe import free_cores
from tests.bench.told import Book, figure

MINUTES: Final = 20.0
QUICK_MINUTES: Final = 2.0
FILES: Final = 20_000
EVERY_S: Final = 30.0
QUICK_EVERY_S: Final = 6.0
PACE_S: Final = 10.0
"""From one batch to the next: about a third of what two cores can do."""
MEGABYTE: Final = 1 << 20
MOST_GROWTH: Final = 1.1
STATE: Final = (
    "SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'batchmill%') AS connections,"
    " (SELECT sum(pg_table_size(relid)) FROM pg_stat_user_tables WHERE relname IN ('jobs', 'batches',"
    "  'chunks', 'lanes'))::float8 AS tables,"
    " (SELECT sum(pg_indexes_size(relid)) FROM pg_stat_user_tables WHERE relname IN ('jobs', 'batches',"
    "  'chunks', 'lanes'))::float8 AS indexes,"
    " (SELECT sum(n_dead_tup) FROM pg_stat_user_tables)::float8 AS dead,"
    " (SELECT count(*) FROM jobs)::float8 AS files"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: memory of the processes in MB, what the database says, and a poll's p95."""

    minute: float
    memory: dict[str, float]
    connections: float
    bytes_a_file: float
    index_bytes_a_file: float
    dead: float
    poll_ms: float
    took_s: float

    def named(self) -> dict[str, float]:
        """What must not grow, by its name."""
        return {
            **{f"memory of {part}": held for part, held in self.memory.items()},
            "connections": self.connections,
            "table bytes a file": self.bytes_a_file,
            "index bytes a file": self.index_bytes_a_file,
            "dead rows": self.dead,
            "p95 of GET batch": self.poll_ms,
            "seconds of a batch": self.took_s,
        }


def measure(house: House, book: Book) -> None:
    """The load, the looks, and what they say."""
    minutes = float(os.environ.get("MINUTES", QUICK_MINUTES if house.quick else MINUTES))
    every = QUICK_EVERY_S if house.quick else EVERY_S
    directory, configuration = house.folder_of(FILES), house.configuration()
    probe = free_cores()
    looks: list[Seen] = []
    with house.joined(2) as worker:
        began = time.monotonic()
        due = began + every
        while time.monotonic() - began < minutes * 60:
            started = time.monotonic()
            took = house.run(directory, configuration, files=FILES)
            if time.monotonic() >= due:
                looks.append(_look(house, worker.pid, (time.monotonic() - began) / 60, took))
                due += every
            time.sleep(max(0.0, PACE_S - (time.monotonic() - started)))
    _tell(book, looks, {"minutes": minutes, "files_a_batch": FILES, "cores_free_before": [probe]})


def _look(house: House, worker: int, minute: float, took: float) -> Seen:
    firsts = {one.name: one.pid for one in house.stack.parts()} | {"worker": worker}
    memory = {name: _memory(pid) for name, pid in firsts.items() if name not in ("postgres", "valkey")}
    row = house.rows.fetch(STATE)[0]
    newest = house.rows.value("SELECT id FROM batches ORDER BY id DESC LIMIT 1")
    asked = request(f"/api/v2/batches/bat-{newest}?expand=progress", house.stack.project_key)
    port = int(house.stack.base_url.rpartition(":")[2])
    polled = ask(port, [asked], server=firsts["api"], connections=2, seconds=1.0)
    print(
        f"    minute {minute:.1f}: {row['files']:,.0f} files, {sum(memory.values()):.0f} MB,"
        f" {row['connections']} connections, p95 {polled.p95_ms:.1f} ms, batch {took:.1f} s",
        flush=True,
    )
    return Seen(
        minute=minute,
        memory=memory,
        connections=float(row["connections"]),
        bytes_a_file=row["tables"] / row["files"],
        index_bytes_a_file=row["indexes"] / row["files"],
        dead=row["dead"],
        poll_ms=polled.p95_ms,
        took_s=took,
    )


def _memory(pid: int) -> float:
    every = [psutil.Process(one) for one in (pid, *below(pid))]
    return float(sum(one.memory_full_info().uss for one in every)) / MEGABYTE


def _tell(book: Book, looks: list[Seen], conditions: dict[str, Any]) -> None:
    third = len(looks) // 3
    if not third:
        raise RuntimeError(f"{len(looks)} looks are too few: let it run longer")
    middle, last = looks[third : 2 * third], looks[2 * third :]
    for name in looks[0].named():
        base = statistics.median(one.named()[name] for one in middle)
        runs = [one.named()[name] / base if base else 1.0 for one in last]
        told = {"median_of_middle_third": base, **conditions}
        title = f"long run: {name}, last third of middle third"
        book.add(figure(title, runs, "times", at_most=MOST_GROWTH, **told))
