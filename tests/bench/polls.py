"""(c) What a poll costs, `GET /api/v2/batches/{id}`, for batches from a thousand files to a million, alone
and with `expand=progress`. The batches are spread, and no worker is there: they stay as they are."""

from typing import Any, Final

from tests.bench.house import House
from tests.bench.load import Measured, request
from tests.bench.load import measure as ask
from tests.bench.probe import free_cores
from tests.bench.told import Book, figure

SIZES: Final[tuple[int, ...]] = (1_000, 10_000, 100_000, 1_000_000)
QUICK: Final[tuple[int, ...]] = (1_000, 10_000, 100_000)
CONNECTIONS: Final = 4


def measure(house: House, book: Book) -> None:
    """All sizes in each round, with both questions."""
    sizes, rounds, seconds = (QUICK, 3, 1.0) if house.quick else (SIZES, 5, 2.0)
    sizes = tuple(house.sized(size) for size in sizes)
    configuration = house.configuration()
    batches = {}
    for size in sizes:
        batches[size] = house.create(house.folder_of(size), configuration)
        house.wait("SELECT spread_done FROM batches WHERE id = $1", batches[size], within_s=120)
    port = int(house.stack.base_url.rpartition(":")[2])
    server = next(one.pid for one in house.stack.parts() if one.name == "api")
    for question, query in (("GET batch", ""), ("GET batch with progress", "?expand=progress")):
        runs: dict[int, list[Measured]] = {size: [] for size in sizes}
        probes = []
        for _ in range(rounds):
            for size in sizes:
                probes.append(free_cores())
                bytes_ = request(f"/api/v2/batches/bat-{batches[size]}{query}", house.stack.project_key)
                runs[size].append(
                    ask(port, [bytes_], server=server, connections=CONNECTIONS, seconds=seconds)
                )
        _tell(book, question, runs, probes)


def _tell(book: Book, question: str, runs: dict[int, list[Measured]], probes: list[float]) -> None:
    smallest, largest = min(runs), max(runs)
    conditions: dict[str, Any] = {"connections": CONNECTIONS, "cores_free_before": probes}
    for size, found in runs.items():
        book.add(
            figure(f"{question}, {size:,} files, p50", [one.p50_ms for one in found], "ms", **conditions),
            figure(f"{question}, {size:,} files, p95", [one.p95_ms for one in found], "ms", **conditions),
        )
    grown = [big.p95_ms / small.p95_ms for big, small in zip(runs[largest], runs[smallest], strict=True)]
    name = f"{question}, p95 at {largest:,} files, of that at {smallest:,}"
    book.add(figure(name, grown, "times", at_most=1.5, **conditions))
