"""How much faster more work processes are.

    python -m tests.bench.work_processes --files 400 --processes 1,2,4

One embedded stack on a fresh folder, without its own worker part: for each run a worker with so many
processes joins it, warms up on a small batch, and a batch over distinct generated PDFs is driven by the
official client; then the worker leaves. Runs are interleaved (1, 2, 4, 1, 2, 4, ...), so that a slow minute
of the machine meets all of them alike. The clock runs from the creation of the batch to its end; uploads are
not in it. Each run has new documents.
"""

import argparse
import asyncio
import io
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from llama_cloud import LlamaCloud
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from services.cli.stack import make_stack
from services.local.parts import Site, StackParts, product_parts
from shared.config import Settings

WORDS = ("invoice", "total", "amount", "page", "river", "meadow", "engine", "paper", "signal", "winter")
FINAL = {"COMPLETED", "FAILED", "CANCELLED"}


def document(seed: int, pages: int) -> bytes:
    """A PDF of its own for each seed."""
    chance, out = random.Random(seed), io.BytesIO()
    canvas = Canvas(out, pagesize=A4)
    for page in range(pages):
        for line in range(45):
            text = " ".join(chance.choices(WORDS, k=9))
            canvas.drawString(60, 780 - 16 * line, f"{seed} {page} {line} {text}")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def without_worker(site: Site) -> StackParts:
    """The product's parts, but for the one that reads documents: that one is what is measured."""
    parts = product_parts(site)
    return StackParts(parts.migrate, tuple(part for part in parts.services if part.name != "worker"))


class Joined:
    """A worker with so many processes, for the length of a block."""

    def __init__(self, folder: Path, urls: dict[str, str], processes: int) -> None:
        self.ready = folder / f"ready-{time.monotonic_ns()}"
        self.env = {**os.environ, **urls, "BATCHMILL_READY_FILE": str(self.ready)}
        self.command = ["worker", "--queues", "parse", "--concurrency", str(processes)]

    def __enter__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "services.cli", *self.command], env=self.env)
        while not self.ready.exists():
            if self.process.poll() is not None:
                raise SystemExit("the worker ended")
            time.sleep(0.05)
        time.sleep(2)  # each process has said that it is there

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


def one_run(client: LlamaCloud, seeds: range, pages: int) -> float:
    """Files a second of one batch; every file must be good."""
    directory = client.beta.directories.create(name=f"bench {seeds.start}")
    for seed in seeds:
        client.beta.directories.files.upload(directory.id, upload_file=(f"{seed}.pdf", document(seed, pages)))
    started = time.monotonic()
    batch = client.batches.create(
        source_directory_id=directory.id,
        config={"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}},
    )
    while (seen := client.batches.get(batch.id, expand=["progress"])).status not in FINAL:
        time.sleep(0.1)
    took = time.monotonic() - started
    progress = getattr(seen, "progress", None) or {}
    if seen.status != "COMPLETED" or progress.get("completed") != len(seeds):
        raise SystemExit(f"the batch ended {seen.status}: {progress}")
    return len(seeds) / took


def measure(client: LlamaCloud, folder: Path, urls: dict[str, str], options: argparse.Namespace) -> None:
    """All runs, interleaved, and the table."""
    counts = [int(part) for part in options.processes.split(",")]
    rates: dict[int, list[float]] = {count: [] for count in counts}
    seed = 0
    for _ in range(options.runs):
        for count in counts:
            warm = seed + 4 * count
            with Joined(folder, urls, count):
                one_run(client, range(seed, warm), options.pages)
                rates[count].append(one_run(client, range(warm, warm + options.files), options.pages))
            seed = warm + options.files
            print(f"  {count} processes: {rates[count][-1]:.1f} files/s", flush=True)
    base = statistics.median(rates[counts[0]])
    cores = os.cpu_count()
    print(f"{options.files} files of {options.pages} pages, {options.runs} runs each, {cores} cores, median:")
    for count in counts:
        median = statistics.median(rates[count])
        spread = f"{min(rates[count]):.1f} to {max(rates[count]):.1f}"
        print(f"  {count} processes: {median:.1f} files/s ({spread}), {median / base:.2f} times {counts[0]}")


async def main() -> None:
    """Start the stack, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--pages", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--processes", default="1,2,4")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="batchmill-bench-") as place:
        settings = Settings(data_dir=Path(place) / "data")
        stack = make_stack(settings, host="127.0.0.1", port=0, concurrency=1, log=print)
        stack._make_parts = without_worker
        async with stack:
            urls = {
                "BATCHMILL_DATABASE__URL": stack.database_url,
                "BATCHMILL_BROKER__URL": stack.broker_url,
                "BATCHMILL_STORAGE__URL": (stack.data.path / "storage").as_uri(),
            }
            with LlamaCloud(base_url=stack.base_url, api_key=stack.project_key) as client:
                await asyncio.to_thread(measure, client, Path(place), urls, options)


if __name__ == "__main__":
    asyncio.run(main())
