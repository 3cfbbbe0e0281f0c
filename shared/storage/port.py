"""Blob storage, as the rooms see it: keys and bytes."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


class BlobMissing(Exception):
    """No blob lies under this key."""


class StorageDown(Exception):
    """The store cannot be used now: out of reach, full, refused. Never a document's fault."""


class BlobStorage(Protocol):
    """Five ways to the bytes. Every method raises `StorageDown` when the store itself fails."""

    async def put(self, key: str, source: AsyncIterator[bytes] | bytes | Path) -> int:
        """Store a blob whole or not at all, from a stream, bytes or a local file; answers its size
        in bytes. An error of the stream itself is raised as it is."""

    async def read(self, key: str) -> bytes:
        """The whole blob. Raises `BlobMissing`."""

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The blob in pieces; the first is read before this returns. Raises `BlobMissing`."""

    async def fetch(self, key: str, folder: Path) -> Path:
        """A readable local file with the blob's bytes: in place where the store is a folder,
        else a copy in `folder`. Raises `BlobMissing`."""

    async def delete(self, key: str) -> None:
        """Remove it; a missing one is fine."""


class FileKeeper(Protocol):
    """For whoever has many small blobs to store; apart from `BlobStorage`, since nobody else has."""

    async def put_files(self, files: Mapping[str, Path | bytes]) -> None:
        """Store local files, or bytes, as blobs, by key, each whole or not at all. Raises `StorageDown` when
        one of them is not stored; others may be. The files stay."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A blob as a list shows it; `modified` is by the store's clock."""

    key: str
    size_bytes: int
    modified: datetime


class BlobLister(Protocol):
    """What lies in the store, for whoever cleans up; apart from `BlobStorage`, since nobody else may ask."""

    def list_pages(self, prefix: str) -> AsyncIterator[list[Listed]]:
        """Every blob whose key begins with `prefix`, which ends with a slash: in pages of at most 1,000, in
        no order. What is put or removed meanwhile may be in it or not. A local folder shows what a killed
        process left of a blob too, with a `#` in its name. Raises `StorageDown`."""

    async def prune(self, prefix: str, *, older_than_s: float) -> None:
        """Remove empty folders under the prefix that nobody touched for so long, where the store has such."""
