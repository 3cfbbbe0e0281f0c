"""What a run remembers of the one before."""

from pathlib import Path

import pytest

from services.cli.exits import ExitCode, Stop
from services.cli.run.folder import SourceFile
from services.cli.run.plan import files_to_do
from services.cli.run.results import ResultLog, Row
from services.cli.run.state import FILE, Round, RunState, alone_in, load_state, previous_state

CUT_OFF = RunState(
    "/papers",
    "cfg-PARSE_FAST",
    base_url="http://127.0.0.1:8000",
    finished={"a.txt": "1-1"},
    round=Round("dir-1", {"b.txt": "2-2"}, batch_id="bat-1"),
)


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    assert load_state(tmp_path) is None
    CUT_OFF.save(tmp_path)
    assert load_state(tmp_path) == CUT_OFF
    RunState("/papers", "cfg-1").save(tmp_path)
    assert load_state(tmp_path) == RunState("/papers", "cfg-1")


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


def test_what_is_finished_and_unchanged_is_not_done_again(tmp_path: Path) -> None:
    def file(path: str, mark: str) -> SourceFile:
        return SourceFile(path, str(tmp_path / path), 1, mark)

    log = ResultLog(tmp_path)
    log.append(Row(path, None, None, "COMPLETED") for path in ("same", "changed", "unfinished"))
    state = RunState("/papers", "cfg-1", finished={"same": "1", "changed": "1", "lost": "1"})
    files = [file("same", "1"), file("changed", "2"), file("lost", "1"), file("unfinished", "1")]
    assert [f.path for f in files_to_do(files, state, log)] == ["changed", "lost", "unfinished"]
