"""`results.jsonl` and the results themselves survive a crash at any byte."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.exits import Stop
from services.cli.run.output import NameRefused, clear_partial, output_name, write_result
from services.cli.run.results import COLUMNS, COMPLETED, FILE, ResultLog, Row


def row(path: str, status: str = COMPLETED) -> Row:
    return Row(path, f"dfl-{path}", f"pjb-{path}", status, pages=1, seconds=0.5, output=f"{path}.md")


def paths_of(out: Path) -> list[str]:
    return [found.path for found in ResultLog(out).rows()]


def test_a_line_has_exactly_the_promised_fields(tmp_path: Path) -> None:
    ResultLog(tmp_path).append([row("ä.pdf")])
    (line,) = (tmp_path / FILE).read_text(encoding="utf-8").splitlines()
    assert list(json.loads(line)) == [
        "path",
        "directory_file_id",
        "job_id",
        "status",
        "code",
        "message",
        "pages",
        "seconds",
        "output",
    ]
    assert tuple(json.loads(line)) == COLUMNS


def test_a_torn_last_line_is_cut_wherever_it_was_torn(tmp_path: Path) -> None:
    ResultLog(tmp_path).append([row("a"), row("b")])
    path = tmp_path / FILE
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole)):
        path.write_bytes(whole[:end])
        assert paths_of(tmp_path) == ["a"]
        assert path.read_bytes() == whole[:first]
    path.write_bytes(whole[: first - 1])
    assert paths_of(tmp_path) == []
    assert path.read_bytes() == b""


def test_a_line_of_zeros_as_a_power_cut_leaves_it_is_passed_over(tmp_path: Path) -> None:
    ResultLog(tmp_path).append([row("a")])
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"\0" * 100 + b"\n")
    log = ResultLog(tmp_path)
    log.append([row("b")])
    assert paths_of(tmp_path) == ["a", "b"]


def test_the_last_line_of_a_path_wins_and_compacting_keeps_one_each(tmp_path: Path) -> None:
    log = ResultLog(tmp_path)
    log.append([row("a", "CANCELLED"), row("b"), row("c")])
    log.append([row("a")])
    assert log.added == 4
    log.keep_only(["a", "b", "unknown"])
    again = ResultLog(tmp_path)
    assert list(again.rows()) == [row("b"), row("a")] == list(log.rows())
    assert again.end_of("a") == (COMPLETED, None)
    assert again.end_of("c") is None
    log.append([row("c", "FAILED")])
    assert [found.path for found in log.rows()] == ["b", "a", "c"]
    assert log.end_of("c") == ("FAILED", None)
    assert len((tmp_path / FILE).read_bytes().splitlines()) == 3


def test_a_file_that_already_says_only_that_is_not_written_again(tmp_path: Path) -> None:
    log = ResultLog(tmp_path)
    log.keep_only([])
    assert (tmp_path / FILE).read_bytes() == b"", "a folder of nothing has a file of nothing"
    log.append([row("a"), row("b")])
    before = (tmp_path / FILE).stat()
    ResultLog(tmp_path).keep_only(["b", "a", "unknown"])
    assert (tmp_path / FILE).stat().st_ino == before.st_ino


def test_nothing_to_append_touches_nothing(tmp_path: Path) -> None:
    ResultLog(tmp_path).append([])
    assert not (tmp_path / FILE).exists()


def test_results_of_different_files_never_share_a_name() -> None:
    folders = {".", "a.md", "a.md.md/x"}
    sources = ["a", "b", "b.md", "a.md/b", "a.txt"]
    names = [output_name(source, ".md", folders) for source in sources]
    assert names == ["a.md.md", "b.md", "b.md.md", "a.md/b.md", "a.txt.md"]
    assert len(set(names)) == len(names)
    assert not set(names) & folders


def test_a_result_is_whole_and_leaves_no_rest(tmp_path: Path) -> None:
    write_result(tmp_path, "deep/er/a.md", b"first")
    write_result(tmp_path, "deep/er/a.md", b"second")
    clear_partial(tmp_path)
    assert (tmp_path / "deep/er/a.md").read_bytes() == b"second"
    assert {path.name for path in tmp_path.rglob("*")} == {"deep", "er", "a.md"}


@pytest.mark.parametrize("name", ["x" * 300 + ".md", "taken/a.md"])
def test_a_name_that_cannot_be_is_the_fault_of_one_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(NameRefused):
        write_result(tmp_path, name, b"text")
    clear_partial(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_full_disk_ends_the_run_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    log = ResultLog(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    writes: list[Callable[[], None]] = [
        lambda: write_result(tmp_path, "a.md", b"text"),
        lambda: log.append([row("a")]),
        lambda: log.keep_only(["a"]),
    ]
    for write in writes:
        with pytest.raises(Stop, match=r"Cannot write to .*No space left"):
            write()
    assert not (tmp_path / "a.md").exists()
