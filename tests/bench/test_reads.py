"""That the bench runs and tells what it should; how fast anything is, is not asked here."""

import json
from pathlib import Path

from tests.bench import reads

TINY = ("--batches", "2000", "--page", "3", "--rounds", "1", "--seconds", "0.2", "--connections", "2")


def test_the_bench_of_reads_runs(tmp_path: Path) -> None:
    told = tmp_path / "build" / "bench.json"
    found = reads.main([*TINY, "--folder", str(tmp_path / "data"), "--json", str(told)])
    assert found == json.loads(told.read_text())
    assert [one["name"] for one in found] == [
        f"reads: {asked}, requests/s as a part of bare" for asked in ("GET by id", "page 1", "page 3")
    ]
    for one in found:
        assert one["value"] > 0
        assert one["conditions"]["ours"][0]["server_us"] >= 0
