"""`make bench`: the figures of this project beside its peers.

    python -m tests.bench [--quick] [--write-docs [--measure-nothing]] [NAME ...]

Without names, all of them but `long`. Each prints what it measured with its target; all go into
`build/bench.json`, also when one fails. `--write-docs` writes `docs/benchmarks.md` and its chart from that
file. Exit 1 when a figure could not be measured; a target that is missed is told and is no error.
"""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench import (
    costs,
    idle,
    long_run,
    newcomers,
    orchestration,
    page,
    parsing,
    peer,
    polls,
    processes,
    rates,
    spreading,
)
from tests.bench.house import House, inside
from tests.bench.told import Book

JSON: Final = Path("build/bench.json")
DOCS: Final = Path("docs")


@dataclass(frozen=True, slots=True)
class Bench:
    """A figure of the list: what it is about, how it is measured, what PostgreSQL needs for it beside the
    product's settings. `usual`: part of a run without names."""

    title: str
    measure: Callable[[House, Book], None]
    settings: Mapping[str, str] = field(default_factory=dict)
    usual: bool = True


EVERY: Final[dict[str, Bench]] = {
    "a": Bench("no-op files a second, beside its peers", orchestration.measure),
    "b": Bench("spread, first job and memory by size", spreading.measure),
    "c": Bench("polls by size", polls.measure),
    "d": Bench("a batch beside the parser alone", parsing.measure),
    "e": Bench("a newcomer behind a large batch", newcomers.measure),
    "f": Bench("how a rate is kept", rates.measure),
    "g": Bench("what idling costs", idle.measure, idle.SERVER),
    "h": Bench("what a file costs the database", costs.measure),
    "i": Bench("more processes", processes.measure),
    "long": Bench("twenty minutes of steady load", long_run.measure, usual=False),
}


def run(name: str, book: Book, *, quick: bool, scale: float) -> bool:
    """Measure one figure in a house of its own; whether it could be measured."""
    bench = EVERY[name]
    print(f"({name}) {bench.title}", flush=True)
    book.begin(name)
    started = time.monotonic()
    try:
        inside(partial(_measured, bench, book), quick=quick, scale=scale, settings=bench.settings)
    except Exception:  # noqa: BLE001 - the other figures shall be measured all the same; the end says so
        traceback.print_exc()
        return False
    print(f"  took {time.monotonic() - started:.0f} s", flush=True)
    return True


def _measured(bench: Bench, book: Book, house: House) -> None:
    bench.measure(house, book)


def main() -> None:
    """What was asked for, in the order of the letters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EVERY))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: about five minutes")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of all files; 0.02 only tries whether it works"
    )
    parser.add_argument("--write-docs", action="store_true", help="of all that build/bench.json holds")
    parser.add_argument("--measure-nothing", action="store_true", help="only write the docs")
    options = parser.parse_args()
    if unknown := set(options.names) - set(EVERY):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(EVERY)}")
    names = (
        []
        if options.measure_nothing
        else options.names or [name for name, bench in EVERY.items() if bench.usual]
    )
    if "a" in names and not peer.is_there():
        raise SystemExit(f"{peer.PYTHON} is not there; 'make bench' makes it")
    book = Book(JSON, quick=options.quick, scale=options.scale)
    failed = [name for name in names if not run(name, book, quick=options.quick, scale=options.scale)]
    book.write()
    missed = [one.name for one in book.figures if one.met is False]
    print(f"{len(book.figures)} figures in {JSON}; targets missed: {'; '.join(missed) or 'none'}")
    if options.write_docs:
        page.write(json.loads(JSON.read_text()), DOCS)
        print(f"written: {DOCS / page.PAGE} and {DOCS / page.CHART}")
    if failed:
        print(f"could not be measured: {', '.join(failed)}; logs are in build/bench-logs", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
