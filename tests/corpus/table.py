"""Every hostile file alone under the real caps: `python -m tests.corpus.table [--only laughs]`.

Prints for each its end, its seconds and the most memory that its child held; exits 1 when an end is wrong.
"""

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from services.worker.engines.port import Done, ParseRequest
from services.worker.engines.sandbox import Sandbox
from tests.corpus.files import HOSTILE
from tests.corpus.hostile import Hostile

LOOK_EVERY_S = 0.01


class Peak:
    """The most memory that the processes below this one held together while the block ran, in bytes."""

    def __enter__(self) -> Self:
        self.bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            held = 0
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    held += child.memory_info().rss
            self.bytes = max(self.bytes, held)


def put(folder: Path, name: str, file: Hostile) -> Path:
    """The file in a folder; one that is grown takes no room."""
    path = folder / name
    path.write_bytes(file.make())
    if file.grown_to:
        with path.open("r+b") as grown:
            grown.truncate(file.grown_to)
    return path


async def read_all(only: str, folder: Path) -> bool:
    """Whether all ends were right."""
    right = True
    print("| file | bytes | end | s | peak MB | message |\n| --- | --- | --- | --- | --- | --- |")
    for name, file in HOSTILE.items():
        if only not in name:
            continue
        path = put(folder, name, file)
        sandbox = Sandbox(folder=folder)
        started = time.monotonic()
        with Peak() as peak:
            outcome = await sandbox.run(
                ParseRequest(path, name, {"tier": "cost_effective"}), project_id="corpus"
            )
        seconds = time.monotonic() - started
        await sandbox.close()
        good = isinstance(outcome, Done) and outcome.code in file.ends
        right = right and good
        code = getattr(outcome, "code", outcome) or "COMPLETED"
        said = (getattr(outcome, "message", "") or "")[:90]
        print(
            f"| {name} | {path.stat().st_size} | {code}{'' if good else ' (WRONG)'} | {seconds:.1f}"
            f" | {peak.bytes / 2**20:.0f} | {said} |",
            flush=True,
        )
        path.unlink()
    return right


def main() -> None:
    """Run them all, one after the other, each in a child of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="files whose name holds this")
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory(prefix="batchmill-corpus-") as folder:
        sys.exit(not asyncio.run(read_all(only, Path(folder))))


if __name__ == "__main__":
    main()
