"""How well the engine `rules` reads generated documents: `python -m tests.documents.measure --seeds 0-49`.

Seeds below 1,000 are for developing. Seeds from 10,000 on, and the layouts of `held_out`, are for measuring:
who changes a rule after looking at them must say that they are no longer unseen.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from services.worker.engines import liteparse
from services.worker.engines.port import Source
from services.worker.engines.rules import extract
from shared.jobs.result import ResultDocument
from tests.documents import forms, held_out, invoices, receipts
from tests.documents.sheet import Document

Draw = Callable[[Random], Document]
SEEN: dict[str, Draw] = {
    f"{kind}/{name}": draw
    for kind, layouts in (
        ("invoice", invoices.LAYOUTS),
        ("receipt", receipts.LAYOUTS),
        ("form", forms.LAYOUTS),
    )
    for name, draw in layouts.items()
}
HELD_OUT: dict[str, Draw] = {
    f"{kind}/{name}": draw for kind, layouts in held_out.LAYOUTS.items() for name, draw in layouts.items()
}


@dataclass
class Score:
    """Leaves of some documents: how many the truth has, how many came back, how many of these are right."""

    wanted: int = 0
    returned: int = 0
    right: int = 0
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return self.right / self.wanted if self.wanted else 1.0

    @property
    def precision(self) -> float:
        return self.right / self.returned if self.returned else 1.0

    def add(self, name: str, truth: Any, data: Any) -> None:
        wanted, returned = dict(leaves(truth)), dict(leaves(data))
        self.wanted += len(wanted)
        self.returned += len(returned)
        for path in sorted(wanted.keys() | returned.keys()):
            if path in wanted and path in returned and same(wanted[path], returned[path]):
                self.right += 1
            else:
                self.wrong.append(f"{name} {path}: {wanted.get(path)!r} read as {returned.get(path)!r}")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is not null, with its path."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}".strip("."))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from leaves(part, f"{path}[{place}]")
    elif value is not None:
        yield path, value


def same(truth: Any, value: Any) -> bool:
    """Equal, but for blanks and capitals of texts and half a cent of numbers."""
    if isinstance(truth, bool) or isinstance(value, bool):
        return truth is value
    if isinstance(truth, int | float) and isinstance(value, int | float):
        return abs(truth - value) < 0.005
    return " ".join(str(truth).split()).casefold() == " ".join(str(value).split()).casefold()


def read(content: bytes, folder: Path) -> ResultDocument:
    """The document as the real parser reads it."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        path = Path(own) / "source"
        path.write_bytes(content)
        source = Source(path, "a.pdf", "pdf", Path(own), max_pages=5000, max_result_bytes=2**29)
        return liteparse.parse(source, {"tier": "cost_effective"})


def measure(name: str, draw: Draw, seeds: range, folder: Path) -> Score:
    score = Score()
    for seed in seeds:
        made = draw(Random(f"{name} {seed}"))
        document = read(made.content, folder)
        started = time.perf_counter()
        found = extract(document, {"data_schema": made.schema})
        score.seconds.append(time.perf_counter() - started)
        score.add(f"{name} {seed}", made.truth, found.data)
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0-19", help="first-last")
    parser.add_argument("--layouts", choices=("seen", "held-out", "all"), default="seen")
    parser.add_argument("--only", default="", help="layouts whose name contains this")
    parser.add_argument("--show", type=int, default=0, help="so many wrong leaves of each layout")
    wish = parser.parse_args()
    first, _, last = wish.seeds.partition("-")
    layouts = {"seen": SEEN, "held-out": HELD_OUT, "all": {**SEEN, **HELD_OUT}}[wish.layouts]
    print(f"{'layout':<18} {'leaves':>7} {'recall':>7} {'precision':>10} {'p50 ms':>7} {'p95 ms':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in layouts.items():
            if wish.only in name:
                _report(
                    name,
                    measure(name, draw, range(int(first), int(last or first) + 1), Path(folder)),
                    wish.show,
                )


def _report(name: str, score: Score, show: int) -> None:
    times = sorted(score.seconds)
    middle, late = statistics.median(times) * 1000, times[int(len(times) * 0.95)] * 1000
    figures = f"{score.wanted:>7} {score.recall:>7.3f} {score.precision:>10.3f} {middle:>7.1f} {late:>7.1f}"
    print(f"{name:<18} {figures}")
    for line in score.wrong[:show]:
        print("   ", line)


if __name__ == "__main__":
    main()
