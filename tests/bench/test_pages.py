"""What the bench writes: the file of figures, the page and chart of them, and the model on paper."""

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.bench import page, scaling
from tests.bench.told import Book, figure

SCALING = Path(__file__).parents[2] / "docs" / "scaling.md"


def test_a_figure_is_the_median_and_is_judged_by_its_target() -> None:
    fast = figure("rate", [30.0, 10.0, 20.0], "files/s", at_least=20)
    slow = figure("delay", [1.0, 3.0, 2.0], "s", at_most=1.5)
    shown = figure("shown", [1.0], "s")
    assert (fast.value, fast.met, fast.target) == (20.0, True, 20)
    assert (slow.value, slow.met) == (2.0, False)
    assert (shown.target, shown.met) == (None, None)


def test_the_book_keeps_what_was_measured_before_and_replaces_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "build" / "bench.json"
    first = Book(path)
    first.begin("a")
    first.add(figure("one", [1.0], "s"))
    first.begin("b")
    first.add(figure("two", [2.0], "s"), figure("of another size", [2.0], "s"))
    second = Book(path, quick=True)
    second.begin("b")
    second.add(figure("two", [3.0], "s"))
    told = {entry["name"]: entry for entry in json.loads(path.read_text())}
    assert {name: entry["value"] for name, entry in told.items()} == {"one": 1.0, "two": 3.0}
    assert set(told["two"]) == {"name", "value", "unit", "target", "met", "runs", "conditions"}
    assert told["two"]["conditions"]["quick"] is True


def test_page_and_chart_are_made_of_the_figures_alone(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    book = Book(path, quick=True)
    book.add(
        figure(page.OURS, [20_000.0, 21_000.0], "files/s", cores_free_before=[float(os.cpu_count() or 1)]),
        figure(f"plain Celery{page.PEER}", [1_000.0, 900.0], "files/s"),
        figure("no-op files a second, times plain Celery", [20.0, 23.0], "times", at_least=20),
        figure("WAL of a no-op file", [1_600.0], "bytes", at_most=1_500),
    )
    page.write(json.loads(path.read_text()), tmp_path)
    words = (tmp_path / page.PAGE).read_text()
    assert "| no-op files a second, times plain Celery | 21.5 times (20 to 23, 2) | 20 | met |" in words
    assert "| WAL of a no-op file | 1,600 bytes (1,600 to 1,600, 1) | 1,500 | **missed** |" in words
    assert "quote none" not in words
    assert "4 of 4 figures are of a quick run" in " ".join(words.split())
    assert all(len(line) <= page.WIDTH for line in words.splitlines() if not line.startswith("|"))
    drawn = ET.fromstring((tmp_path / page.CHART).read_text())  # noqa: S314 - we have just drawn it
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "Batchmill, durable" in texts
    assert "plain Celery" in texts


@pytest.mark.parametrize("run", scaling.MEASURED, ids=lambda run: str(run.files))
def test_the_model_agrees_with_what_was_measured(run: scaling.Run) -> None:
    pairs = (
        (scaling.seconds_of(run), run.seconds),
        (scaling.COSTS.wal_bytes, run.wal_bytes_a_file),
        (run.files * scaling.COSTS.kept_bytes, run.database_bytes),
    )
    known = [(model, seen) for model, seen in pairs if seen is not None]
    assert known
    for model, seen in known:
        assert model == pytest.approx(seen, rel=0.15)


def test_the_page_on_scaling_has_the_tables_of_the_model() -> None:
    words = SCALING.read_text()
    assert scaling.table() in words
    assert scaling.check() in words
