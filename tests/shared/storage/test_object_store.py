"""What every blob storage promises, asked of the one that is there."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import obstore
import pytest

from shared.storage import object_store
from shared.storage.object_store import PIECE, ObjectStore
from shared.storage.port import BlobMissing, StorageDown


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore((tmp_path / "blobs").as_uri())


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * size


async def test_bytes_streams_and_files_come_back_whole(store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(b"from a file")
    assert await store.put("a/bytes", b"some bytes") == 10
    assert await store.put("a/stream", pieces(5, PIECE)) == 5 * PIECE
    assert await store.put("a/file", path) == 11
    assert await store.read("a/bytes") == b"some bytes"
    assert await store.read("a/file") == b"from a file"
    streamed = [piece async for piece in await store.stream("a/stream")]
    assert b"".join(streamed) == b"".join([piece async for piece in pieces(5, PIECE)])
    assert len(streamed) > 1


@pytest.mark.parametrize("place", ["folder", "bucket"])
async def test_many_files_are_stored_whole_and_stay(store: ObjectStore, tmp_path: Path, place: str) -> None:
    store = store if place == "folder" else ObjectStore("memory:///")
    files = {f"p/x/r/{number}/t": tmp_path / f"result {number}" for number in range(40)}
    for number, path in enumerate(files.values()):
        path.write_bytes(b"%d" % number * 1_000)
    await store.put_files(files)
    for key, path in files.items():
        assert await store.read(key) == path.read_bytes()
    await store.put_files({})


@pytest.mark.parametrize("place", ["folder", "bucket"])
async def test_many_files_of_which_one_is_gone_are_an_error(
    store: ObjectStore, tmp_path: Path, place: str
) -> None:
    store = store if place == "folder" else ObjectStore("memory:///")
    (tmp_path / "there").write_bytes(b"x")
    with pytest.raises(FileNotFoundError):
        await store.put_files({"a": tmp_path / "there", "b": tmp_path / "gone"})


async def test_many_files_into_a_folder_that_fails_are_a_store_that_is_down(
    store: ObjectStore, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    (tmp_path / "blobs" / "a").write_text("a file where a folder is needed")
    with pytest.raises(StorageDown):
        await store.put_files({"b/c": source, "a/b": source})
    await store.put("installation/mark", b"ours")
    store.hold_to("installation/mark")
    await store.put_files({"b/d": source})
    (tmp_path / "blobs").rename(tmp_path / "away")
    with pytest.raises(StorageDown):
        await store.put_files({"b/e": source})
    assert not (tmp_path / "blobs").exists(), "nothing is put where nobody finds it again"


async def test_many_files_that_take_for_ever_are_a_store_that_is_down(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, go_on = tmp_path / "source", threading.Event()
    source.write_bytes(b"x")
    monkeypatch.setattr(obstore, "put", lambda *_: go_on.wait(20))
    store._patience_s = 0.05
    with pytest.raises(StorageDown, match="no answer"):
        await store.put_files({"a": source})
    go_on.set()


async def test_an_empty_stream_is_an_empty_blob(store: ObjectStore) -> None:
    assert await store.put("empty", pieces(0, 0)) == 0
    assert await store.read("empty") == b""


async def test_a_stream_that_breaks_leaves_nothing_and_keeps_its_own_error(store: ObjectStore) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"x" * 12 * PIECE
        raise ValueError("the sender went away")

    with pytest.raises(ValueError, match="went away"):
        await store.put("half", breaking())
    with pytest.raises(BlobMissing):
        await store.read("half")


async def test_what_is_missing_is_missing_in_every_way(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(BlobMissing):
        await store.read("no")
    with pytest.raises(BlobMissing):
        await store.stream("no")
    with pytest.raises(BlobMissing):
        await store.fetch("no", tmp_path)
    await store.delete("no")


async def test_a_local_blob_is_fetched_in_place(store: ObjectStore, tmp_path: Path) -> None:
    await store.put("p/x/f/y", b"words")
    path = await store.fetch("p/x/f/y", tmp_path)
    assert path.read_bytes() == b"words"
    assert path.parent != tmp_path


async def test_a_store_that_fails_is_down_and_not_missing(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    store = ObjectStore(folder.as_uri())
    (folder / "a").write_text("a file where a folder is needed")
    with pytest.raises(StorageDown):
        await store.put("a/b", b"x")


@pytest.mark.parametrize("left_behind", [True, False])
async def test_a_folder_that_is_not_mounted_is_down_and_loses_nothing(
    store: ObjectStore, tmp_path: Path, left_behind: bool
) -> None:
    await store.put("installation/mark", b"ours")
    await store.put("p/a", b"words")
    store.hold_to("installation/mark")
    blobs = tmp_path / "blobs"
    blobs.rename(tmp_path / "away")
    if left_behind:
        blobs.mkdir()
    for ask in (store.read("p/a"), store.stream("p/a"), store.fetch("p/a", tmp_path), store.put("p/b", b"x")):
        with pytest.raises(StorageDown):
            await ask
    assert not list(blobs.rglob("*")), "nothing is put where nobody finds it again"
    blobs.rmdir() if left_behind else None
    (tmp_path / "away").rename(blobs)
    assert await store.read("p/a") == b"words"
    with pytest.raises(BlobMissing):
        await store.read("p/b")


async def test_an_answer_that_never_comes_is_a_storage_that_is_down(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that has no memory to hand an answer over loses it: who waits would wait for ever."""

    async def lost(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    class Silent:
        def stream(self, **_: object) -> "Silent":
            return self

        def __aiter__(self) -> "Silent":
            return self

        async def __anext__(self) -> bytes:
            await lost()
            raise AssertionError

    store._patience_s = 0.05
    for name in ("put_async", "get_async", "delete_async"):
        monkeypatch.setattr(obstore, name, lost)
    with pytest.raises(StorageDown, match="no answer about key"):
        await store.put("key", b"")
    with pytest.raises(StorageDown, match="no answer about key"):
        await store.read("key")
    with pytest.raises(StorageDown, match="no answer about key"):
        await store.delete("key")
    with pytest.raises(StorageDown, match="did not come in time"):
        _ = [piece async for piece in object_store._pieces(Silent(), 0.05)]


async def test_a_bucket_is_listed_in_pages_and_has_no_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "LISTED_AT_ONCE", 2)
    store = ObjectStore("memory:///")
    for number in range(5):
        await store.put(f"p/x/{number}", b"12")
    await store.put("q/x", b"1")
    pages = [page async for page in store.list_pages("p/")]
    assert [len(page) for page in pages] == [2, 2, 1]
    listed = [one for page in pages for one in page]
    assert {(one.key, one.size_bytes) for one in listed} == {(f"p/x/{number}", 2) for number in range(5)}
    assert all(one.modified.tzinfo is not None for one in listed)
    await store.prune("p/", older_than_s=0)
    assert store.free_bytes() is None


async def test_a_folder_shows_what_a_killed_process_left(store: ObjectStore, tmp_path: Path) -> None:
    await store.put("p/x/f/whole", b"12")
    left = tmp_path / "blobs/p/x/f/half#3"
    left.write_bytes(b"1234")
    listed = [one async for page in store.list_pages("p/x/") for one in page]
    assert {(one.key, one.size_bytes) for one in listed} == {("p/x/f/whole", 2), ("p/x/f/half#3", 4)}
    await store.delete("p/x/f/half#3")
    assert not left.exists()
    await store.delete("p/x/f/half#3")


async def test_no_folder_is_taken_from_under_a_writer(store: ObjectStore, tmp_path: Path) -> None:
    """Put and delete in one folder, side by side: a folder that vanishes would fail the next put."""

    async def come_and_go(name: str) -> None:
        for number in range(200):
            await store.put(f"p/x/f/{name}-{number}", b"1")
            await store.delete(f"p/x/f/{name}-{number}")

    await asyncio.gather(*(come_and_go(str(name)) for name in range(4)))
    assert (tmp_path / "blobs/p/x/f").is_dir()
    await store.prune("p/", older_than_s=3_600)
    assert (tmp_path / "blobs/p/x/f").is_dir()
    await store.prune("p/x/", older_than_s=0)
    assert not (tmp_path / "blobs/p/x").exists()
