"""`batchmill run` after the death of everything, and with a choice of files."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.flows.person import Person, texts, wait_for
from tests.live_stack import start_live_stack
from tests.patience import GIVES_UP_S

FAST = ("papers", "--config", "cfg-PARSE_FAST")


def kill_everything(person: Person, pid: int) -> None:
    """kill -9 of the command and of every part of its stack, as a power cut would."""
    record = json.loads((person.data_dir / "stack.json").read_text())
    parts = [psutil.Process(pid), *(psutil.Process(part["pid"]) for part in record["parts"])]
    everything = {one for part in parts for one in (part, *part.children(recursive=True))}
    for one in everything:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(everything, timeout=GIVES_UP_S)


def test_everything_dies_at_half_and_nothing_is_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(tmp_path, tmp_path / "data")
    files = texts(1_500)
    person.write(files)
    first = person.start(*FAST)
    wait_for(lambda: len(person.lines()) >= 100)
    kill_everything(person, first.pid)
    first.communicate()
    saved = {line["path"]: line for line in person.lines()}
    assert len(saved) < len(files), "the test was too late to see a running batch"
    written = {path: (person.out / line["output"]).stat().st_mtime_ns for path, line in saved.items()}
    batch_id = json.loads((person.out / "run.json").read_text())["round"]["batch_id"]
    summary, complained = person.run(*FAST, "--json")
    found = json.loads(summary)
    assert (found["batch_id"], found["completed"]) == (batch_id, len(files))
    assert found["done_now"] == len(files) - len(saved)
    assert "upload" not in complained, "the stack reads the folder where it lies"
    lines = person.assert_complete(list(files))
    assert {path: lines[path] for path in saved} == saved
    for path, changed in written.items():
        assert (person.out / f"{path}.md").stat().st_mtime_ns == changed, "what is saved is not written again"
    said, complained = person.run(*FAST)
    assert "nothing to do: every file has its result already" in said
    assert "starting the stack" not in complained
    stack = start_live_stack(person.data_dir)
    try:
        stack.assert_exact(batch_id, len(files))
        assert stack.sql("SELECT count(*) FROM batches")[0][0] == 1
    finally:
        stack.close()


def test_a_choice_of_files(person: Person) -> None:
    person.write({"good.txt": b"before", "bad.pdf": b"no pdf"})
    person.run("papers")
    first = person.assert_complete(["good.txt", "bad.pdf"])
    person.write({"good.txt": b"afterwards", "new.txt": b"new"})
    said, complained = person.run("papers", "--only-new")
    assert "upload: 1 of 1 files" in complained
    assert "to do: 1 files, 3 bytes (.txt 1)" in complained
    assert "left for later: 1 " in said
    assert person.assert_complete(["good.txt", "bad.pdf", "new.txt"])["good.txt"] == first["good.txt"]
    _, complained = person.run("papers", "--retry-failed")
    assert "upload: 1 of 1 files" in complained
    again = person.assert_complete(["good.txt", "bad.pdf", "new.txt"])
    assert again["bad.pdf"]["code"] == first["bad.pdf"]["code"]
    assert again["bad.pdf"]["job_id"] != first["bad.pdf"]["job_id"]
    assert again["good.txt"] == first["good.txt"]
    said, _ = person.run("papers", "--only-new")
    assert "nothing to do: no file is of the kind that was asked for" in said
    person.run("papers")
    assert (person.out / "good.txt.md").read_text().strip() == "afterwards"
    _, complained = person.run("papers", "--only-new", "--retry-failed", code=2)
    assert "exclude each other" in complained


def test_a_retry_that_is_cut_off_loses_no_file(person: Person, stack: Any) -> None:
    bad = {f"{i}.pdf": b"no pdf" for i in range(4)}
    person.write(bad)
    person.run("papers", code=3)
    with stack.suspended("api"):
        first = person.start("papers", "--retry-failed")
        wait_for(lambda: "to do: 4 files" in (first.stderr.readline() if first.stderr else ""))
        os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    for path in bad:
        (person.papers / path).write_bytes(b"still none")
    person.run("papers", "--retry-failed", code=3)
    person.assert_complete(list(bad))
    assert "nothing to do" in person.run("papers", code=3)[0]
