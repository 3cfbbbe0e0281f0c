"""(a) Files a second when a file is nothing: all that is left is orchestration. Beside it, what people would
use instead, in the same rounds.

Ours runs from the request that opens the batch to its last state: spread, grant, take, close, fold, settle.
A peer runs from its first message to its last end. Each has two processes that work and one that hands out
(ours: orchestrate; theirs: the client that sends).
"""

import statistics
from typing import Any, Final

from tests.bench import peer
from tests.bench.house import House
from tests.bench.probe import free_cores
from tests.bench.rows import empty
from tests.bench.told import Book, figure

PROCESSES: Final = 2
TARGETS: Final = {"plain Celery": 20.0, "durable Celery": 40.0, "Dramatiq": 3.0, "Procrastinate": None}
WARM: Final = 1_000


def measure(house: House, book: Book) -> None:
    """All rounds, then the rates and the ratios of each round."""
    files, rounds = (60_000, 2) if house.quick else (200_000, 5)
    files = house.sized(files)
    directory, warm = house.folder_of(files), house.folder_of(WARM)
    configuration = house.configuration()
    peer.make_database(house)
    ours: list[float] = []
    rates: dict[str, list[float]] = {one.name: [] for one in peer.PEERS}
    sending: dict[str, list[float]] = {one.name: [] for one in peer.PEERS}
    probes: list[float] = []
    for _ in range(rounds):
        empty(house.rows)
        with house.joined(PROCESSES):
            house.run(warm, configuration, files=WARM)
            probes.append(free_cores())
            ours.append(files / house.run(directory, configuration, files=files))
        print(f"    ours {ours[-1]:,.0f}/s, {probes[-1]} cores free before", flush=True)
        for one in peer.PEERS:
            probes.append(free_cores())
            rate, part = peer.rate_of(one, house, processes=PROCESSES)
            rates[one.name].append(rate)
            sending[one.name].append(round(part, 2))
            print(f"    {one.name} {rate:,.0f}/s, {probes[-1]} cores free before", flush=True)
    conditions: dict[str, Any] = {"processes": PROCESSES, "files": files, "cores_free_before": probes}
    book.add(figure("no-op files a second, end to end", ours, "files/s", **conditions))
    for one in peer.PEERS:
        many = peer.files_of(one, house)
        told: dict[str, Any] = {
            "processes": PROCESSES,
            "files": many,
            "part_spent_sending": sending[one.name],
        }
        book.add(figure(f"{one.name}, one message a file", rates[one.name], "files/s", **told))
        ratios = [mine / other for mine, other in zip(ours, rates[one.name], strict=True)]
        name = f"no-op files a second, times {one.name}"
        book.add(figure(name, ratios, "times", at_least=TARGETS[one.name], **conditions))
    print(f"    median of ours {statistics.median(ours):,.0f}/s", flush=True)
