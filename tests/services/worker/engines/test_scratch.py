import os
from collections.abc import Callable
from pathlib import Path

import pytest

from services.worker.engines import scratch
from services.worker.engines.port import Done
from services.worker.engines.scratch import PrivateFolder, Scratch, empty, remove, size_of
from tests.services.worker.engines.conftest import Reader


def test_only_a_plain_file_of_sensible_size_is_taken(tmp_path: Path) -> None:
    owned = Scratch(tmp_path)
    work = owned.work_folder()
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (work / "link").symlink_to(secret)
    (work / "hard").hardlink_to(secret)
    (work / "folder").mkdir()
    (work / "empty").touch()
    (work / "large").write_bytes(b"x" * 11)
    os.mkfifo(work / "pipe")
    (work / "good").write_bytes(b"x" * 10)
    for name in ("link", "hard", "folder", "empty", "large", "pipe", "missing"):
        assert owned.take_result(work / name, most_bytes=10) is None, name
    taken = owned.take_result(work / "good", most_bytes=10)
    assert taken is not None
    assert taken.read_bytes() == b"x" * 10
    assert not taken.is_relative_to(work)
    owned.close()
    assert secret.read_text() == "secret"


def test_the_folder_of_a_dead_worker_is_swept_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    dead, living = PrivateFolder("batchmill-sandbox-", tmp_path), Scratch(tmp_path)
    other = PrivateFolder("batchmill-worker-", tmp_path)
    assert dead.path.exists()
    assert dead._lock is not None
    os.close(dead._lock)
    following = Scratch(tmp_path)
    assert not dead.path.exists()
    assert living.folder.exists()
    assert other.path.exists()
    other.close()
    living.close()
    following.close()
    following.close()
    assert list(tmp_path.iterdir()) == []


def test_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    owned = Scratch(tmp_path)
    work = owned.work_folder()
    assert owned.folder.stat().st_mode & 0o777 == 0o700
    assert work.stat().st_mode & 0o777 == 0o700
    assert work != owned.work_folder()
    owned.close()


def test_a_folder_is_measured_and_emptied(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"x" * 1000)
    folder = tmp_path / "folder"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_bytes(b"x" * 30)
    (folder / "file").write_bytes(b"x" * 12)
    assert size_of(folder) == 42
    (folder / "link").symlink_to(outside)
    (folder / "round").symlink_to(folder)
    assert size_of(folder) < 1000
    empty(str(folder))
    assert list(folder.iterdir()) == []
    assert outside.stat().st_size == 1000


def test_a_folder_of_very_many_files_is_endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "_MOST_ENTRIES", 10)
    for number in range(10):
        (tmp_path / str(number)).touch()
    assert size_of(tmp_path) == 0
    for number in range(11):
        (tmp_path / str(number)).touch()
    assert size_of(tmp_path) > 2**60
    for number in range(11):
        (tmp_path / str(number)).unlink()
        (tmp_path / str(number)).mkdir()
    assert size_of(tmp_path) > 2**60


def nest(folder: Path, depth: int) -> None:
    """Folders in each other, far longer than any path may be."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("a", dir_fd=here)
        below = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_folders_in_each_other_without_end_are_endless_and_deleted(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "a").mkdir(parents=True)
    for depth in (1_200, 5_000):
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "link").symlink_to(outside)
        nest(folder, depth)
        assert size_of(folder) > 2**60
        remove(folder)
        assert not folder.exists()
    assert (outside / "a").is_dir()


def test_a_dead_worker_that_left_folders_without_end_stops_no_other(tmp_path: Path) -> None:
    dead = Scratch(tmp_path)
    nest(dead.work_folder(), 1_200)
    assert dead._private._lock is not None
    os.close(dead._private._lock)
    Scratch(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


async def test_what_cannot_be_deleted_beside_a_child_goes_with_it(
    bad: Callable[..., Reader], tmp_path: Path
) -> None:
    reader = bad()
    # Read, or ended when it is looked at in the middle of that.
    assert isinstance(await reader.do("nest"), Done)
    assert await reader.say("read") == "words"
    assert len(list(tmp_path.glob("batchmill-sandbox-*/child-*"))) == 1
    await reader.sandbox.close()
    assert list(tmp_path.glob("batchmill-sandbox-*")) == []
