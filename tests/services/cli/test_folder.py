"""What of a folder is taken in."""

import os
from itertools import product
from pathlib import Path

import pytest

from services.cli.run.folder import BROKEN, HIDDEN, LEAVES, SPECIAL, list_folder
from shared.storage.path_text import as_text


def paths(root: Path, *skip: Path) -> list[str]:
    return [file.path for file in list_folder(root, skip=skip).files]


def test_files_come_with_their_relative_paths_in_order(tmp_path: Path) -> None:
    for name in ("b/c/deep.txt", "b/a.pdf", "a.md", "b.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert paths(tmp_path) == ["a.md", "b.txt", "b/a.pdf", "b/c/deep.txt"]
    assert list_folder(tmp_path).folders() == {".", "b", "b/c"}
    assert list_folder(tmp_path).left_out == {}


def test_hidden_names_are_counted_once_each(tmp_path: Path) -> None:
    (tmp_path / ".git" / "objects").mkdir(parents=True)
    (tmp_path / ".git" / "objects" / "1").touch()
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "seen.txt").touch()
    listing = list_folder(tmp_path)
    assert [file.path for file in listing.files] == ["seen.txt"]
    assert listing.left_out == {HIDDEN: 2}


def test_a_link_is_followed_only_inside(tmp_path: Path) -> None:
    root, outside = tmp_path / "in", tmp_path / "outside.txt"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "real.txt").touch()
    outside.touch()
    (tmp_path / "elsewhere").mkdir()
    (root / "file").symlink_to(root / "sub" / "real.txt")
    (root / "folder").symlink_to(root / "sub")
    (root / "up").symlink_to(root)
    (root / "leaves").symlink_to(outside)
    (root / "leaves-too").symlink_to(tmp_path / "elsewhere")
    (root / "broken").symlink_to(root / "nothing")
    (root / "circle").symlink_to(root / "circle")
    listing = list_folder(root)
    assert [file.path for file in listing.files] == ["file", "sub/real.txt"]
    assert listing.left_out == {LEAVES: 2, BROKEN: 2}


def test_a_linked_root_is_the_folder_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert paths(tmp_path / "link") == ["a.txt"]


def test_out_and_the_data_folder_are_not_taken_in(tmp_path: Path) -> None:
    for name in ("a.txt", "out/a.txt.md", "data/storage/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert paths(tmp_path, tmp_path / "out", tmp_path / "data") == ["a.txt"]


def test_what_is_no_ordinary_file_is_counted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert list_folder(tmp_path).left_out == {SPECIAL: 1}


def test_a_name_that_is_no_text_gets_a_path_that_is(tmp_path: Path) -> None:
    name = os.path.join(os.fsencode(tmp_path), b"bad\xff.txt")  # noqa: PTH118 - bytes have no Path
    try:
        os.close(os.open(name, os.O_CREAT))
    except OSError:
        pytest.skip("this file system takes text only")
    (file,) = list_folder(tmp_path).files
    assert file.path == "bad\\xff.txt"
    assert Path(file.on_disk).exists()


def test_the_mark_changes_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one")
    first = list_folder(tmp_path).files[0].mark
    assert list_folder(tmp_path).files[0].mark == first
    file.write_text("three")
    assert list_folder(tmp_path).files[0].mark != first
    second = list_folder(tmp_path).files[0].mark
    os.utime(file, ns=(1, 1))
    assert list_folder(tmp_path).files[0].mark != second


def test_two_names_never_become_one_text() -> None:
    pieces = (b"\\", b"x", b"f", b"\xff")
    names = [b"".join(chosen) for length in range(1, 6) for chosen in product(pieces, repeat=length)]
    texts = {as_text(os.fsdecode(name)) for name in names}
    assert len(texts) == len(names)
    assert as_text("back\\slash.txt") == "back\\slash.txt"
