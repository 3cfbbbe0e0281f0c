"""Blob storage on `obstore`: a local folder, S3, GCS or Azure, chosen by URL."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, from_url

from shared.storage import folder
from shared.storage.port import BlobMissing, Listed, StorageDown

PIECE = 1 << 20
FOLDER_ANSWERS_WITHIN_S = 15.0
BUCKET_ANSWERS_WITHIN_S = 60.0
SLOWEST_BYTES_A_S = 1 << 20
LISTED_AT_ONCE = 1_000
PUT_AT_ONCE = 16
_NOT_OURS = "the storage has lost its mark: is it mounted, or was it emptied?"


class ObjectStore:
    """A `BlobStorage`, a `BlobLister` and a `FileKeeper`. For a `file://` URL the folder is made, private to
    this user.

    Once it is held to a mark, a blob is missing only in a place that has the mark. A folder that is not
    mounted looks like an empty one: without this, every document would seem lost, and results would be put
    where nobody finds them again.

    No answer is waited for without an end: one that the library loses, as it does when a process has no
    memory to hand it over, would hold a file for ever, with its lease renewed beside it. What is late is
    down.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._folder: Path | None = None
        self._mark: str | None = None
        self._patience_s = FOLDER_ANSWERS_WITHIN_S if parts.scheme == "file" else BUCKET_ANSWERS_WITHIN_S
        if parts.scheme == "file":
            self._folder = Path(unquote(parts.path))
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not with automatic_cleanup: it takes folders away that others are about to write into.
            self._store: Any = LocalStore(self._folder)
        else:
            self._store = from_url(url)

    def hold_to(self, mark: str) -> None:
        """From now on the place that has the blob `mark` is the store, and one without it is down."""
        self._mark = mark

    async def put(self, key: str, source: AsyncIterator[bytes] | bytes | Path) -> int:
        """Store a blob whole or not at all; answers its size in bytes."""
        self._insist_on_folder()
        size = await self._store_whole(key, source)
        # Again: unmounted in between, it lies in the empty folder, and must not count as stored.
        self._insist_on_folder()
        return size

    async def _store_whole(self, key: str, source: AsyncIterator[bytes] | bytes | Path) -> int:
        if isinstance(source, bytes):
            await self._put(key, source, size=len(source))
            return len(source)
        if isinstance(source, Path):
            size = source.stat().st_size
            await self._put(key, source, size=size)
            return size
        counted = _Counted(source)
        try:
            await obstore.put_async(self._store, key, counted.pieces(), chunk_size=8 * PIECE)
        except (BaseError, OSError) as error:
            if counted.error is not None:
                raise counted.error from None
            raise StorageDown(str(error)[:300]) from error
        return counted.size

    async def put_files(self, files: Mapping[str, Path | bytes]) -> None:
        """Store local files, or bytes, as blobs, by key: into a bucket some at a time, into a folder all of
        them on one thread, since asking one for each would cost more than the storing."""
        self._insist_on_folder()
        if self._folder is None:
            turn = asyncio.Semaphore(PUT_AT_ONCE)

            async def put(key: str, source: Path | bytes) -> None:
                async with turn:
                    await self._put(key, source, size=_size_of(source))

            ended = await asyncio.gather(*(put(*one) for one in files.items()), return_exceptions=True)
            for error in ended:
                if error is not None:
                    raise error
            return
        size = sum(map(_size_of, files.values()))
        some = next(iter(files), "nothing")
        try:
            await self._do(some, asyncio.to_thread(_put_all, self._store, files), size=size)
        except BlobMissing as error:
            raise StorageDown(f"cannot write {some}") from error
        self._insist_on_folder()

    async def read(self, key: str) -> bytes:
        """The whole blob. Raises `BlobMissing`."""
        found = await self._do(key, obstore.get_async(self._store, key))
        return bytes(await self._do(key, found.bytes_async(), size=found.meta["size"]))

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The blob in pieces of about 1 MiB; a missing one is known before the first piece."""
        found = await self._do(key, obstore.get_async(self._store, key))
        return _pieces(found, self._patience_s)

    async def fetch(self, key: str, folder: Path) -> Path:
        """The blob as a local file: in place when the store is a folder, else a copy in `folder`."""
        if self._folder is not None:
            # A name put together here costs a third of one put together by Path; workers do it for each file.
            path = f"{self._folder}/{key}"
            if not os.path.isfile(path):  # noqa: PTH113 - see above
                if not self._folder.is_dir():
                    raise StorageDown("the storage folder is gone")
                self._insist_on_folder()
                raise BlobMissing(key)
            return Path(path)
        target = folder / key.rsplit("/", 1)[-1]
        try:
            with target.open("wb") as file:
                async for piece in await self.stream(key):
                    file.write(piece)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target

    def in_place(self, key: str) -> Path | None:
        """Where `fetch` would find the blob if it is there, when the store is a folder; None when it would
        have to be copied. Nobody looks."""
        return None if self._folder is None else Path(f"{self._folder}/{key}")

    async def delete(self, key: str) -> None:
        """Remove it; a missing one is fine. A URL is nobody's key here: `ValueError`."""
        if "://" in key:
            raise ValueError(f"not a blob of ours: {key}")
        if self._folder is not None and folder.COLLECTED in key:
            # The library would write the sign as %23.
            (self._folder / key).unlink(missing_ok=True)
            return
        try:
            await self._do(key, obstore.delete_async(self._store, key))
        except BlobMissing:
            return

    async def list_pages(self, prefix: str) -> AsyncIterator[list[Listed]]:
        """Every blob under a prefix, in pages. A folder that is not mounted is no empty store."""
        self._insist_on_folder()
        if self._folder is not None:
            walk = folder.walk(self._folder, prefix, page=LISTED_AT_ONCE)
            while (found := await asyncio.to_thread(next, walk, None)) is not None:
                yield found
            return
        pages = aiter(obstore.list(self._store, prefix, chunk_size=LISTED_AT_ONCE))
        while True:
            try:
                async with asyncio.timeout(self._patience_s):
                    page = await anext(pages)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise StorageDown(f"no list of {prefix} in time") from None
            except (BaseError, OSError) as error:
                raise StorageDown(str(error)[:300]) from error
            yield [Listed(str(one["path"]), int(one["size"]), one["last_modified"]) for one in page]

    async def prune(self, prefix: str, *, older_than_s: float) -> None:
        """Remove empty folders; a bucket has none."""
        if self._folder is not None:
            await asyncio.to_thread(folder.prune, self._folder, prefix, older_than_s=older_than_s)

    def free_bytes(self) -> int | None:
        """Free space of a local store; None where the store does not say."""
        return None if self._folder is None else shutil.disk_usage(self._folder).free

    async def _put(self, key: str, source: bytes | Path, *, size: int) -> None:
        try:
            await self._do(key, obstore.put_async(self._store, key, source), size=size)
        except BlobMissing as error:
            # What is not found when writing is the bucket itself.
            raise StorageDown(f"cannot write {key}") from error

    async def _do(self, key: str, call: Any, *, size: int = 0) -> Any:
        try:
            async with asyncio.timeout(self._patience_s + size / SLOWEST_BYTES_A_S):
                return await call
        except TimeoutError:
            raise StorageDown(f"no answer about {key} in time") from None
        except (NotFoundError, FileNotFoundError):
            await self._insist_on_mark(key)
            raise BlobMissing(key) from None
        except (BaseError, OSError) as error:
            raise StorageDown(str(error)[:300]) from error

    def _insist_on_folder(self) -> None:
        """A local folder is made by whoever writes into it, so its mark is asked for each time: one stat."""
        if self._folder is not None and self._mark is not None and not (self._folder / self._mark).is_file():
            raise StorageDown(_NOT_OURS)

    async def _insist_on_mark(self, missing: str) -> None:
        if self._mark is None or missing == self._mark:
            return
        try:
            await obstore.head_async(self._store, self._mark)
        except (BaseError, OSError) as error:
            raise StorageDown(_NOT_OURS) from error


class _Counted:
    """Counts what flows through, and keeps the source's own error: it is the sender's, not the store's."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self.size = 0
        self.error: BaseException | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._source:
                self.size += len(piece)
                yield piece
        except BaseException as error:
            self.error = error
            raise


def _size_of(source: Path | bytes) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _put_all(store: Any, files: Mapping[str, Path | bytes]) -> None:
    for key, source in files.items():
        obstore.put(store, key, source)


async def _pieces(found: Any, patience_s: float) -> AsyncIterator[bytes]:
    stream = aiter(found.stream(min_chunk_size=PIECE))
    while True:
        try:
            async with asyncio.timeout(patience_s):
                piece = bytes(await anext(stream))
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise StorageDown("the rest of a blob did not come in time") from None
        except (BaseError, OSError) as error:
            raise StorageDown(str(error)[:300]) from error
        yield piece
