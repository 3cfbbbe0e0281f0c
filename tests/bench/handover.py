"""What it costs to hand a whole batch over: memory of the API process, and megabytes a second.

python -m tests.bench.handover --files 10000 100000

For each size one PostgreSQL and one folder with that many results (three pages each, every one different),
put there directly. Each question is asked of an API process of its own, which has answered the same of a
small batch before: what it grows by is what the large one costs. Its memory is looked at every 20 ms.
`resumed` is the second half of a download whose first half was cut, from a process that knows nothing of the
first: how long it takes until the first byte is the time for which it measures. `--json` names a file for the
figures.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from services.local.postgres import EmbeddedPostgres
from shared.db import migrations
from shared.jobs.result import Page, ResultDocument
from shared.projects import service as project_service
from shared.wiring import Resources, open_resources
from tests.bench.many_batches import settle
from tests.bench.reads import NO_BROKER, OURS, free_port, serving, settings_for
from tests.bench.whole_batches import Made, make

SMALL: Final = 500
LOOK_EVERY_S: Final = 0.02
WORDS: Final = [
    "".join(random.Random(n).choices("abcdefghijklmnoprstuvwz", k=2 + n % 9)) for n in range(4_000)
]
MB: Final = 1_000_000
TRIES: Final = 1_000
QUESTIONS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "expand=results": ("", {"expand": "results"}),
    "export, jsonl": ("/export", {"format": "jsonl"}),
    "export, zip": ("/export", {"format": "zip"}),
    "export, jsonl, resumed": ("/export", {"format": "jsonl"}),
    "export, zip, resumed": ("/export", {"format": "zip"}),
}


@dataclass(frozen=True, slots=True)
class Batches:
    """What was put there, for whoever asks."""

    key: str
    small: str
    large: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one answer: its bytes, seconds until the first and in all, the megabytes that the process had and
    has had at most, and the seconds of its processor."""

    size: int
    first_s: float
    seconds: float
    before_mb: float
    peak_mb: float
    cpu_s: float

    @property
    def grown_mb(self) -> float:
        return self.peak_mb - self.before_mb

    @property
    def mb_a_s(self) -> float:
        return self.size / MB / self.seconds

    @property
    def mb_a_cpu_s(self) -> float:
        """What it does when it has a core for itself: the clock also tells what else the machine does."""
        return self.size / MB / self.cpu_s if self.cpu_s else 0.0


def papers(files: int) -> Iterator[Made]:
    """Three pages each of some hundred words; one in fifty failed."""
    drawn = random.Random(7)
    for number in range(files):
        name = f"paper {number}.pdf"
        path = f"{number // 1_000:03}/{name}"
        if number % 50 == 49:
            message = "It cannot be read."
            yield Made(name, path, status="FAILED", code="PDF_IS_BROKEN", message=message)
            continue
        pages = []
        for page in range(1, 4):
            text = " ".join(drawn.choices(WORDS, k=250))
            pages.append(Page(page, f"Paper {number}\n{text}", f"# Paper {number}\n\n{text}", 595.0, 842.0))
        yield Made(name, path, external=path, document=ResultDocument("bench", tuple(pages)))


async def filled(folder: Path, url: str, files: int) -> Batches:
    """A small and a large batch; what a kept folder holds already is used again."""
    note = folder / f"handover-{files}.json"
    resources = open_resources(settings_for(folder, url), name="bench")
    try:
        await migrations.upgrade(resources.engine)
        if not note.exists():
            started = time.monotonic()
            note.write_text(json.dumps(asdict(await _fill(resources, files))))
            print(f"{files:,} results were put there in {time.monotonic() - started:.0f} s", flush=True)
        return Batches(**json.loads(note.read_text()))
    finally:
        await resources.close()


async def _fill(resources: Resources, files: int) -> Batches:
    await resources.hold_to_storage()
    async with resources.unit_of_work() as uow:
        organization = await project_service.create_organization(uow, "bench")
        project = await project_service.create_project(uow, organization.id, "bench")
        key, _ = await project_service.create_key(uow, project_id=project.id, name="bench")
        await uow.commit()
    small = await make(resources, project.id, papers(SMALL))
    large = await make(resources, project.id, papers(files))
    await settle(resources.engine, "jobs", "directory_files", "batches")
    return Batches(key, small.shown, large.shown)


class Watched:
    """The memory of a process, looked at all the time from a thread."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self.peak = 0

    @property
    def rss(self) -> int:
        return int(self._process.memory_info().rss)

    @property
    def cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """`peak` is the highest of this block."""
        self._over.clear()
        self.peak = self.rss
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            self.peak = max(self.peak, self.rss)


def download(
    client: httpx.Client, path: str, params: Mapping[str, str], first: int = 0
) -> tuple[int, float, float]:
    """Bytes of an answer, and seconds until its first and its last; it is not kept. With `first` it is a
    range, which is asked for again as long as the server measures."""
    headers = {"range": f"bytes={first}-"} if first else {}
    started = time.perf_counter()
    for _ in range(TRIES):
        with client.stream("GET", path, params=params, headers=headers) as answer:
            if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                continue
            answer.raise_for_status()
            assert answer.status_code == (httpx.codes.PARTIAL_CONTENT if first else httpx.codes.OK)
            begun = None
            size = 0
            for piece in answer.iter_raw():
                begun = begun or time.perf_counter() - started
                size += len(piece)
            return size, begun or 0.0, time.perf_counter() - started
    raise SystemExit("the server never knew how long the export is")


def cost_of(pid: int, client: httpx.Client, batches: Batches, question: str, whole: int) -> Cost:
    """Of one question to a process that was asked of the small batch before. `whole` is the size of the
    answer where that is known and only its second half is wanted."""
    tail, params = QUESTIONS[question]
    resumed = question.endswith("resumed")
    for _ in range(3):
        download(client, f"/api/v2/batches/{batches.small}{tail}", params)
    watched = Watched(pid)
    before, cpu = watched.rss, watched.cpu_s
    with watched.watching():
        path = f"/api/v2/batches/{batches.large}{tail}"
        size, first_s, seconds = download(client, path, params, whole // 2 if resumed else 0)
    return Cost(size, first_s, seconds, before / MB, watched.peak / MB, watched.cpu_s - cpu)


def measured(folder: Path, url: str, batches: Batches, rounds: int) -> dict[str, list[Cost]]:
    """All questions, each round of each by a process of its own."""
    found: dict[str, list[Cost]] = {}
    env = {
        **os.environ,
        "BATCHMILL_DATABASE__URL": url,
        "BATCHMILL_BROKER__URL": NO_BROKER,
        "BATCHMILL_STORAGE__URL": (folder / "blobs").as_uri(),
        "BATCHMILL_DATA_DIR": str(folder / "server"),
        "BATCHMILL_SECRET_KEY": "a key of the bench",
    }
    headers = {"authorization": f"Bearer {batches.key}"}
    for question in QUESTIONS:
        whole = found.get(question.removesuffix(", resumed"), [])
        for _ in range(rounds):
            port = free_port()
            with (
                serving(OURS, port, env) as pid,
                httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=300) as client,
            ):
                cost = cost_of(pid, client, batches, question, whole[0].size if whole else 0)
            found.setdefault(question, []).append(cost)
    return found


def told(question: str, costs: Sequence[Cost], files: int) -> Iterator[dict[str, Any]]:
    """The figures of one question, and a line of them."""
    conditions = {"files": files, "cores": os.cpu_count(), "runs": [asdict(one) for one in costs]}
    for what, unit, values in (
        ("grown by", "MB", [one.grown_mb for one in costs]),
        ("speed", "MB/s", [one.mb_a_s for one in costs]),
        ("speed on a core of its own", "MB/s", [one.mb_a_cpu_s for one in costs]),
    ):
        yield {
            "name": f"handover: {question} of {files:,} files, {what}",
            "value": round(statistics.median(values), 3),
            "unit": unit,
            "target": None,
            "met": None,
            "runs": [round(one, 3) for one in values],
            "conditions": conditions,
        }
    one = sorted(costs, key=lambda cost: cost.seconds)[len(costs) // 2]
    print(
        f"{files:>9,} files  {question:24} {one.size / MB:8.1f} MB in {one.seconds:6.1f} s, first byte after"
        f" {one.first_s:5.2f} s, {one.mb_a_s:6.1f} MB/s, {files / one.seconds:8,.0f} files/s,"
        f" {one.cpu_s:5.1f} s of its processor; memory {one.before_mb:.0f} MB, at most {one.peak_mb:.0f} MB",
        flush=True,
    )


def run(folder: Path, files: int, rounds: int) -> list[dict[str, Any]]:
    """One size."""
    folder.mkdir(parents=True, exist_ok=True)
    server = EmbeddedPostgres(folder / "postgres")
    asyncio.run(server.start())
    try:
        batches = asyncio.run(filled(folder, server.url(), files))
        found = measured(folder, server.url(), batches, rounds)
    finally:
        asyncio.run(server.stop())
    return [figure for question, costs in found.items() for figure in told(question, costs, files)]


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Measure, print, and write the figures where they are wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where databases and results are kept")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="batchmill-bench-") as fresh:
        folder: Path = options.folder or Path(fresh)
        found = [
            figure for files in options.files for figure in run(folder / str(files), files, options.rounds)
        ]
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return found


if __name__ == "__main__":
    main()
