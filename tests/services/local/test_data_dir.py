import stat
import subprocess
import sys
from pathlib import Path

import pytest

from services.local.data_dir import DataDir, PartRecord, StackRecord
from services.local.errors import DataFolderRefused, StackAlreadyRunning
from services.local.sockets import LONGEST_FOLDER, make_socket_folder, remove_socket_folder
from tests.services.local.fakes import ROOT


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_private_and_so_is_every_file(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "deep" / "data")
    data.make()
    data.write("project-key", "secret")
    data.secret_key()
    with data.held():
        assert mode(data.path) == 0o700
        assert {path.name: mode(path) for path in data.path.iterdir() if path.is_file()} == {
            "lock": 0o600,
            "project-key": 0o600,
            "secret-key": 0o600,
        }


def test_a_written_file_is_replaced_whole_and_leaves_no_other(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.write("a", "one")
    data.write("a", "two\n")
    assert data.read("a") == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert data.read("nothing") is None


def test_the_secret_key_is_made_once(tmp_path: Path) -> None:
    assert DataDir(tmp_path).secret_key() == DataDir(tmp_path).secret_key()


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(DataFolderRefused, match="cannot be made"):
        DataDir(tmp_path / "data").make()


def test_a_second_holder_is_told_who_has_the_folder(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.make()
    code = (
        "import sys; from services.local.data_dir import DataDir\n"
        "with DataDir(sys.argv[1]).held(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert data.lock.is_taken()
        with pytest.raises(StackAlreadyRunning) as told, data.held():
            pass
        assert told.value.pid == holder.pid
        holder.kill()
    assert not data.lock.is_taken()
    with data.held():
        pass


def test_the_record_comes_back_and_a_torn_one_is_none(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    part = PartRecord("api", 7, 1.5, "python -m x")
    record = StackRecord("http://127.0.0.1:1", "2026-01-01T00:00:00+00:00", True, part, (part,))
    data.write_record(record)
    assert data.record() == record
    data.write("stack.json", '{"base_url": ')
    assert data.record() is None


def test_a_socket_folder_is_short_and_private_and_its_predecessor_goes(tmp_path: Path) -> None:
    note = tmp_path / "note"
    first = make_socket_folder(note)
    second = make_socket_folder(note)
    assert len(bytes(second)) <= LONGEST_FOLDER
    assert mode(second) == 0o700
    assert not first.exists()
    remove_socket_folder(note)
    assert not second.exists()
    assert not note.exists()


def test_a_note_that_names_a_strange_folder_removes_nothing(tmp_path: Path) -> None:
    strange = tmp_path / "documents"
    strange.mkdir(mode=0o700)
    note = tmp_path / "note"
    note.write_text(str(strange))
    remove_socket_folder(note)
    assert strange.exists()


def test_a_long_temporary_folder_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("x" * 100)))
    made = make_socket_folder(tmp_path / "note")
    assert len(bytes(made)) <= LONGEST_FOLDER
    remove_socket_folder(tmp_path / "note")
