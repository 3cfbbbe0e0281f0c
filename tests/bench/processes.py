"""(i) Throughput with 1, 2 and 4 processes, when a file is waiting and no work: what is measured is whether
the processes get in each other's way."""

from typing import Any, Final

from tests.bench.house import House
from tests.bench.probe import free_cores
from tests.bench.told import Book, figure

FILE_S: Final = 0.02
COUNTS: Final = (1, 2, 4)


def measure(house: House, book: Book) -> None:
    """All counts in each round; each has the same seconds of waiting to do."""
    each, rounds = (100, 2) if house.quick else (300, 5)
    each = house.sized(each)
    folders = {count: house.folder_of(each * count) for count in COUNTS}
    configuration = house.configuration()
    rates: dict[int, list[float]] = {count: [] for count in COUNTS}
    probes = []
    for _ in range(rounds):
        for count in COUNTS:
            with house.joined(count, file_s=FILE_S):
                probes.append(free_cores())
                took = house.run(folders[count], configuration, files=each * count)
                rates[count].append(each * count / took)
    conditions: dict[str, Any] = {"file_s": FILE_S, "cores_free_before": probes}
    for count in COUNTS:
        book.add(figure(f"files that wait 20 ms, {count} processes", rates[count], "files/s", **conditions))
        if count > 1:
            ratios = [many / one for many, one in zip(rates[count], rates[1], strict=True)]
            name = f"{count} processes, times one"
            book.add(figure(name, ratios, "times", at_least=0.9 * count, **conditions))
