"""What a bench tells: figures with their target, and the file that keeps them."""

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One number as `build/bench.json` has it: the median of `runs`. `target` is None for what is shown and
    not judged; `met` is None then."""

    name: str
    value: float
    unit: str
    target: float | None
    met: bool | None
    runs: list[float]
    conditions: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """The figure for a person."""
        spread = f" ({_short(min(self.runs))} to {_short(max(self.runs))}, {len(self.runs)} runs)"
        judged = "" if self.target is None else f"; target {_short(self.target)}: {_word(self.met)}"
        return f"{self.name}: {_short(self.value)} {self.unit}{spread if self.runs else ''}{judged}"


def figure(
    name: str,
    runs: Sequence[float],
    unit: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    **conditions: Any,
) -> Figure:
    """A figure from its runs, judged against a floor or a ceiling when one is given."""
    value = statistics.median(runs)
    target = at_least if at_least is not None else at_most
    met = None
    if at_least is not None:
        met = value >= at_least
    elif at_most is not None:
        met = value <= at_most
    return Figure(name, _rounded(value), unit, target, met, [_rounded(one) for one in runs], dict(conditions))


class Book:
    """The figures of this run. Each is printed and written down as soon as it is known, so a run that fails
    leaves what it has; what a file held of other figures stays in it."""

    def __init__(self, path: Path, *, quick: bool = False, scale: float = 1.0) -> None:
        self._path = path
        today = date.today().isoformat()  # noqa: DTZ011 - for people
        self._said = {"quick": quick, "scale": scale, "on": today, "cores": os.cpu_count()}
        self._kept: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
        self._bench = ""
        self.figures: list[Figure] = []

    def begin(self, bench: str) -> None:
        """What follows is of this part of the bench; what an earlier run told of it is forgotten."""
        self._bench = bench
        self._kept = [one for one in self._kept if one["conditions"].get("bench") != bench]

    def add(self, *figures: Figure) -> None:
        """Print and write."""
        for one in figures:
            one.conditions.update(self._said, bench=self._bench)
            self.figures.append(one)
            print(f"  {one.line()}", flush=True)
        self.write()

    def write(self) -> None:
        """Whole or not at all."""
        fresh = {one.name for one in self.figures}
        kept = [one for one in self._kept if one["name"] not in fresh]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps([*kept, *(asdict(one) for one in self.figures)], indent=1) + "\n")
        beside.replace(self._path)


def _rounded(value: float) -> float:
    return round(value, 1) if abs(value) >= 100 else float(f"{value:.4g}")


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def _word(met: bool | None) -> str:
    return "met" if met else "MISSED"
