"""(d) What a batch costs beside the parser itself: the same generated PDFs by LiteParse alone, and as a
batch, by the same number of processes.

The batch runs from the request that opens it to its end: with rows, leases, the sandbox's process, results
that are stored, compressed and durable. LiteParse alone stores nothing.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.bench.house import REAL, House
from tests.bench.probe import free_cores
from tests.bench.told import Book, figure
from tests.bench.work_processes import document

PROCESSES: Final = 2
KINDS: Final = ((1, 300, 15.0), (10, 60, 5.0))
"""Pages of a file, files, and the overhead in percent that is the target."""
TIERS: Final = ("fast", "cost_effective")


def measure(house: House, book: Book) -> None:
    """Both tiers and both kinds of files in each round, bare and ours beside each other."""
    rounds = 1 if house.quick else 5
    kinds = [(pages, house.sized(files), most) for pages, files, most in KINDS]
    folders = {pages: _documents(house, pages, files) for pages, files, _ in kinds}
    directories = {pages: _uploaded(house, folder) for pages, folder in folders.items()}
    configurations = {tier: house.configuration(tier) for tier in TIERS}
    cells = [(tier, pages, files) for tier in TIERS for pages, files, _ in kinds]
    bare: dict[tuple[str, int], list[float]] = {(tier, pages): [] for tier, pages, _ in cells}
    ours: dict[tuple[str, int], list[float]] = {(tier, pages): [] for tier, pages, _ in cells}
    probes = []
    with house.joined(PROCESSES, command=REAL):
        for tier in TIERS:  # each process's sandbox is warm before the clock runs
            house.run(directories[10], configurations[tier], files=kinds[1][1])
        for _ in range(rounds):
            for tier, pages, files in cells:
                probes.append(free_cores())
                bare[tier, pages].append(_bare(folders[pages], tier) / files * 1000)
                took = house.run(directories[pages], configurations[tier], files=files)
                ours[tier, pages].append(took / files * 1000)
    for tier in TIERS:
        for pages, files, most in kinds:
            mine, other = ours[tier, pages], bare[tier, pages]
            name = f"{tier}, {pages} {'page' if pages == 1 else 'pages'}"
            conditions: dict[str, Any] = {"files": files, "processes": PROCESSES, "cores_free_before": probes}
            book.add(
                figure(f"LiteParse alone, {name}", other, "ms a file", **conditions),
                figure(f"a batch, {name}", mine, "ms a file", **conditions),
                figure(
                    f"overhead of a batch, {name}",
                    [(one / base - 1) * 100 for one, base in zip(mine, other, strict=True)],
                    "%",
                    at_most=most,
                    **conditions,
                ),
            )
            lost = statistics.median(mine) - statistics.median(other)
            print(f"    {name}: {lost:.2f} ms a file more, with {PROCESSES} processes", flush=True)


def _documents(house: House, pages: int, files: int) -> Path:
    folder = house.folder / f"pages-{pages}"
    folder.mkdir()
    for number in range(files):
        (folder / f"{number:04}.pdf").write_bytes(document(pages * 100_000 + number, pages))
    return folder


def _uploaded(house: House, folder: Path) -> str:
    directory = house.client.beta.directories.create(name=folder.name)
    for path in sorted(folder.glob("*.pdf")):
        house.client.beta.directories.files.upload(directory.id, upload_file=path)
    return str(directory.id)


def _bare(folder: Path, tier: str) -> float:
    """Seconds of all files."""
    command = [sys.executable, "-m", "tests.bench.bare_parser", str(folder), "--tier", tier]
    ended = subprocess.run(
        [*command, "--processes", str(PROCESSES)], capture_output=True, text=True, timeout=300, check=False
    )
    if ended.returncode != 0:
        raise RuntimeError(f"LiteParse alone failed: {ended.stderr[-2_000:]}")
    return float(json.loads(ended.stdout.splitlines()[-1])["seconds"])
