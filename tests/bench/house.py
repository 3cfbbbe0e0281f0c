"""The embedded stack of a bench: the product's parts, without the one that reads documents, which joins for
the length of a run."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llama_cloud import LlamaCloud

from services.cli.stack import make_stack
from services.local import postgres
from services.local.parts import Site, StackParts, product_parts
from services.local.stack import Stack
from shared.config import Settings
from tests.bench.rows import Rows, fill

FINAL: Final = ("COMPLETED", "FAILED", "CANCELLED")
NOOP: Final = (sys.executable, "-m", "tests.bench.noop_worker")
REAL: Final = (sys.executable, "-m", "services.cli", "worker")
NO_REUSE: Final = {
    "product_type": "parse_v2",
    "tier": "fast",
    "version": "latest",
    "disable_cache": True,
}


def without_worker(site: Site) -> StackParts:
    """The product's parts, but for the one that reads documents."""
    parts = product_parts(site)
    return StackParts(parts.migrate, tuple(part for part in parts.services if part.name != "worker"))


@dataclass
class House:
    """A running stack as a figure sees it. Used from one thread."""

    stack: Stack
    folder: Path
    client: LlamaCloud
    rows: Rows
    quick: bool
    scale: float = 1.0

    def sized(self, files: int) -> int:
        """So many files, or the part of them that was asked for: a small part shows that a figure can be
        measured, and no more."""
        return max(10, int(files * self.scale))

    @property
    def redis_url(self) -> str:
        """The broker as redis-py takes it."""
        return self.stack.broker_url.replace("redis+socket://", "unix://")

    def configuration(self, tier: str = "fast") -> str:
        """One by which every file is run, whatever was run before."""
        parameters: Any = {**NO_REUSE, "tier": tier}
        return str(self.client.configurations.create(name=f"{tier} anew", parameters=parameters).id)

    def folder_of(self, files: int) -> str:
        """A directory of so many files that share one upload's bytes."""
        directory = self.client.beta.directories.create(name=f"{files} files")
        up = self.client.beta.directories.files.upload(directory.id, upload_file=("file 0.txt", b"x"))
        key = self.rows.value(
            "SELECT f.storage_key FROM files f JOIN directory_files d ON d.file_id = f.id WHERE d.id = $1",
            up.id.removeprefix("dfl-"),
        )
        fill(self.rows, directory.id, key, files - 1)
        return str(directory.id)

    def create(self, directory: str, configuration: str) -> str:
        """A batch; its bare id."""
        made = self.client.batches.create(
            source_directory_id=directory,
            config={"job": {"type": "parse_v2", "configuration_id": configuration}},
        )
        return made.id.removeprefix("bat-")

    def wait(self, question: str, *values: Any, within_s: float = 300, every_s: float = 0.01) -> float:
        """Until the question's value is true; answers the moment, to `every_s` or half a percent of the wait:
        asking takes time from what is measured. Raises `TimeoutError`."""
        began = time.monotonic()
        while not self.rows.value(question, *values):
            waited = time.monotonic() - began
            if waited > within_s:
                raise TimeoutError(f"not within {within_s} s: {question} {values}")
            time.sleep(max(every_s, waited / 200))
        return time.perf_counter()

    def run(self, directory: str, configuration: str, *, files: int) -> float:
        """Seconds from the request that opens a batch to its end; every file of it must be good."""
        started = time.perf_counter()
        batch = self.create(directory, configuration)
        took = self.wait("SELECT wake_at IS NULL FROM batches WHERE id = $1", batch) - started
        status, ok = self.rows.fetch("SELECT status, ok FROM batches WHERE id = $1", batch)[0]
        if (status, ok) != ("COMPLETED", files):
            raise RuntimeError(f"the batch ended {status} with {ok:,} of {files:,} files")
        return took

    def cancel(self, batch: str) -> None:
        """Stop it and wait for its end."""
        self.client.batches.cancel(f"bat-{batch}")
        self.wait("SELECT wake_at IS NULL FROM batches WHERE id = $1", batch, within_s=120)

    @contextlib.contextmanager
    def joined(
        self, processes: int, *, command: Sequence[str] = NOOP, file_s: float = 0.0
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """A worker with so many processes, which have said that they are there, for the length of a block."""
        ready = self.folder / f"ready-{time.monotonic_ns()}"
        env = {
            **os.environ,
            "BATCHMILL_DATABASE__URL": self.stack.database_url,
            "BATCHMILL_BROKER__URL": self.stack.broker_url,
            "BATCHMILL_STORAGE__URL": (self.stack.data.path / "storage").as_uri(),
            "BATCHMILL_READY_FILE": str(ready),
            "BENCH_FILE_S": str(file_s),
        }
        seen = "SELECT count(*) FROM workers WHERE 'parse' = ANY(queues)"
        before = self.rows.value(seen)
        arguments = ["--queues", "parse", "--concurrency", str(processes)]
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen([*command, *arguments], env=env, stderr=log)
        try:
            self.wait(f"SELECT ({seen}) >= $1", before + processes, within_s=60, every_s=0.05)
            yield process
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """In order; one that does not go within ten seconds is killed, as the stack kills it."""
    time.sleep(0.3)  # a bell that was just heard ends first
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        print("    a worker did not end within 10 s and was killed", flush=True)
        process.kill()
        process.wait()


def inside(
    measure: Callable[[House], None],
    *,
    quick: bool,
    scale: float = 1.0,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Run `measure` in a fresh house; `settings` are of PostgreSQL, beside the product's own."""
    with tempfile.TemporaryDirectory(prefix="batchmill-bench-") as place:
        kept = dict(postgres.SETTINGS)
        postgres.SETTINGS.update(settings or {})
        try:
            asyncio.run(_inside(measure, Path(place), quick=quick, scale=scale))
        except BaseException:
            _keep_logs(Path(place))
            raise
        finally:
            postgres.SETTINGS.clear()
            postgres.SETTINGS.update(kept)


async def _inside(measure: Callable[[House], None], place: Path, *, quick: bool, scale: float) -> None:
    stack = make_stack(
        Settings(data_dir=place / "data"), host="127.0.0.1", port=0, concurrency=1, log=lambda _: None
    )
    stack._make_parts = without_worker

    def work() -> None:
        with (
            LlamaCloud(base_url=stack.base_url, api_key=stack.project_key, timeout=120) as client,
            Rows(stack.database_url) as rows,
        ):
            measure(House(stack, place, client, rows, quick, scale))

    async with stack:
        await asyncio.to_thread(work)


def _keep_logs(place: Path) -> None:
    """Beside the figures, for who wants to know why a figure failed."""
    to = Path("build/bench-logs")
    to.mkdir(parents=True, exist_ok=True)
    for log in (*place.glob("*.log"), *place.glob("data/logs/*")):
        if log.is_file():
            shutil.copy(log, to / log.name)
