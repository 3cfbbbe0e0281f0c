"""That the bench runs and tells what it should; how fast anything is, is not asked here."""

import json
from pathlib import Path

import pytest

from tests.bench import handover


def test_the_bench_of_the_handover_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "SMALL", 50)
    told = tmp_path / "build" / "bench.json"
    found = handover.main(["--files", "2000", "--folder", str(tmp_path / "data"), "--json", str(told)])
    assert found == json.loads(told.read_text())
    assert [one["name"] for one in found] == [
        f"handover: {question} of 2,000 files, {what}"
        for question in handover.QUESTIONS
        for what in ("grown by", "speed", "speed on a core of its own")
    ]
    assert all(one["value"] > 0 for one in found if one["unit"] == "MB/s")
