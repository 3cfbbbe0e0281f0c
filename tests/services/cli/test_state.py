"""What a run remembers of the one before."""

import json
from pathlib import Path

import pytest

from services.cli.exits import ExitCode, Stop
from services.cli.run.folder import SourceFile
from services.cli.run.plan import Wanted, files_to_do
from services.cli.run.planned import FILE as PLANNED
from services.cli.run.planned import Planned
from services.cli.run.results import CANCELLED, COMPLETED, FAILED, NOT_UPLOADED, ResultLog, Row
from services.cli.run.state import FILE, Round, RunState, alone_in, load_state, previous_state

CUT_OFF = RunState(
    "/papers",
    "cfg-PARSE_FAST",
    base_url="http://127.0.0.1:8000",
    round=Round("dir-1", 2, batch_id="bat-1"),
    is_new=False,
)


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    assert load_state(tmp_path) is None
    CUT_OFF.save(tmp_path)
    assert load_state(tmp_path) == CUT_OFF
    RunState("/papers", "cfg-1").save(tmp_path)
    assert load_state(tmp_path) == RunState("/papers", "cfg-1", is_new=False)


def test_what_an_earlier_version_left_is_gone_on_with(tmp_path: Path) -> None:
    kept = {"directory_id": "dir-1", "files": {"b.txt": "2-2", "c.txt": "3-3"}, "batch_id": "bat-1"}
    record = {"folder": "/papers", "config": "cfg-PARSE_FAST", "base_url": "http://127.0.0.1:8000"}
    former = record | {"version": 1, "finished": {"a.txt": "1-1"}, "round": kept}
    (tmp_path / FILE).write_text(json.dumps(former))
    found = load_state(tmp_path)
    assert found is not None
    assert found.round == CUT_OFF.round
    assert found.former == {"a.txt": "1-1", "b.txt": "2-2", "c.txt": "3-3"}
    found.save(tmp_path)
    assert load_state(tmp_path) == CUT_OFF


def test_the_same_dir_and_config_go_on(tmp_path: Path) -> None:
    CUT_OFF.save(tmp_path)
    state, abandoned = previous_state(tmp_path, "/papers", "cfg-PARSE_FAST", fresh=False)
    assert state == CUT_OFF
    assert abandoned is None


def test_another_config_starts_anew_and_gives_the_old_batch_up(tmp_path: Path) -> None:
    CUT_OFF.save(tmp_path)
    state, abandoned = previous_state(tmp_path, "/papers", "cfg-PARSE_AGENTIC", fresh=False)
    assert state == RunState("/papers", "cfg-PARSE_AGENTIC")
    assert abandoned == CUT_OFF.round


def test_another_dir_is_refused_unless_asked_for(tmp_path: Path) -> None:
    CUT_OFF.save(tmp_path)
    with pytest.raises(Stop, match="--fresh") as refused:
        previous_state(tmp_path, "/letters", "cfg-PARSE_FAST", fresh=False)
    assert refused.value.code is ExitCode.USAGE
    state, abandoned = previous_state(tmp_path, "/letters", "cfg-PARSE_FAST", fresh=True)
    assert state.is_new
    assert abandoned == CUT_OFF.round


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 99}', b'{"version": 1, "no": 1}'])
def test_a_file_it_cannot_read_is_refused_unless_a_fresh_start_is_asked_for(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(Stop) as refused:
        previous_state(tmp_path, "/papers", "cfg-1", fresh=False)
    assert refused.value.code is ExitCode.USAGE
    assert previous_state(tmp_path, "/papers", "cfg-1", fresh=True)[0].is_new


def test_two_runs_never_share_an_out(tmp_path: Path) -> None:
    with alone_in(tmp_path / "out"), pytest.raises(Stop, match="Another run"), alone_in(tmp_path / "out"):
        pass
    with alone_in(tmp_path / "out"):
        pass


def test_a_run_that_is_refused_leaves_no_folder_that_it_made(tmp_path: Path) -> None:
    out = tmp_path / "out" / "papers"
    with pytest.raises(Stop), alone_in(out):
        raise Stop("CONFIG was refused")
    assert list(tmp_path.iterdir()) == []
    out.mkdir(parents=True)
    with pytest.raises(Stop), alone_in(out):
        raise Stop("CONFIG was refused")
    assert out.exists(), "it was there before"


def test_a_run_that_breaks_keeps_what_it_wrote(tmp_path: Path) -> None:
    out = tmp_path / "out" / "papers"

    def break_late() -> None:
        CUT_OFF.save(out)
        raise Stop("the stack broke")

    with pytest.raises(Stop), alone_in(out):
        break_late()
    assert load_state(out) == CUT_OFF


def file(path: str, mark: str) -> SourceFile:
    return SourceFile(path, f"/papers/{path}", 1, mark)


def chosen(files: list[SourceFile], planned: Planned, log: ResultLog, wanted: Wanted) -> list[str]:
    return [found.path for found in files_to_do(files, planned, log, wanted)]


def test_which_files_a_run_takes_on(tmp_path: Path) -> None:
    log, planned = ResultLog(tmp_path), Planned(tmp_path)
    ends = {"same": COMPLETED, "changed": COMPLETED, "bad": FAILED, "stopped": CANCELLED}
    log.append(Row(path, None, None, status) for path, status in ends.items())
    log.append([Row("closed", None, None, FAILED, NOT_UPLOADED)])
    planned.add(dict.fromkeys([*ends, "closed", "lost"], "1"))
    files = [file(path, "1") for path in (*ends, "closed", "lost", "new")]
    files[1] = file("changed", "2")
    for kept in (planned, Planned(tmp_path)):
        assert chosen(files, kept, log, Wanted.OPEN) == ["changed", "stopped", "closed", "lost", "new"]
        assert chosen(files, kept, log, Wanted.NEW) == ["lost", "new"]
        assert chosen(files, kept, log, Wanted.FAILED) == ["bad", "stopped", "closed", "lost"]


def test_planning_again_and_again_does_not_grow_the_file_without_end(tmp_path: Path) -> None:
    planned = Planned(tmp_path)
    for mark in range(2_000):
        planned.add({"a": f"{mark}", "b": "same"})
    assert len((tmp_path / PLANNED).read_bytes().splitlines()) < 1_100
    again = Planned(tmp_path)
    assert (again.mark_of("a"), again.mark_of("b")) == ("1999", "same")
    again.keep_only(["b"])
    assert "a" not in Planned(tmp_path)


def test_a_torn_plan_forgets_its_last_line_only(tmp_path: Path) -> None:
    planned = Planned(tmp_path)
    planned.add({"a": "1"})
    planned.add({"b": "1"})
    path = tmp_path / PLANNED
    path.write_bytes(path.read_bytes()[:-3])
    assert ("a" in Planned(tmp_path), "b" in Planned(tmp_path)) == (True, False)
    planned = Planned(tmp_path)
    planned.add({"c": "1"})
    assert Planned(tmp_path).mark_of("c") == "1"
