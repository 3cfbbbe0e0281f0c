"""`batchmill run` as a person uses it: from a folder to results, through crashes and changes of mind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from services.cli.run.command import SAMPLES
from tests.flows.person import ENV, Person, texts, wait_for
from tests.patience import GIVES_UP_S


def batches_of(stack: Any, since: int) -> int:
    with stack.client as client:
        return len(list(client.batches.list(page_size=100))) - since


def batches_now(stack: Any) -> int:
    return batches_of(stack, 0)


def test_the_samples_with_a_stack_of_its_own(tmp_path: Path) -> None:
    person = Person(tmp_path, tmp_path / "data")
    said, _ = person.run()
    assert f"{len(list(SAMPLES.rglob('*.*')))} files: " in said
    assert "0 failed" in said
    out = tmp_path / "out" / "samples"
    assert "| South | 1,530 | 604,900 |" in (out / "quarterly-report.pdf.md").read_text()
    assert "impeller blade" in (out / "scanned-letter.pdf.md").read_text()
    assert "1. Close the inlet valve." in (out / "maintenance-plan.docx.md").read_text()
    assert "| HP-22-120 impeller | HP-22 | B1 | 3 |" in (out / "spare-parts.xlsx.md").read_text()
    assert "second pump" in (out / "notes" / "meeting.txt.md").read_text()
    assert not (tmp_path / "data" / "stack.json").exists(), "what it started, it stops"
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.md")}
    said, complained = person.run()
    assert "nothing to do" in said
    assert "quarterly-report.pdf.md" in said
    assert "starting" not in complained
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.md")} == before


def test_one_bad_file_is_one_line(person: Person) -> None:
    good = {"a.txt": b"first", "deep/er/b.md": b"# second"}
    bad = {"broken.pdf": b"no pdf", "empty.txt": b""}
    person.write(good | bad | {".hidden": b"x"})
    (person.papers / "leaves").symlink_to("/etc/hostname")
    said, _ = person.run("papers")
    lines = person.assert_complete([*good, *bad])
    assert lines["broken.pdf"]["code"] == "PDF_IS_BROKEN"
    assert lines["empty.txt"]["code"] == "NO_DATA_FOUND_IN_FILE"
    assert lines["deep/er/b.md"]["directory_file_id"].startswith("dfl-")
    assert lines["deep/er/b.md"]["job_id"].startswith("pjb-")
    assert (person.out / "deep/er/b.md.md").read_text().strip() == "# second"
    assert said.index("broken.pdf") < said.index("a.txt")
    assert "4 files: 2 completed, 2 failed" in said
    assert "left out: hidden 1, links that leave the folder 1" in said
    assert max(map(len, said.splitlines()[:10])) <= 80


def test_when_every_file_fails_it_is_3(person: Person) -> None:
    person.write({"broken.pdf": b"no pdf"})
    person.run("papers", code=3)
    person.run("papers", code=3)


def test_results_come_while_the_batch_runs_and_a_kill_loses_none(person: Person, stack: Any) -> None:
    files = texts(1_500)
    person.write(files)
    since = batches_now(stack)
    first = person.start("papers", "--config", "cfg-PARSE_FAST")
    wait_for(lambda: len(person.lines()) >= 10)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    saved = {line["path"]: (person.out / line["output"]).stat().st_mtime_ns for line in person.lines()}
    assert len(saved) < len(files), "the test was too late to see a running batch"
    person.run("papers", "--config", "cfg-PARSE_FAST")
    person.assert_complete(list(files))
    for path, changed in saved.items():
        assert (person.out / f"{path}.md").stat().st_mtime_ns == changed, "what is saved is not written again"
    assert batches_of(stack, since) == 1


def test_a_kill_while_uploading_goes_on_with_the_same_directory(person: Person, stack: Any) -> None:
    files = texts(150)
    person.write(files)
    since = batches_now(stack)
    first = person.start("papers", "--config", "cfg-PARSE_FAST")

    def files_held() -> int:
        state = person.out / "run.json"
        if not state.exists() or (kept := json.loads(state.read_text())["round"]) is None:
            return 0
        with stack.client as client:
            return sum(1 for _ in client.beta.directories.files.list(kept["directory_id"], page_size=1_000))

    wait_for(lambda: files_held() >= 10)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    uploaded = files_held()
    assert uploaded < len(files), "the test was too late to see an upload"
    _, complained = person.run("papers", "--config", "cfg-PARSE_FAST")
    assert "upload: 150 of 150 files" in complained
    person.assert_complete(list(files))
    assert batches_of(stack, since) == 1


def test_ctrl_c_is_130_and_says_how_to_go_on(person: Person) -> None:
    files = texts(1_500)
    person.write(files)
    process = person.start("papers", "--config", "cfg-PARSE_FAST")
    wait_for((person.out / "run.json").exists)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=GIVES_UP_S)
    assert process.returncode == 130
    assert "run the same command again" in complained
    assert "Traceback" not in complained
    assert said == ""
    person.run("papers", "--config", "cfg-PARSE_FAST")
    person.assert_complete(list(files))


def test_only_new_and_changed_files_are_done_again(person: Person) -> None:
    person.write({"same.txt": b"same", "changed.txt": b"before", "gone.txt": b"gone"})
    person.run("papers")
    job = person.assert_complete(["same.txt", "changed.txt", "gone.txt"])["same.txt"]["job_id"]
    person.write({"changed.txt": b"afterwards", "new.txt": b"new"})
    (person.papers / "gone.txt").unlink()
    said, complained = person.run("papers")
    assert "upload: 2 of 2 files" in complained
    lines = person.assert_complete(["same.txt", "changed.txt", "new.txt"])
    assert lines["same.txt"]["job_id"] == job
    assert (person.out / "changed.txt.md").read_text().strip() == "afterwards"
    assert "3 files: 3 completed" in said


def test_another_config_or_a_fresh_start_does_all_again(person: Person) -> None:
    person.write(texts(3))
    person.run("papers")
    parameters = person.folder / "mine.json"
    parameters.write_text('{"tier": "fast"}')
    _, complained = person.run("papers", "--config", "mine.json")
    assert "upload: 3 of 3 files" in complained
    _, complained = person.run("papers", "--config", "mine.json", "--fresh")
    assert "upload: 3 of 3 files" in complained
    person.assert_complete(list(texts(3)))


def test_another_folder_does_not_mix_with_what_is_in_out(person: Person) -> None:
    person.write({"a.txt": b"a"})
    person.run("papers")
    (person.folder / "letters").mkdir()
    (person.folder / "letters" / "b.txt").write_bytes(b"b")
    _, complained = person.run("letters", "--out", "out/papers", code=2)
    assert "--fresh" in complained
    person.run("letters", "--out", "out/papers", "--fresh")
    assert [line["path"] for line in person.lines()] == ["b.txt"]


def test_a_file_that_cannot_be_read_is_one_line_and_is_tried_again(person: Person) -> None:
    long_name = "x" * 251 + ".txt"
    person.write({"a.txt": b"a", "closed.txt": b"c", long_name: b"its output has no room for .md"})
    (person.papers / "closed.txt").chmod(0)
    readable = os.access(person.papers / "closed.txt", os.R_OK)  # root reads everything
    person.run("papers")
    lines = {line["path"]: line for line in person.lines()}
    assert lines[long_name]["status"] == "COMPLETED"
    assert "could not be named" in lines[long_name]["message"]
    if not readable:
        assert lines["closed.txt"]["code"] == "NOT_UPLOADED"
        (person.papers / "closed.txt").chmod(0o600)
        person.run("papers")
        assert {line["status"] for line in person.lines()} == {"COMPLETED"}


def test_an_unknown_configuration_is_2(person: Person) -> None:
    person.write({"a.txt": b"a"})
    _, complained = person.run("papers", "--config", "cfg-NOBODY_MADE_THIS", code=2)
    assert "cfg-NOBODY_MADE_THIS" in complained
    assert not (person.folder / "out").exists()


def test_a_config_that_is_refused_costs_no_results_of_another(person: Person) -> None:
    person.write({"a.txt": b"a"})
    person.run("papers")
    before = person.assert_complete(["a.txt"])
    (person.folder / "wrong.json").write_text('{"tier": "fastest"}')
    _, complained = person.run("papers", "--config", "wrong.json", code=2)
    assert "tier" in complained
    assert person.assert_complete(["a.txt"]) == before
    assert "nothing to do" in person.run("papers")[0]


def test_a_cancelled_batch_is_1_and_the_next_run_does_the_rest(person: Person, stack: Any) -> None:
    files = texts(150)
    person.write(files)
    with stack.suspended("worker"):
        process = person.start("papers", "--config", "cfg-PARSE_FAST")

        def batch_id() -> str | None:
            state = person.out / "run.json"
            round_ = json.loads(state.read_text()).get("round") if state.exists() else None
            return round_ and round_.get("batch_id")

        wait_for(lambda: batch_id() is not None)
        with stack.client as client:
            client.batches.cancel(batch_id())
    cancelled = batch_id()
    _, complained = process.communicate(timeout=GIVES_UP_S)
    assert process.returncode == 1
    assert f"batch {cancelled} is CANCELLED" in complained
    person.run("papers", "--config", "cfg-PARSE_FAST")
    person.assert_complete(list(files))


def test_batches_and_keys_are_shown(person: Person) -> None:
    person.write({"a.txt": b"a"})
    found = json.loads(person.run("papers", "--json")[0])
    data_dir = ("--data-dir", str(person.data_dir))

    def ask(*arguments: str) -> str:
        env = ENV | {"BATCHMILL_DATA_DIR": str(person.data_dir)}
        command = [sys.executable, "-m", "services.cli", *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    assert found["batch_id"] in ask("batches", "list", *data_dir)
    assert (
        json.loads(ask("batches", "list", "--limit", "1", "--json", *data_dir))[0]["id"] == found["batch_id"]
    )
    assert (
        json.loads(ask("batches", "get", found["batch_id"], "--json", *data_dir))["progress"]["completed"]
        == 1
    )
    key = ask("keys", "create", "--name", "for a friend").strip()
    assert key.startswith("bmk_")
    listed = ask("keys", "list")
    assert "for a friend" in listed
    assert key not in listed
    assert "revision" in ask("migrate")
    assert "FAIL" not in ask("doctor").replace("FAIL  disk", "")


def test_an_extraction_gives_json_and_says_how_much_was_found(person: Person) -> None:
    person.write(
        {"a.txt": b"Invoice Number: INV-7\nTotal: 12.50\n", "b.txt": b"nothing of this is an invoice"}
    )
    config = person.folder / "receipt.json"
    schema = {"type": "object", "properties": {"Invoice Number": {"type": "string"}}}
    config.write_text(json.dumps({"data_schema": schema}))
    said, _ = person.run("papers", "--config", str(config))
    lines = person.assert_complete(["a.txt", "b.txt"])
    assert {path: (line["output"], line["message"]) for path, line in lines.items()} == {
        "a.txt": ("a.txt.json", "1 of 1 values"),
        "b.txt": ("b.txt.json", "no values"),
    }
    assert json.loads((person.out / "a.txt.json").read_text()) == {"Invoice Number": "INV-7"}
    assert "no values: 1" in said
    schema["type"] = "array"
    config.write_text(json.dumps({"data_schema": schema}))
    _, complained = person.run("papers", "--config", str(config), "--fresh", code=2)
    assert "schema_validation" in complained
