"""Storing, finding and hiding files."""

import hashlib
import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput, NotFound
from shared.files import repository
from shared.files.model import PURPOSES, File
from shared.files.repository import FileFilters
from shared.ids import Kind, show
from shared.storage.port import BlobStorage, StorageDown

__all__ = [
    "ORDERS",
    "FileFilters",
    "StoredBytes",
    "add_file",
    "clean_name",
    "delete_file",
    "drop_file",
    "extension_of",
    "files_by_id",
    "get_file",
    "list_files",
    "receive",
    "store_file",
]

NAMELESS: Final = "upload"
MAX_NAME: Final = 3_000
MAX_EXTENSION: Final = 16
ORDERS: Final = {
    "name": "name",
    "name asc": "name",
    "id": "id",
    "id asc": "id",
    "created_at": "created_at",
    "created_at desc": "created_at",
}


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """What lies in storage and has no row yet: its future id, its key, its size and its SHA-256."""

    file_id: UUID
    storage_key: str
    size_bytes: int
    sha256: bytes


@asynccontextmanager
async def receive(
    uow: UnitOfWork, storage: BlobStorage, project_id: UUID, chunks: AsyncIterator[bytes]
) -> AsyncIterator[StoredBytes]:
    """Stream `chunks` to storage, hashed and counted on the way; inside the block they lie there.

    The unit of work is committed first: no transaction is open while bytes come in (law 2). When the
    stream or the block fails, the bytes are removed again. A failing commit after the block removes
    nothing, because the loser of a commit cannot know that it lost.
    """
    file_id = await repository.next_id(uow.session)
    await uow.commit()
    key = f"p/{project_id}/f/{file_id}"
    digest = hashlib.sha256()
    try:
        size = await storage.put(key, _hashed(chunks, digest.update))
        yield StoredBytes(file_id, key, size, digest.digest())
    except BaseException:
        with suppress(StorageDown):
            await storage.delete(key)
        raise


async def add_file(
    uow: UnitOfWork,
    project_id: UUID,
    stored: StoredBytes,
    *,
    name: str,
    purpose: str | None = None,
    external_file_id: str | None = None,
) -> File:
    """The row of stored bytes. Refuses a purpose that the contract does not know."""
    if purpose is not None and purpose not in PURPOSES:
        raise InvalidInput(f"purpose must be one of {', '.join(PURPOSES)}; it was {purpose[:80]!r}.")
    file = File(
        id=stored.file_id,
        project_id=project_id,
        name=name,
        purpose=purpose,
        external_file_id=external_file_id,
        file_type=extension_of(name),
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        storage_key=stored.storage_key,
    )
    return await repository.add(uow.session, file)


async def store_file(
    uow: UnitOfWork,
    storage: BlobStorage,
    project_id: UUID,
    name: str,
    chunks: AsyncIterator[bytes],
    *,
    purpose: str | None = None,
    external_file_id: str | None = None,
) -> File:
    """Bytes first, then the row, for callers who know all about the file before its bytes come."""
    name = clean_name(name)
    async with receive(uow, storage, project_id, chunks) as stored:
        return await add_file(
            uow, project_id, stored, name=name, purpose=purpose, external_file_id=external_file_id
        )


async def drop_file(uow: UnitOfWork, storage: BlobStorage, file: File) -> None:
    """Undo a file of this same transaction: its row, and the bytes that no row will ever point at.

    A store that is down keeps the bytes: they only cost.
    """
    await repository.remove(uow.session, file)
    with suppress(StorageDown):
        await storage.delete(file.storage_key)


async def get_file(uow: UnitOfWork, project_id: UUID, file_id: UUID) -> File:
    """A live file of this project, or `NotFound`."""
    found = await repository.get(uow.session, project_id, file_id)
    if found is None:
        raise NotFound(f"No file has the id {show(Kind.FILE, file_id)}.")
    return found


async def files_by_id(uow: UnitOfWork, project_id: UUID, ids: Sequence[UUID]) -> Mapping[UUID, File]:
    """The project's files among `ids`, deleted ones included, in one query."""
    return {file.id: file for file in await repository.of_ids(uow.session, project_id, ids)}


async def list_files(
    uow: UnitOfWork,
    project_id: UUID,
    *,
    filters: FileFilters,
    order_by: str | None = None,
    size: int,
    after: UUID | None = None,
    count: bool = False,
) -> Page[File]:
    """A page of live files. `order_by`: `name` and `id` rise, `created_at` (the default) falls; the direction
    may stand behind the name, and no other is `InvalidInput`."""
    order = ORDERS.get((order_by or "created_at").strip())
    if order is None:
        raise InvalidInput(f"order_by must be one of {', '.join(ORDERS)}; it was {str(order_by)[:80]!r}.")
    return await repository.page(
        uow.session, project_id, filters, order=order, size=size, after=after, count=count
    )


async def delete_file(uow: UnitOfWork, project_id: UUID, file_id: UUID) -> None:
    """Hide the file; its bytes stay while a directory or a job may need them."""
    await repository.hide(uow.session, await get_file(uow, project_id, file_id))


def clean_name(text: str | None) -> str:
    """A name to show: 1 to 3,000 characters without controls; `upload` when nothing is left of it.

    It may hold path parts as plain text; nothing ever uses it as a path.
    """
    kept = "".join(c for c in text or "" if unicodedata.category(c) not in ("Cc", "Cs")).strip()
    if len(kept) > MAX_NAME:
        raise InvalidInput(f"A file name may have {MAX_NAME:,} characters; this one has {len(kept):,}.")
    return kept or NAMELESS


def extension_of(name: str) -> str | None:
    """The extension of a name, in lower case and without its dot; None when it has none worth the name."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, tail = base.rpartition(".")
    return tail.lower() if dot and stem and tail.isalnum() and len(tail) <= MAX_EXTENSION else None


async def _hashed(chunks: AsyncIterator[bytes], update: Callable[[bytes], None]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        update(chunk)
        yield chunk
