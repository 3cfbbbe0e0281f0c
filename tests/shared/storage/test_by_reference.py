"""Files read in place: only below the roots, only ordinary ones, only as they were registered."""

import asyncio
import hashlib
import os
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.storage import by_reference
from shared.storage.by_reference import FileTrouble, NotAllowedHere, Reference, SourceDown, Sources
from shared.storage.path_text import as_text
from shared.storage.roots import roots_of
from shared.storage.sightings import BROKEN, HIDDEN, LEAVES, SPECIAL, Sighting


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "a.txt").write_bytes(b"words of a")
    return folder


@pytest.fixture
def sources(root: Path, tmp_path: Path) -> Sources:
    return Sources(roots_of([str(root)], closed=[root / "keys"]))


async def seen(sources: Sources, folder: Path) -> tuple[dict[str, Sighting], Counter[str]]:
    left_out: Counter[str] = Counter()
    url = await sources.admit(str(folder))
    found = [one async for page in sources.sightings(url, left_out) for one in page]
    return {one.path: one for one in found}, left_out


def as_registered(sighting: Sighting) -> Reference:
    return Reference(sighting.key, sighting.size, sighting.version)


async def one_file(sources: Sources, root: Path) -> Reference:
    return as_registered((await seen(sources, root))[0]["in/a.txt"])


async def test_a_listing_has_ordinary_files_and_counts_the_rest(
    sources: Sources, root: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "x").touch()
    (root / "in" / ".dot").touch()
    (root / "in" / "leaves").symlink_to(secret)
    (root / "in" / "inside").symlink_to(root / "in" / "a.txt")
    (root / "in" / "broken").symlink_to(root / "nothing")
    (root / "in" / "loop").symlink_to(root / "in")
    (root / "in" / "itself").symlink_to(root / "in" / "itself")
    (root / "out").symlink_to(tmp_path)
    os.mkfifo(root / "in" / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "in" / "sock"))
        found, left_out = await seen(sources, root)
    assert set(found) == {"in/a.txt", "in/inside"}
    assert found["in/inside"].key == found["in/a.txt"].key
    assert left_out == {HIDDEN: 2, LEAVES: 2, BROKEN: 2, SPECIAL: 2}


async def test_any_name_comes_back(sources: Sources, root: Path, tmp_path: Path) -> None:
    names = [b"caf\xc3\xa9 #1 50%.txt", b"latin-\xe9.txt", b"a?b&c=d+e", b"line\nbreak", b"back\\x41"]
    for name in names:
        (root / "in" / os.fsdecode(name)).write_bytes(name)
    found, _ = await seen(sources, root / "in")
    assert len(found) == len(names) + 1
    for name in names:
        one = found[as_text(os.fsdecode(name))]
        assert await sources.copy(as_registered(one), tmp_path / "copy") == hashlib.sha256(name).digest()
        assert (tmp_path / "copy").read_bytes() == name


@pytest.mark.parametrize(
    "place",
    ["/", "/etc", "{root}/..", "{root}/../root2", "{root}/in/../..", "{root}/keys", "relative", "", "{root}2",
     "file:///etc", "s3://bucket/x", "s3://", "http://host/x", "{root}/out", "{root}/no\x00ne"],
)  # fmt: skip
async def test_no_place_outside_the_roots_is_admitted(sources: Sources, root: Path, place: str) -> None:
    (root / "keys").mkdir()
    (root.parent / "root2").mkdir()
    (root / "out").symlink_to("/etc")
    with pytest.raises(NotAllowedHere):
        await sources.admit(place.format(root=root))


async def test_a_root_of_everything_still_opens_no_processes_and_no_devices() -> None:
    sources = Sources(roots_of(["/"]))
    for place in ("/proc/self", "/proc", "/dev", "/sys/kernel", "/etc/../proc/self"):
        with pytest.raises(NotAllowedHere):
            await sources.admit(place)


async def test_a_bucket_is_admitted_by_whole_names() -> None:
    sources = Sources(roots_of(["s3://bucket/pre"]))
    assert await sources.admit("s3://bucket/pre/") == "s3://bucket/pre"
    assert await sources.admit("s3://bucket/pre/deep") == "s3://bucket/pre/deep"
    for place in ("s3://bucket", "s3://bucket/prefix", "s3://bucket2/pre", "s3://bucket/pre/../x"):
        with pytest.raises(NotAllowedHere, match="BATCHMILL_STORAGE__ROOTS"):
            await sources.admit(place)


def replaced_by_a_link(root: Path) -> None:
    (root.parent / "secret").write_bytes(b"words of a")
    (root / "in" / "a.txt").unlink()
    (root / "in" / "a.txt").symlink_to(root.parent / "secret")


def folder_replaced_by_a_link(root: Path) -> None:
    (root / "in").rename(root.parent / "elsewhere")
    (root / "in").symlink_to(root.parent / "elsewhere")


def replaced_by_a_pipe(root: Path) -> None:
    (root / "in" / "a.txt").unlink()
    os.mkfifo(root / "in" / "a.txt")


def replaced_by_a_folder(root: Path) -> None:
    (root / "in" / "a.txt").unlink()
    (root / "in" / "a.txt").mkdir()


def same_size_other_words(root: Path) -> None:
    (root / "in" / "a.txt").write_bytes(b"words of b")
    os.utime(root / "in" / "a.txt", ns=(1, 1))


def grown(root: Path) -> None:
    was = (root / "in" / "a.txt").stat()
    (root / "in" / "a.txt").write_bytes(b"words of a and more")
    os.utime(root / "in" / "a.txt", ns=(was.st_atime_ns, was.st_mtime_ns))


def removed(root: Path) -> None:
    (root / "in" / "a.txt").unlink()


@pytest.mark.parametrize(
    ("happens", "says", "retryable"),
    [
        (replaced_by_a_link, "a link lies now", True),
        (folder_replaced_by_a_link, "a link lies now", True),
        (replaced_by_a_pipe, "no ordinary file", True),
        (replaced_by_a_folder, "no ordinary file", True),
        (same_size_other_words, "changed since", False),
        (grown, "changed since", False),
        (removed, "no longer where", True),
    ],
)
async def test_what_is_not_as_registered_is_the_files_own_trouble(
    sources: Sources, root: Path, tmp_path: Path, happens: Callable[[Path], None], says: str, retryable: bool
) -> None:
    (root / "in" / "b.txt").touch()
    file = await one_file(sources, root)
    happens(root)
    with pytest.raises(FileTrouble, match=says) as trouble:
        await asyncio.wait_for(sources.copy(file, tmp_path / "copy"), 20)
    assert trouble.value.retryable is retryable
    assert not (tmp_path / "copy").exists()


async def test_a_file_written_while_it_is_read_is_trouble(
    sources: Sources, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_reference, "PIECE", 4)
    file = await one_file(sources, root)
    pieces = sources.stream(file)
    assert await anext(pieces) == b"word"
    (root / "in" / "a.txt").write_bytes(b"WORDS OF A")
    os.utime(root / "in" / "a.txt", ns=(1, 1))
    with pytest.raises(FileTrouble, match="changed"):
        _ = [piece async for piece in pieces]


async def test_a_root_that_was_taken_away_since_is_the_files_trouble(
    sources: Sources, root: Path, tmp_path: Path
) -> None:
    file = await one_file(sources, root)
    with pytest.raises(FileTrouble, match="BATCHMILL_STORAGE__ROOTS"):
        await Sources(roots_of([str(tmp_path / "other")])).copy(file, tmp_path / "copy")


@pytest.mark.parametrize("left_behind", [True, False])
async def test_a_root_that_is_not_mounted_blames_no_file(
    sources: Sources, root: Path, tmp_path: Path, left_behind: bool
) -> None:
    file, url = await one_file(sources, root), await sources.admit(str(root))
    root.rename(tmp_path / "away")
    if left_behind:
        root.mkdir()
    with pytest.raises(SourceDown):
        await sources.copy(file, tmp_path / "copy")
    with pytest.raises(SourceDown):
        _ = [page async for page in sources.sightings(url, Counter())]


def test_roots_that_name_no_place_are_refused() -> None:
    for text in ("here", "s3://", "gs://bucket", "./x"):
        with pytest.raises(ValueError, match="neither"):
            roots_of([text])
