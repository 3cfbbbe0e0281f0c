"""What lies in a folder or bucket now, a page at a time: names, sizes and versions, no bytes."""

import asyncio
import os
import stat
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_from_bytes

import obstore
from obstore.exceptions import BaseError

from shared.storage.path_text import as_text
from shared.storage.port import StorageDown

PAGE: Final = 5_000
PAGE_WITHIN_S: Final = 300.0
MAX_PATH_BYTES: Final = 2_500  # what a unique_id may have
HIDDEN: Final = "hidden"
LEAVES: Final = "links that leave the folder"
BROKEN: Final = "broken links"
SPECIAL: Final = "not ordinary files"
CLOSED: Final = "folders that may not be read"
UNNAMED: Final = "names that cannot be kept"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as it lay there. `path` is relative to what was listed, with slashes; `key` is the URL of its
    bytes; `version` changes when they do: the time of change in nanoseconds, or the bucket's etag."""

    path: str
    key: str
    size: int
    version: str
    modified: datetime


async def of_folder(
    folder: Path, left_out: Counter[str], *, skip: Collection[Path] = ()
) -> AsyncIterator[list[Sighting]]:
    """Pages of the ordinary files below a real folder, but not below those of `skip`; what is left out is
    counted by its reason.

    Hidden names and links that leave the folder are left out; a hidden folder counts once. A link to a folder
    inside is passed over in silence: its files are seen under their own path. A folder that cannot be
    listed for another reason than its permissions is `StorageDown`: its files are not gone.
    """
    walk = _below(folder, left_out, frozenset(map(os.fspath, skip)))
    while page := await _next_page(walk):
        yield page


async def of_bucket(
    store: Any, url: str, prefix: str, left_out: Counter[str]
) -> AsyncIterator[list[Sighting]]:
    """The same of the keys below `prefix` in the bucket `url` (`s3://bucket`)."""
    start = f"{prefix}/" if prefix else ""
    try:
        async for listed in obstore.list(store, prefix or None, chunk_size=PAGE):
            seen = (_of_object(meta, url, start, left_out) for meta in listed)
            if page := [one for one in seen if one is not None]:
                yield page
    except (BaseError, OSError) as error:
        raise StorageDown(f"the bucket cannot be listed: {str(error)[:200]}") from error


async def _next_page(walk: Iterator[Sighting]) -> list[Sighting]:
    try:
        async with asyncio.timeout(PAGE_WITHIN_S):
            return await asyncio.to_thread(lambda: list(islice(walk, PAGE)))
    except TimeoutError:
        raise StorageDown("the folder does not answer") from None


def version_of_stat(found: os.stat_result) -> str:
    """The version of a local file."""
    return str(found.st_mtime_ns)


def version_of_object(meta: Any) -> str:
    """The version of an object."""
    return str(meta["e_tag"] or meta["last_modified"].isoformat())


def _below(top: Path, left_out: Counter[str], shut: Collection[str]) -> Iterator[Sighting]:
    waiting, skip = [os.fspath(top)], len(os.fspath(top).rstrip("/")) + 1
    while waiting:
        here = waiting.pop()
        for entry in _entries(here, left_out, is_top=here == os.fspath(top)):
            if entry.name.startswith("."):
                left_out[HIDDEN] += 1
            elif entry.path in shut:
                left_out[CLOSED] += 1
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif (seen := _of_entry(entry, top, skip, left_out)) is not None:
                yield seen


def _entries(folder: str, left_out: Counter[str], *, is_top: bool) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except PermissionError:
        left_out[CLOSED] += 1
    except (FileNotFoundError, NotADirectoryError):
        # Removed since its parent was read; only the top must be there.
        if is_top:
            raise StorageDown("the folder is gone") from None
    except OSError as error:
        raise StorageDown(f"the folder cannot be listed: {error.strerror}") from error


def _of_entry(entry: os.DirEntry[str], top: Path, skip: int, left_out: Counter[str]) -> Sighting | None:
    # Strings, for there may be a million of them: a Path costs ten times as much.
    place = entry.path
    try:
        if entry.is_symlink():
            real = Path(place).resolve(strict=True)
            place = str(real)
            if not real.is_relative_to(top):
                left_out[LEAVES] += 1
                return None
        found = entry.stat()
    except (OSError, RuntimeError) as error:
        if entry.is_symlink():
            left_out[BROKEN] += 1
        elif not isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
            raise StorageDown(f"a file cannot be asked for: {error}") from error
        return None
    if stat.S_ISDIR(found.st_mode):
        return None
    if not stat.S_ISREG(found.st_mode):
        left_out[SPECIAL] += 1
        return None
    name = as_text(entry.path[skip:])
    if len(name.encode()) > MAX_PATH_BYTES:
        left_out[UNNAMED] += 1
        return None
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    key = f"file://{quote_from_bytes(os.fsencode(place))}"
    return Sighting(name, key, found.st_size, version_of_stat(found), modified)


def _of_object(meta: Any, url: str, start: str, left_out: Counter[str]) -> Sighting | None:
    key = str(meta["path"])
    name = key.removeprefix(start)
    if any(part.startswith(".") for part in name.split("/")):
        left_out[HIDDEN] += 1
        return None
    if not name or "\x00" in name or len(name.encode()) > MAX_PATH_BYTES:
        left_out[UNNAMED] += 1
        return None
    place = f"{url}/{quote(key, safe='/')}"
    return Sighting(name, place, int(meta["size"]), version_of_object(meta), meta["last_modified"])
