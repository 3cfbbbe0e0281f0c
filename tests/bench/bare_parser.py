"""LiteParse by itself, as a script over a folder would use it: so many processes, each with its share of the
files, nothing stored.

    python -m tests.bench.bare_parser FOLDER --tier fast --processes 2 [--compiled]

Prints one line of JSON: the seconds between the moment at which all processes stood ready, the library
loaded and one file read, and the end of the last; and the processor seconds of all of them in that time.
`--compiled` leaves the library's last step out, in which a Python object is made of every line with its place
and font: only its compiled part is asked, which is not documented.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import MutableSequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from liteparse import LiteParse


def read(paths: list[Path], options: argparse.Namespace, ready: Barrier, spent: Any, at: int) -> None:
    """One process's share; its processor seconds go to `spent[at]`."""
    output = "text" if options.tier == "fast" else "markdown"
    parser: Any = LiteParse(
        output_format=output, ocr_enabled=False, max_pages=5_000, num_workers=1, quiet=True
    )
    if options.compiled:
        parser = parser._native
    parser.parse(str(paths[0]))
    ready.wait()
    began = time.process_time()
    for path in paths:
        found = parser.parse(str(path))
        if not all(page.text for page in found.pages):
            raise SystemExit(f"{path} has a page without text")
        if options.tier != "fast" and not all(page.markdown for page in found.pages):
            raise SystemExit(f"{path} has a page without markdown")
    spent[at] = time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tier", required=True)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--compiled", action="store_true")
    options = parser.parse_args()
    paths = sorted(options.folder.glob("*.pdf"))
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(options.processes + 1)
    spent: MutableSequence[float] = context.RawArray("d", options.processes)
    shares = [paths[at :: options.processes] for at in range(options.processes)]
    running = [
        context.Process(target=read, args=(share, options, ready, spent, at))
        for at, share in enumerate(shares)
    ]
    for process in running:
        process.start()
    ready.wait(timeout=60)
    started = time.perf_counter()
    for process in running:
        process.join()
    took = time.perf_counter() - started
    if any(process.exitcode for process in running):
        raise SystemExit("a process failed")
    print(json.dumps({"seconds": took, "processor": sum(spent), "files": len(paths)}))


if __name__ == "__main__":
    main()
