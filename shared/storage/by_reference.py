"""Files that lie with their owner and are read in place: only below the roots, and only as registered.

Nothing here writes. Credentials of a bucket come from the usual variables of the provider.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
import stat
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError, PreconditionError
from obstore.store import from_url

from shared.storage.port import StorageDown
from shared.storage.roots import BUCKET, Roots, as_folder
from shared.storage.sightings import Sighting, of_bucket, of_folder, version_of_object, version_of_stat

PIECE: Final = 1 << 20
ANSWERS_WITHIN_S: Final = 60.0
SLOWEST_BYTES_A_S: Final = 1 << 20
SETTING: Final = "BATCHMILL_STORAGE__ROOTS"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe put in the place of the file must not hold us.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LINKED: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})


class NotAllowedHere(Exception):
    """The place may not be read; the text is safe to show."""


class SourceDown(StorageDown):
    """The place itself cannot be used now: not mounted, out of reach. No file of it is to blame."""


class FileTrouble(Exception):
    """One file cannot be read as it was registered; the text is safe to show."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Reference:
    """A file as it was registered: the URL of its bytes, their size, and their version."""

    key: str
    size: int
    version: str


class Sources:
    """Reads in place what lies below the roots."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._stores: dict[str, Any] = {}

    async def admit(self, text: str) -> str:
        """The URL of a folder or of a place in a bucket that may be read: links followed, one spelling.
        `NotAllowedHere` names the setting; `SourceDown` when the disk does not answer."""
        url: str = await _soon(self._admitted, text)
        return url

    def _admitted(self, text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme == BUCKET and parts.netloc:
            url = f"{BUCKET}://{parts.netloc}{parts.path.rstrip('/')}"
            if ".." in parts.path.split("/") or self._roots.bucket_of(url) is None:
                raise NotAllowedHere(_outside(text))
            return url
        folder = as_folder(text)
        if folder is None:
            raise NotAllowedHere("Name an absolute folder, or s3://bucket/prefix.")
        try:
            real = folder.resolve()
        except (OSError, RuntimeError):
            raise NotAllowedHere(_outside(text)) from None
        if self._roots.folder_of(real) is None:
            # Before asking whether it is there: nobody learns of a place outside what exists in it.
            raise NotAllowedHere(_outside(text))
        if not real.is_dir():
            raise NotAllowedHere(f"There is no folder {text}, or it may not be read.")
        return real.as_uri()

    async def sightings(self, url: str, left_out: Counter[str]) -> AsyncIterator[list[Sighting]]:
        """Pages of what lies below an admitted URL. `NotAllowedHere` when it is admitted no more;
        `SourceDown` when its root is away or bare, for then nothing in it can be called removed."""
        if url.startswith(f"{BUCKET}://"):
            if self._roots.bucket_of(url) is None:
                raise NotAllowedHere(_outside(url))
            bucket, prefix = _bucket_and_key(url)
            pages = of_bucket(self._store(bucket), bucket, prefix, left_out)
            await self._insist_on_bucket(url)
        else:
            folder = await _soon(self._folder_of, url)
            pages = of_folder(folder, left_out, skip=await _soon(self._roots.shut))
        try:
            async for page in pages:
                yield page
        except SourceDown:
            raise
        except StorageDown as error:
            raise SourceDown(str(error)) from error

    async def copy(self, file: Reference, target: Path) -> bytes:
        """Copy the file's bytes to `target`, and answer their SHA-256, taken on the way.

        `FileTrouble` when they are not those that were registered, before or after reading;
        `SourceDown` when their place is away.
        """
        digest = hashlib.sha256()
        try:
            with target.open("wb") as out:
                async for piece in self.stream(file):
                    digest.update(piece)
                    out.write(piece)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return digest.digest()

    async def stream(self, file: Reference) -> AsyncIterator[bytes]:
        """The same bytes in pieces. Trouble that shows only at the end is raised there."""
        read = 0
        async for piece in (
            self._of_object(file) if file.key.startswith(f"{BUCKET}://") else self._of_file(file)
        ):
            read += len(piece)
            yield piece
        if read != file.size:
            raise _changed()

    async def start(self, file: Reference) -> AsyncIterator[bytes]:
        """The same, with the first piece read already: trouble that shows at once is raised here."""
        pieces = self.stream(file)
        first = await anext(pieces, b"")
        return _with(first, pieces)

    async def _of_file(self, file: Reference) -> AsyncIterator[bytes]:
        source = await _soon(self._opened, file)
        try:
            while piece := await _soon(_read_on, source, file):
                yield piece
        finally:
            source.close()

    async def _of_object(self, file: Reference) -> AsyncIterator[bytes]:
        if self._roots.bucket_of(file.key) is None:
            raise FileTrouble(_outside(file.key), retryable=True)
        bucket, key = _bucket_and_key(file.key)
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                found = await obstore.get_async(self._store(bucket), key)
            if (found.meta["size"], version_of_object(found.meta)) != (file.size, file.version):
                raise _changed()
            async with asyncio.timeout(ANSWERS_WITHIN_S + file.size / SLOWEST_BYTES_A_S):
                async for piece in found.stream(min_chunk_size=PIECE):
                    yield bytes(piece)
        except (NotFoundError, FileNotFoundError):
            await self._insist_on_bucket(file.key)
            raise _gone() from None
        except PreconditionError:
            raise _changed() from None
        except TimeoutError:
            raise SourceDown(f"no answer about {file.key} in time") from None
        except (BaseError, OSError) as error:
            raise SourceDown(str(error)[:300]) from error

    def _folder_of(self, url: str) -> Path:
        folder = Path(unquote(urlsplit(url).path, errors="surrogateescape"))
        root = self._root_of(folder)
        if folder.resolve() != folder:
            raise NotAllowedHere(f"{folder} is reached by a link now.")
        _insist_on_root(root)
        return folder

    def _root_of(self, path: Path) -> Path:
        root = self._roots.folder_of(path)
        if root is None or ".." in path.parts:
            raise NotAllowedHere(_outside(str(path)))
        return root

    def _opened(self, file: Reference) -> IO[bytes]:
        """The file as it was registered, opened without following a link anywhere below its root."""
        path = Path(unquote(urlsplit(file.key).path, errors="surrogateescape"))
        try:
            root = self._root_of(path)
            source = _without_links(root, path)
        except NotAllowedHere as error:
            raise FileTrouble(str(error), retryable=True) from None
        except FileNotFoundError:
            _insist_on_root(root)
            raise _gone() from None
        except PermissionError:
            raise FileTrouble("The file may not be read by this worker.", retryable=True) from None
        except OSError as error:
            if error.errno in _LINKED:
                raise FileTrouble(
                    "Where the file or a folder above it was, a link lies now; it is not followed.",
                    retryable=True,
                ) from None
            raise SourceDown(f"the folder cannot be read: {error.strerror}") from error
        try:
            _insist_on_version(source, file)
        except BaseException:
            source.close()
            raise
        return source

    async def _insist_on_bucket(self, url: str) -> None:
        root = self._roots.bucket_of(url)
        bucket, prefix = _bucket_and_key(root or url)
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                listed = obstore.list(self._store(bucket), prefix or None, chunk_size=1)
                async for _ in listed:
                    return
        except (BaseError, OSError, TimeoutError) as error:
            raise SourceDown(f"the bucket cannot be read: {str(error)[:200]}") from error
        raise SourceDown(f"nothing lies in {root or url}: is it the right bucket?")

    def _store(self, bucket: str) -> Any:
        if bucket not in self._stores:
            self._stores[bucket] = from_url(bucket)
        return self._stores[bucket]


def _without_links(root: Path, path: Path) -> IO[bytes]:
    *folders, name = path.relative_to(root).parts
    with contextlib.ExitStack() as opened:
        here = os.open(root, _FOLDER)
        opened.callback(os.close, here)
        for part in folders:
            here = os.open(part, _FOLDER, dir_fd=here)
            opened.callback(os.close, here)
        # Asked before it is opened, because to open a device can do something; and after, in case it changed.
        mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
            raise _not_ordinary()
        source = os.fdopen(os.open(name, _FILE, dir_fd=here), "rb", buffering=0)
    if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
        source.close()
        raise _not_ordinary()
    return source


def _insist_on_root(root: Path) -> None:
    """A folder that is not mounted looks like one that is empty: of neither may a file be called gone."""
    try:
        with os.scandir(root) as entries:
            bare = next(entries, None) is None
    except OSError as error:
        raise SourceDown(f"the root {root} cannot be read: {error.strerror}") from error
    if bare:
        raise SourceDown(f"nothing lies in the root {root}: is it mounted?")


def _read_on(source: IO[bytes], file: Reference) -> bytes:
    """The next piece; nothing at the end, when the file is still what it was at the start."""
    if not (piece := source.read(PIECE)):
        _insist_on_version(source, file)
    return piece


def _insist_on_version(source: IO[bytes], file: Reference) -> None:
    found = os.fstat(source.fileno())
    if (found.st_size, version_of_stat(found)) != (file.size, file.version):
        raise _changed()


async def _soon(ask: Any, *arguments: Any) -> Any:
    """The answer of a call on the disk; one that does not come is a place that is down."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            return await asyncio.to_thread(ask, *arguments)
    except TimeoutError:
        raise SourceDown("the folder does not answer") from None
    except OSError as error:
        raise SourceDown(f"the folder cannot be read: {error.strerror}") from error


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _bucket_and_key(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", unquote(parts.path).strip("/")


def _outside(place: str) -> str:
    return f"{place} does not lie below one of the places in {SETTING}."


def _gone() -> FileTrouble:
    return FileTrouble("The file is no longer where it was registered.", retryable=True)


def _changed() -> FileTrouble:
    return FileTrouble("The file changed since it was registered. Sync its directory.", retryable=False)


def _not_ordinary() -> FileTrouble:
    return FileTrouble("What lies there now is no ordinary file.", retryable=True)
