"""(f) How exactly a rate is kept by three workers together: files that end in a minute, of those allowed."""

import time
from typing import Any, Final

from tests.bench.house import House
from tests.bench.probe import free_cores
from tests.bench.told import Book, figure

PER_MINUTE: Final = 6_000
WORKERS: Final = 3
SETTLED_S: Final = 5.0
ENDED: Final = "SELECT count(*) FROM jobs WHERE batch_id = $1 AND finished_at BETWEEN $2 AND $3"
LIMIT: Final = (
    "UPDATE lanes SET jobs_per_minute = $1, burst = 1, tat = now() WHERE job_type = 'parse_v2' RETURNING 1"
)


def measure(house: House, book: Book) -> None:
    """One batch under a limit, watched in windows that overlap: each begins a quarter of its length after the
    one before."""
    window, rounds = (10.0, 3) if house.quick else (60.0, 5)
    window *= max(house.scale, 0.3)
    lasts = window * (1 + (rounds - 1) / 4)
    files = int(PER_MINUTE / 60 * (lasts + 20))
    directory, warm = house.folder_of(files), house.folder_of(100)
    configuration = house.configuration()
    with house.joined(1), house.joined(1), house.joined(1):
        house.run(warm, configuration, files=100)
        if house.rows.value(LIMIT, PER_MINUTE) != 1:
            raise RuntimeError("there is no lane to limit")
        probe = free_cores()
        batch = house.create(directory, configuration)
        time.sleep(SETTLED_S)
        began = house.rows.value("SELECT clock_timestamp()")
        time.sleep(lasts + 1)
        house.cancel(batch)
    step = house.rows.value("SELECT make_interval(secs => $1)", window / 4)
    off = []
    for turn in range(rounds):
        ended = house.rows.value(ENDED, batch, began + turn * step, began + (turn + 4) * step)
        off.append(abs(ended / (PER_MINUTE / 60 * window) - 1) * 100)
    conditions: dict[str, Any] = {"jobs_per_minute": PER_MINUTE, "workers": WORKERS, "window_s": window}
    name = f"distance from a rate over {window:.0f} s, {WORKERS} workers"
    book.add(figure(name, off, "%", at_most=2, cores_free_before=[probe], **conditions))
