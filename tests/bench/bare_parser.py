"""LiteParse by itself, as a script over a folder would use it: so many processes, each with its share of the
files, nothing stored.

    python -m tests.bench.bare_parser FOLDER --tier fast --processes 2

Prints one line of JSON: the seconds between the moment at which all processes stood ready, the library
loaded and one file read, and the end of the last.
"""

import argparse
import json
import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

from liteparse import LiteParse


def read(paths: list[Path], tier: str, ready: Barrier) -> None:
    """One process's share."""
    output = "text" if tier == "fast" else "markdown"
    parser = LiteParse(output_format=output, ocr_enabled=False, max_pages=5_000, num_workers=1, quiet=True)
    parser.parse(paths[0])
    ready.wait()
    for path in paths:
        found = parser.parse(path)
        if not all(page.text for page in found.pages):
            raise SystemExit(f"{path} has a page without text")
        if tier != "fast" and not all(page.markdown for page in found.pages):
            raise SystemExit(f"{path} has a page without markdown")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tier", required=True)
    parser.add_argument("--processes", type=int, required=True)
    options = parser.parse_args()
    paths = sorted(options.folder.glob("*.pdf"))
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(options.processes + 1)
    shares = [paths[at :: options.processes] for at in range(options.processes)]
    running = [context.Process(target=read, args=(share, options.tier, ready)) for share in shares]
    for process in running:
        process.start()
    ready.wait(timeout=60)
    started = time.perf_counter()
    for process in running:
        process.join()
    took = time.perf_counter() - started
    if any(process.exitcode for process in running):
        raise SystemExit("a process failed")
    print(json.dumps({"seconds": took, "files": len(paths)}))


if __name__ == "__main__":
    main()
