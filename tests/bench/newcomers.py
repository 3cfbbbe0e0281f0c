"""(e) How long a batch of ten files takes that comes behind one of a hundred thousand, in the same lane and
in the lane of another project. It may wait for the chunk that each slot has in hand, and no longer.

A file takes ten milliseconds of waiting, so a chunk is about as long as the product wants one to be (a
second).
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import httpx
from llama_cloud import LlamaCloud

from tests.bench.house import House
from tests.bench.probe import free_cores
from tests.bench.told import Book, figure

FILE_S: Final = 0.01
LARGE: Final = 100_000
SMALL: Final = 10
PROCESSES: Final = 2
IN_HAND: Final = (
    "SELECT coalesce(max(size), 0) FROM chunks WHERE state IN ('READY', 'TAKEN') AND batch_id = $1"
)


def measure(house: House, book: Book) -> None:
    """Newcomers on an empty system, then behind the large batch: the same lane and the other in turn."""
    rounds = 5 if house.quick else 9
    configuration = house.configuration()
    large, small = house.folder_of(max(10_000, house.sized(LARGE))), house.folder_of(SMALL)
    with another_project(house) as theirs, house.joined(PROCESSES, file_s=FILE_S):
        their_folder, their_configuration = theirs.folder_of(SMALL), theirs.configuration()
        house.run(small, configuration, files=SMALL)
        empty = [_delay(house, small, configuration) for _ in range(rounds)]
        first = house.create(large, configuration)
        time.sleep(6)  # until its chunks have their full length
        chunk_s = FILE_S * house.rows.value(IN_HAND, first)
        probes, same, apart = [], [], []
        for _ in range(rounds):
            probes.append(free_cores())
            same.append(_delay(house, small, configuration))
            apart.append(_delay(theirs, their_folder, their_configuration))
        house.cancel(first)
    base = sorted(empty)[len(empty) // 2]
    most = chunk_s + 2 * base
    conditions: dict[str, Any] = {
        "processes": PROCESSES,
        "file_s": FILE_S,
        "chunk_s": chunk_s,
        "cores_free_before": probes,
    }
    book.add(
        figure("10 files on an empty system", empty, "s"),
        figure("10 files behind 100,000 in the same lane", same, "s", at_most=most, **conditions),
        figure("10 files behind 100,000 of another lane", apart, "s", at_most=most, **conditions),
    )


def _delay(house: House, directory: str, configuration: str) -> float:
    started = time.perf_counter()
    batch = house.create(directory, configuration)
    return house.wait("SELECT wake_at IS NULL FROM batches WHERE id = $1", batch, within_s=60) - started


@contextlib.contextmanager
def another_project(house: House) -> Iterator[House]:
    """The same house as another project sees it."""
    operator = {"authorization": f"Bearer {house.stack.operator_key}"}
    with httpx.Client(base_url=house.stack.base_url + "/api/v1/admin", headers=operator) as admin:
        project = admin.post("/projects", json={"name": "another"}).raise_for_status().json()["id"]
        asked = {"role": "project", "project_id": project, "name": "bench"}
        key = admin.post("/keys", json=asked).raise_for_status().json()["token"]
    with LlamaCloud(base_url=house.stack.base_url, api_key=key) as client:
        yield replace(house, client=client)
