"""(h) What a file that is nothing costs the database: commits, WAL, dead rows, and how many updates stay in
their page (HOT). Once as it is, once while somebody holds a snapshot open, so that nothing can be cleaned.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.house import House
from tests.bench.probe import free_cores
from tests.bench.rows import Rows, settle
from tests.bench.told import Book, figure

PROCESSES: Final = 2
STATISTICS_S: Final = 2.5
"""PostgreSQL's processes tell what they counted once a second, and only when they are idle."""
COUNTED: Final = (
    "SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())::float8 AS commits,"
    " pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS wal,"
    " (SELECT sum(n_tup_upd) FROM pg_stat_user_tables)::float8 AS updates,"
    " (SELECT sum(n_tup_hot_upd) FROM pg_stat_user_tables)::float8 AS hot,"
    " (SELECT sum(n_dead_tup) FROM pg_stat_user_tables)::float8 AS dead"
)


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one file, but for `hot`, the part of updates that stayed in their page, and `seconds`, of the
    run."""

    commits: float
    wal: float
    hot: float
    dead: float
    seconds: float


def measure(house: House, book: Book) -> None:
    """Runs without a snapshot, then runs under one that is open all the while."""
    files, rounds = (60_000, 2) if house.quick else (200_000, 5)
    files = house.sized(files)
    directory = house.folder_of(files)
    configuration = house.configuration()
    probes: list[float] = []
    with house.joined(PROCESSES):
        house.run(house.folder_of(1_000), configuration, files=1_000)
        free = []
        for _ in range(rounds):
            probes.append(free_cores())
            free.append(costs_of(house, directory, configuration, files))
        _tell(book, free, "", {"files": files, "cores_free_before": probes})
        held, held_s = _under_a_snapshot(house, directory, configuration, files)
    conditions: dict[str, Any] = {"files": files, "snapshot_open_s": round(held_s)}
    _tell(book, held, " under an open snapshot", conditions)
    pace = [one.seconds / free[0].seconds for one in held]
    book.add(figure("seconds of a run under an open snapshot, of one without", pace, "times", **conditions))


def costs_of(house: House, directory: str, configuration: str, files: int) -> Costs:
    """Of one run. What autovacuum would do meanwhile is done before, so that it falls into no run by
    chance."""
    settle(house.rows)
    time.sleep(STATISTICS_S)
    before, asked = house.rows.fetch(COUNTED)[0], house.rows.asked
    seconds = house.run(directory, configuration, files=files)
    time.sleep(STATISTICS_S)
    after, asked = house.rows.fetch(COUNTED)[0], house.rows.asked - asked
    names = ("commits", "wal", "updates", "hot", "dead")
    spent = {name: after[name] - before[name] for name in names}
    return Costs(
        commits=(spent["commits"] - asked) / files,  # without our own questions
        wal=spent["wal"] / files,
        hot=spent["hot"] / max(spent["updates"], 1),
        dead=spent["dead"] / files,
        seconds=seconds,
    )


def _under_a_snapshot(
    house: House, directory: str, configuration: str, files: int
) -> tuple[list[Costs], float]:
    lasts = (10 if house.quick else 300) * house.scale
    found: list[Costs] = []
    with Rows(house.stack.database_url) as reader:
        reader.do("SET idle_in_transaction_session_timeout = 0")
        reader.do("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.value("SELECT count(*) FROM batches")
        began = time.monotonic()
        while time.monotonic() - began < lasts or not found:
            found.append(costs_of(house, directory, configuration, files))
        held = time.monotonic() - began
        reader.do("COMMIT")
    return found, held


def _tell(book: Book, runs: list[Costs], how: str, conditions: dict[str, Any]) -> None:
    commits, wal, hot, dead = (
        [getattr(one, name) for one in runs] for name in ("commits", "wal", "hot", "dead")
    )
    book.add(
        figure(f"commits a no-op file{how}", commits, "commits", at_most=0.05, **conditions),
        figure(f"WAL of a no-op file{how}", wal, "bytes", at_most=1_500, **conditions),
        figure(f"updates that stay in their page{how}", hot, "part", **conditions),
        figure(f"dead rows a no-op file{how}", dead, "rows", **conditions),
    )
