"""Hostile files and good ones in one batch: each hostile one ends as is right, and no good one notices."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import zstandard

from tests.corpus.conftest import Mill
from tests.corpus.files import HOSTILE, SHORT, good_files
from tests.corpus.hostile import Hostile

FEWEST = 30
MOST_GROWTH = 64 * 2**20


def open_batch(mill: Mill, good: Mapping[str, bytes], hostile: Mapping[str, Hostile]) -> str:
    """A batch in which the good files lie between the hostile ones."""
    client = mill.stack.client
    directory = client.beta.directories.create(name="corpus", type="ephemeral")
    contents = {**good, **{name: file.make() for name, file in hostile.items()}}
    for name in sorted(contents, key=lambda name: name[::-1]):
        client.beta.directories.files.upload(directory.id, upload_file=(name, contents[name]))
    for name, file in hostile.items():
        if file.grown_to:
            (row,) = mill.stack.sql("SELECT storage_key FROM files WHERE name = $1", name)
            with (mill.stack.data_dir / "storage" / row["storage_key"]).open("r+b") as blob:
                blob.truncate(file.grown_to)
    return client.batches.create(
        source_directory_id=directory.id,
        config={"job": {"type": "parse_v2", "configuration_id": mill.stack.anew("cfg-PARSE_COST_EFFECTIVE")}},
    ).id


def ends_of(mill: Mill, batch_id: str) -> dict[str, Any]:
    """The row of each file's job, by the file's name."""
    rows = mill.stack.sql(
        "SELECT f.name, j.* FROM jobs j JOIN directory_files d ON d.id = j.directory_file_id"
        " JOIN files f ON f.id = d.file_id WHERE j.batch_id = $1::uuid",
        batch_id.removeprefix("bat-"),
    )
    return {row["name"]: row for row in rows}


def result_of(mill: Mill, row: Any) -> dict[str, Any]:
    """What was read out of a file, without how long that took."""
    packed = (mill.stack.data_dir / "storage" / row["result_key"]).read_bytes()
    result: dict[str, Any] = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(packed))
    result["job_metadata"] = {
        name: value for name, value in result["job_metadata"].items() if "seconds" not in name
    }
    return result


def held_by_workers(mill: Mill) -> int:
    """Memory of the worker's processes that are no readers of documents, in bytes."""
    held = 0
    for pid in mill.stack.pids("worker"):
        process = psutil.Process(pid)
        if not any("engines.child" in word for word in process.cmdline()):
            held += process.memory_info().rss
    return held


def left_in(scratch: Path) -> list[str]:
    """What documents left behind in the folders of the worker's processes."""
    found = [path for kind in ("sandbox", "worker") for path in scratch.glob(f"batchmill-{kind}-*/**/*")]
    return [str(path.relative_to(scratch)) for path in found if path.is_file() and path.name != "lock"]


def test_the_corpus_is_large() -> None:
    assert len(SHORT) >= FEWEST
    assert len(HOSTILE) > len(SHORT)


def test_no_good_file_notices_its_neighbours(mill: Mill) -> None:
    good = good_files()
    alone = open_batch(mill, good, {})
    assert mill.stack.wait_final(alone) == "COMPLETED"
    expected = {name: result_of(mill, row) for name, row in ends_of(mill, alone).items()}
    before = held_by_workers(mill)

    mixed = open_batch(mill, good, SHORT)
    mill.stack.wait_final(mixed)
    ends = ends_of(mill, mixed)
    wrong = {
        name: (ends[name]["error_code"], ends[name]["error_message"])
        for name, file in SHORT.items()
        if ends[name]["error_code"] not in file.ends
    }
    assert wrong == {}
    assert {name: result_of(mill, ends[name]) for name in good} == expected
    mill.stack.assert_exact(mixed, len(good) + len(SHORT))

    after = held_by_workers(mill)
    print(f"memory of the worker: {before / 2**20:.0f} MB before, {after / 2**20:.0f} MB after")
    assert after - before < MOST_GROWTH
    assert left_in(mill.scratch) == []
