"""What so many small documents a day would need, from what one costs: `python -m tests.bench.scaling`.

A model of multiplications, to find the part that ends first, and no promise. `COSTS` are of one small
document (one to three pages, some kilobytes) that is uploaded, parsed in tier `fast` by a batch and whose
result is fetched. `MEASURED` are two whole runs that it is held against. docs/scaling.md has its table, and
a test compares them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one file: processor milliseconds of each part, bytes of WAL, and bytes that stay in the database
    with its indexes."""

    worker_ms: float
    reading_ms: float
    api_ms: float
    client_ms: float
    database_ms: float
    orchestration_ms: float
    wal_bytes: float
    kept_bytes: float

    @property
    def servers_ms(self) -> float:
        """All of it but the client's."""
        return self.total_ms - self.client_ms

    @property
    def total_ms(self) -> float:
        """Everything, on one machine."""
        parts = (self.worker_ms, self.reading_ms, self.api_ms, self.client_ms)
        return sum(parts) + self.database_ms + self.orchestration_ms


COSTS: Final = Costs(
    worker_ms=0.9,
    reading_ms=0.3,
    api_ms=0.45,
    client_ms=0.4,
    database_ms=0.25,
    orchestration_ms=0.07,
    wal_bytes=4_000,
    kept_bytes=2_150,
)
USED: Final = 0.8
"""The part of a core that can be planned with: of the rest, processes wait for each other, and for a disk."""
PEAK: Final = 3.0
"""The busiest hour against the mean of the day."""
CONNECTIONS_A_PROCESS: Final = 4
PLANS: Final = (1_000_000, 10_000_000, 100_000_000)


@dataclass(frozen=True, slots=True)
class Run:
    """A run of everything on one machine, as it was measured; None where it was not."""

    files: int
    cores: int
    seconds: float | None = None
    wal_bytes_a_file: float | None = None
    database_bytes: float | None = None


MEASURED: Final = (
    Run(files=25_000, cores=2, seconds=42.2, wal_bytes_a_file=4_003),
    Run(files=100_000, cores=2, seconds=148.6, wal_bytes_a_file=3_998, database_bytes=225e6),
)


@dataclass(frozen=True, slots=True)
class Need:
    """What a plan needs; cores at the busiest hour, bytes a day."""

    files_a_day: int
    files_a_second: float
    worker_cores: float
    api_cores: float
    database_cores: float
    orchestrate_share: float
    connections: int
    wal_bytes: float
    wal_bytes_a_second: float
    kept_bytes: float


def need(files_a_day: int, costs: Costs = COSTS) -> Need:
    """Of so many files a day, with the peak three times the mean."""
    peak = files_a_day / DAY_S * PEAK
    workers = cores(peak, costs.worker_ms + costs.reading_ms)
    return Need(
        files_a_day=files_a_day,
        files_a_second=peak,
        worker_cores=workers,
        api_cores=cores(peak, costs.api_ms),
        database_cores=cores(peak, costs.database_ms),
        orchestrate_share=cores(peak, costs.orchestration_ms),
        connections=CONNECTIONS_A_PROCESS * (int(workers) + 2),
        wal_bytes=files_a_day * costs.wal_bytes,
        wal_bytes_a_second=peak * costs.wal_bytes,
        kept_bytes=files_a_day * costs.kept_bytes,
    )


def cores(files_a_second: float, milliseconds: float) -> float:
    """Cores that so many files a second take of a part."""
    return files_a_second * milliseconds / 1000 / USED


def seconds_of(run: Run, costs: Costs = COSTS) -> float:
    """How long the model thinks the run takes."""
    return run.files * costs.total_ms / 1000 / (run.cores * USED)


def table(plans: Sequence[int] = PLANS) -> str:
    """The plans side by side, as docs/scaling.md has them."""
    needs = [need(plan) for plan in plans]
    rows = (
        ("files a second, busiest hour", [f"{one.files_a_second:,.0f}" for one in needs]),
        ("cores for workers", [_cores(one.worker_cores) for one in needs]),
        ("cores for the API (0 with folders read in place)", [_cores(one.api_cores) for one in needs]),
        ("cores for PostgreSQL", [_cores(one.database_cores) for one in needs]),
        ("of the one core of orchestration", [f"{one.orchestrate_share:.1%}" for one in needs]),
        ("connections of workers", [f"{one.connections}" for one in needs]),
        ("WAL a day", [_bytes(one.wal_bytes) for one in needs]),
        ("WAL a second, busiest hour", [_bytes(one.wal_bytes_a_second) for one in needs]),
        ("database grows a day", [_bytes(one.kept_bytes) for one in needs]),
        ("database with 30 days kept", [_bytes(30 * one.kept_bytes) for one in needs]),
    )
    head = "| | " + " | ".join(f"{plan // 1_000_000:,}M files a day" for plan in plans) + " |"
    lines = [head, "| --- |" + " --- |" * len(plans)]
    lines += [f"| {name} | {' | '.join(values)} |" for name, values in rows]
    return "\n".join(lines)


def check() -> str:
    """The model beside what was measured."""
    lines = ["| run | | model | measured | off |", "| --- | --- | --- | --- | --- |"]
    for run in MEASURED:
        name = f"{run.files:,} files, {run.cores} cores"
        for what, model, seen in (
            ("seconds", seconds_of(run), run.seconds),
            ("WAL bytes a file", COSTS.wal_bytes, run.wal_bytes_a_file),
            ("database bytes", run.files * COSTS.kept_bytes, run.database_bytes),
        ):
            if seen is not None:
                lines.append(
                    f"| {name} | {what} | {_number(model)} | {_number(seen)} | {model / seen - 1:+.0%} |"
                )
    return "\n".join(lines)


def _cores(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.1f}"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1_000:
            return f"{value:.3g} {unit}"
        value /= 1_000
    return f"{value:.3g} TB"


if __name__ == "__main__":
    print(table())
    print()
    print(check())
