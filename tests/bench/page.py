"""`docs/benchmarks.md` and its chart, written from `build/bench.json` and nothing else."""

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.chart import bars

PAGE: Final = "benchmarks.md"
CHART: Final = "benchmarks.svg"
WIDTH: Final = 116
IDLE: Final = 0.9
NOTES: Final = Path(__file__).parent / "notes.md"
OURS: Final = "no-op files a second, end to end"
PEER: Final = ", one message a file"
Told = Mapping[str, Any]
SECTIONS: Final[Sequence[tuple[str, str, tuple[str, ...]]]] = (
    (
        "Orchestration, beside what people would use instead",
        (
            "A file is nothing here: what is left is what orchestration costs. Ours runs from the request"
            " that opens the batch to its last state, with every row durable; a peer from its first message"
            " to its last end. Two processes work and one hands out, on the same PostgreSQL (`fsync` and"
            " `synchronous_commit` on) and the same Valkey. Durable Celery is Celery with a row a file that"
            " is claimed and completed."
        ),
        (OURS, PEER, "no-op files a second, times"),
    ),
    (
        "From create to the first job, by size",
        "",
        ("spread of", "create to the end", "memory of the", "memory at"),
    ),
    ("Polls, by size", "", ("GET batch",)),
    (
        "A batch beside the parser alone",
        "The same PDFs with the same number of processes. LiteParse alone stores nothing.",
        ("LiteParse alone", "a batch,", "overhead of a batch"),
    ),
    ("A newcomer behind a large batch", "", ("10 files",)),
    ("How exactly a rate is kept", "", ("distance from a rate",)),
    ("Idling", "", ("statements a second", "the same with BEGIN", "processor when idle")),
    (
        "What a file that is nothing costs the database",
        "",
        ("commits a", "WAL of", "updates that", "dead rows a no-op", "seconds of a run under"),
    ),
    ("More processes", "", ("files that wait", "2 processes", "4 processes")),
    ("Twenty minutes of steady load", "", ("long run:",)),
    ("Reads, beside the same SELECT behind the same framework", "", ("reads:",)),
)


def write(figures: Sequence[Told], folder: Path) -> None:
    """Both files, over what is there."""
    (folder / PAGE).write_text(page(figures))
    if rows := _rows(figures):
        (folder / CHART).write_text(bars("Files that are nothing, a second (scale by tens)", rows, "/s"))


def page(figures: Sequence[Told]) -> str:
    """The whole page."""
    parts = ["# Benchmarks\n", _how(figures)]
    if _rows(figures):
        parts.append(f"![Files a second, ours and its peers]({CHART})\n")
    for title, words, beginnings in SECTIONS:
        rows = [one for one in figures if _belongs(one["name"], beginnings)]
        if rows:
            parts.append(f"## {title}\n")
            parts.extend([_filled(words)] if words else [])
            parts.append(_table(rows))
    if NOTES.exists():
        parts.append(NOTES.read_text().strip() + "\n")
    return "\n".join(parts)


def _how(figures: Sequence[Told]) -> str:
    quick = sum(bool(one["conditions"].get("quick")) for one in figures)
    days = sorted({one["conditions"]["on"] for one in figures if "on" in one["conditions"]})
    cores = sorted({str(one["conditions"]["cores"]) for one in figures if "cores" in one["conditions"]})
    free = [value for one in figures for value in one["conditions"].get("cores_free_before", [])]
    words = (
        "`make bench` measures these, writes `build/bench.json`, and this page from it; `QUICK=1` takes five"
        ' minutes instead of forty, `BENCH="a b"` chooses. Do not compare seconds of two machines: compare'
        " ratios, which are taken within one round of one run. A value is the median, in brackets are the"
        f" least, the greatest and the number of runs. Measured on {_list(days)} with {_list(cores)} cores,"
        " which servers, workers and clients share."
    )
    if free:
        words += f" Just before a run, {min(free):g} to {max(free):g} cores were free ({len(free)} looks)."
        if statistics.median(free) < IDLE * int(cores[0]):
            words += " **The machine was busy: quote none of these figures.**"
    if quick:
        words += f" {quick} of {len(figures)} figures are of a quick run, with fewer rounds."
    if small := sum(one["conditions"].get("scale", 1.0) < 1 for one in figures):
        words += f" {small} were only tried, with a part of their files: they say that they can be measured."
    return _filled(words)


def _filled(words: str) -> str:
    return textwrap.fill(words, WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"


def _table(rows: Sequence[Told]) -> str:
    lines = ["| figure | value | target | |", "| --- | --- | --- | --- |"]
    for one in rows:
        spread = ""
        if one["runs"]:
            spread = f" ({_short(min(one['runs']))} to {_short(max(one['runs']))}, {len(one['runs'])})"
        target = "" if one["target"] is None else _short(one["target"])
        met = {True: "met", False: "**missed**"}.get(one["met"], "")
        lines.append(f"| {one['name']} | {_short(one['value'])} {one['unit']}{spread} | {target} | {met} |")
    return "\n".join(lines) + "\n"


def _rows(figures: Sequence[Told]) -> list[tuple[str, float, float, float]]:
    found = []
    for one in figures:
        if one["name"] == OURS or one["name"].endswith(PEER):
            name = "Batchmill, durable" if one["name"] == OURS else one["name"].removesuffix(PEER)
            found.append((name, one["value"], min(one["runs"]), max(one["runs"])))
    return sorted(found, key=lambda row: (not row[0].startswith("Batchmill"), -row[1]))


def _belongs(name: str, beginnings: Sequence[str]) -> bool:
    return any(name.endswith(one) if one == PEER else name.startswith(one) for one in beginnings)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def _list(words: Sequence[str]) -> str:
    return ", ".join(words) if words else "an unknown day"
