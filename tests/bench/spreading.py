"""(b) How fast a directory becomes jobs, how soon the first job runs, and what memory that takes, from a
thousand files to a million.

The spread alone is timed without a worker. The first job is timed with two, from the request that opens the
batch to the end of that job. Memory is what the process that spreads holds at most while it does (what it
does not share with others).
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import psutil

from tests.bench.house import House
from tests.bench.probe import free_cores
from tests.bench.rows import empty
from tests.bench.told import Book, figure

SIZES: Final[tuple[int, ...]] = (1_000, 10_000, 100_000, 1_000_000)
QUICK: Final[tuple[int, ...]] = (1_000, 10_000, 100_000)
FIRST: Final = (
    "SELECT extract(epoch FROM min(finished_at))::float8 FROM jobs WHERE batch_id = $1 AND seq <= 5000"
)
MEGABYTE: Final = 1 << 20


def measure(house: House, book: Book) -> None:
    """All sizes in each round."""
    sizes, rounds = (QUICK, 3) if house.quick else (SIZES, 5)
    sizes = tuple(house.sized(size) for size in sizes)
    folders = {size: house.folder_of(size) for size in sizes}
    configuration = house.configuration()
    told: dict[int, dict[str, list[float]]] = {
        size: {"rate": [], "first": [], "memory": []} for size in sizes
    }
    probes: list[float] = []
    _spread(house, folders[sizes[0]], configuration)  # the first of all opens connections
    for _ in range(rounds):
        for size in sizes:
            empty(house.rows)
            probes.append(free_cores())
            with peak_of(house, "orchestrate") as peak:
                took = _spread(house, folders[size], configuration)
            told[size]["rate"].append(size / took)
            told[size]["memory"].append(peak[0] / MEGABYTE)
        with house.joined(2):
            for size in sizes:
                empty(house.rows)
                told[size]["first"].append(_first(house, folders[size], configuration))
    _tell(book, told, probes)


def _tell(book: Book, told: dict[int, dict[str, list[float]]], probes: list[float]) -> None:
    conditions: dict[str, Any] = {"cores_free_before": probes}
    smallest = min(told)
    for size, runs in told.items():
        # A directory of one page is read in one statement: its seconds are those of a single request.
        floor = 60_000 if size >= 100_000 else None
        name = f"spread of {size:,} files"
        book.add(
            figure(name, runs["rate"], "files/s", at_least=floor, **conditions),
            figure(
                f"create to the end of the first job, {size:,} files",
                [one * 1000 for one in runs["first"]],
                "ms",
                at_most=200,
            ),
            figure(f"memory of the spreader, {size:,} files", runs["memory"], "MB"),
        )
    for size, runs in told.items():
        if size != smallest:
            growth = [one / base for one, base in zip(runs["memory"], told[smallest]["memory"], strict=True)]
            book.add(
                figure(f"memory at {size:,} files, of that at {smallest:,}", growth, "times", at_most=1.1)
            )


def _spread(house: House, directory: str, configuration: str) -> float:
    """Seconds from the request to the last page."""
    started = time.perf_counter()
    batch = house.create(directory, configuration)
    return house.wait("SELECT spread_done FROM batches WHERE id = $1", batch) - started


def _first(house: House, directory: str, configuration: str) -> float:
    """Seconds from the request to the end of the first job, by one clock: all of it is on this machine."""
    started = time.time()
    batch = house.create(directory, configuration)
    house.wait(f"SELECT ({FIRST}) IS NOT NULL", batch, within_s=30)
    ended = float(house.rows.value(FIRST, batch))
    if house.rows.value("SELECT wake_at IS NOT NULL FROM batches WHERE id = $1", batch):
        with contextlib.suppress(Exception):  # it may end before the cancel comes
            house.cancel(batch)
    house.wait("SELECT wake_at IS NULL FROM batches WHERE id = $1", batch, within_s=120)
    return ended - started


@contextlib.contextmanager
def peak_of(house: House, part: str) -> Iterator[list[float]]:
    """The most bytes that the part's processes hold for themselves during the block, looked at twenty times
    a second."""
    first = next(one.pid for one in house.stack.parts() if one.name == part)
    processes = [psutil.Process(first), *psutil.Process(first).children(recursive=True)]
    peak, over = [0.0], threading.Event()

    def look() -> None:
        while True:
            peak[0] = max(peak[0], float(sum(one.memory_full_info().uss for one in processes)))
            if over.wait(0.05):
                return

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()
