"""(d) What a batch costs beside the parser itself: the same generated PDFs by LiteParse alone, and as a
batch, by the same number of processes.

The batch runs from the request that opens it to its end: with rows, leases, the sandbox's process, results
that are stored and compressed. LiteParse alone stores nothing. A large folder shows what a file costs, a
small one what a batch costs, however many files it has; beside seconds there is processor time, of every
process of the stack, which says what the rest of a busy machine cannot hide.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from tests.bench.house import REAL, House
from tests.bench.probe import free_cores
from tests.bench.told import Book, Figure, figure
from tests.bench.work_processes import document

PROCESSES: Final = 2
KINDS: Final = ((1, 6_000, 15.0), (10, 1_200, 5.0))
"""Pages of a file, files, and the overhead in percent that is the target."""
SMALL: Final = 60
TIERS: Final = ("fast", "cost_effective")


@dataclass(frozen=True, slots=True)
class Spent:
    """Milliseconds a file: by the clock, and of processors."""

    clock: float
    processor: float


@dataclass(slots=True)
class Folder:
    """Files of so many pages, as files and as a directory."""

    pages: int
    files: int
    place: Path
    directory: str
    most: float | None
    bare: dict[str, list[Spent]] = field(default_factory=dict)
    compiled: dict[str, list[Spent]] = field(default_factory=dict)
    ours: dict[str, list[Spent]] = field(default_factory=dict)


def measure(house: House, book: Book) -> None:
    """Both tiers and all folders in each round, bare and ours beside each other."""
    rounds = 1 if house.quick else 5
    share = 0.5 if house.quick else 1.0
    folders = []
    for pages, files, most in KINDS:
        folders.append(_folder(house, pages, house.sized(int(files * share)), most))
        folders.append(_folder(house, pages, house.sized(SMALL), None))
    single = _folder(house, 1, 1, None)
    configurations = {tier: house.configuration(tier) for tier in TIERS}
    probes: list[float] = []
    alone: list[float] = []
    with house.joined(PROCESSES, command=REAL) as worker:
        for tier in TIERS:  # each process's sandbox is warm before the clock runs
            house.run(folders[-1].directory, configurations[tier], files=folders[-1].files)
        for _ in range(rounds):
            for tier in TIERS:
                for folder in folders:
                    probes.append(free_cores())
                    folder.bare.setdefault(tier, []).append(_bare(folder, tier))
                    ours = _ours(house, worker.pid, folder, configurations[tier])
                    folder.ours.setdefault(tier, []).append(ours)
                    if folder.most is not None:
                        folder.compiled.setdefault(tier, []).append(_bare(folder, tier, "--compiled"))
            alone.append(house.run(single.directory, configurations[TIERS[0]], files=1) * 1000)
    conditions: dict[str, Any] = {"processes": PROCESSES, "cores_free_before": probes}
    for tier in TIERS:
        for folder in folders:
            told = _large(folder, tier, conditions) if folder.most else [_small(folder, tier, conditions)]
            book.add(*told)
    book.add(figure("a batch, of a single page, from create to end", alone, "ms", **conditions))


def _large(folder: Folder, tier: str, conditions: dict[str, Any]) -> list[Figure]:
    name = f"{tier}, {folder.pages} {'page' if folder.pages == 1 else 'pages'}"
    bare, ours, compiled = folder.bare[tier], folder.ours[tier], folder.compiled[tier]
    more = {"files": folder.files, **conditions}
    return [
        figure(f"LiteParse alone, {name}", [one.clock for one in bare], "ms a file", **more),
        figure(f"a batch, {name}", [one.clock for one in ours], "ms a file", **more),
        figure(
            f"overhead of a batch, {name}",
            [_more(one.clock, base.clock) for one, base in zip(ours, bare, strict=True)],
            "%",
            at_most=folder.most,
            **more,
        ),
        figure(
            f"overhead of a batch, {name}, processor time",
            [_more(one.processor, base.processor) for one, base in zip(ours, bare, strict=True)],
            "%",
            **more,
        ),
        figure(
            f"overhead of a batch, {name}, over the compiled part alone",
            [_more(one.clock, base.clock) for one, base in zip(ours, compiled, strict=True)],
            "%",
            **more,
        ),
    ]


def _small(folder: Folder, tier: str, conditions: dict[str, Any]) -> Figure:
    runs = zip(folder.ours[tier], folder.bare[tier], strict=True)
    return figure(
        f"overhead of a batch, {tier}, {folder.files} files of {folder.pages}",
        [_more(one.clock, base.clock) for one, base in runs],
        "%",
        **conditions,
    )


def _more(ours: float, base: float) -> float:
    return (ours / base - 1) * 100


def _folder(house: House, pages: int, files: int, most: float | None) -> Folder:
    place = house.folder / f"{files}-of-{pages}"
    place.mkdir()
    directory = house.client.beta.directories.create(name=place.name)
    for number in range(files):
        path = place / f"{number:05}.pdf"
        path.write_bytes(document((files * 100 + pages) * 10_000 + number, pages))
        house.client.beta.directories.files.upload(directory.id, upload_file=path)
    return Folder(pages, files, place, str(directory.id), most)


def _bare(folder: Folder, tier: str, *how: str) -> Spent:
    command = [sys.executable, "-m", "tests.bench.bare_parser", str(folder.place), "--tier", tier]
    ended = subprocess.run(
        [*command, "--processes", str(PROCESSES), *how],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if ended.returncode != 0:
        raise RuntimeError(f"LiteParse alone failed: {ended.stderr[-2_000:]}")
    said = json.loads(ended.stdout.splitlines()[-1])
    return Spent(said["seconds"] / folder.files * 1000, said["processor"] / folder.files * 1000)


def _ours(house: House, worker: int, folder: Folder, configuration: str) -> Spent:
    before = _of_everything(house, worker)
    took = house.run(folder.directory, configuration, files=folder.files)
    after = _of_everything(house, worker)
    parts = {
        name: (after[name] - before.get(name, 0.0)) / folder.files * 1000
        for name in sorted(after, key=lambda name: before.get(name, 0.0) - after[name])
    }
    split = ", ".join(f"{name} {spent:.2f}" for name, spent in parts.items() if spent >= 0.005)
    print(f"    {folder.files} files of {folder.pages}: processor ms a file: {split}", flush=True)
    return Spent(took / folder.files * 1000, sum(parts.values()))


def _of_everything(house: House, worker: int) -> dict[str, float]:
    """Processor seconds so far of each part of the stack, and of the worker's processes and their readers,
    those that ended included."""
    spent: dict[str, float] = {}
    for part in house.stack.parts():
        _add(spent, part.name, [psutil.Process(part.pid), *psutil.Process(part.pid).children(recursive=True)])
    process = psutil.Process(worker)
    hands = process.children()
    _add(spent, "worker", [process, *hands])
    _add(spent, "readers", [child for hand in hands for child in hand.children(recursive=True)])
    return spent


def _add(spent: dict[str, float], name: str, processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        own = used.user + used.system
        spent[name] = spent.get(name, 0.0) + own
        if name in ("worker", "readers"):
            ended = used.children_user + used.children_system
            spent["readers"] = spent.get("readers", 0.0) + ended
