"""What may be done with directories and the files in them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.directories import repository
from shared.directories.model import Directory, DirectoryFile
from shared.directories.repository import DirectoryFilters, EntryFilters
from shared.errors import Conflict, InvalidInput, NotFound
from shared.files import service as file_service
from shared.files.model import File
from shared.ids import Kind, show

__all__ = [
    "DirectoryFilters",
    "EntryFilters",
    "add_entry",
    "change_directory",
    "change_entry",
    "delete_directory",
    "delete_entries",
    "delete_entry",
    "file_of_entry",
    "find_directory",
    "get_directory",
    "get_entry",
    "insist_on_uploads",
    "list_directories",
    "list_entries",
    "list_references",
    "lock_for_move",
    "move_entry",
    "names_of",
    "open_directory",
]

EPHEMERAL_LIFE_S: Final = 7 * 24 * 3600.0
MAX_UNIQUE_ID: Final = 2_500  # in bytes; the unique index cannot hold an entry of more than 2,704
MAX_METADATA_BYTES: Final = 65_536


async def open_directory(
    uow: UnitOfWork,
    *,
    project_id: UUID,
    name: str,
    kind: str = "user",
    description: str | None = None,
    expires_at: datetime | None = None,
    connector_subscription_id: str | None = None,
    system_metadata: dict[str, Any] | None = None,
) -> Directory:
    """A new directory; names need not be unique (contract 2.1).

    An ephemeral one lives seven days, or until `expires_at` when that is given; a `user` one lives until
    it is deleted, or until `expires_at`. A time that has passed is kept as it is: the directory is over.
    """
    made = Directory(
        project_id=project_id,
        name=name,
        type=kind,
        description=description,
        expires_at=expires_at,
        connector_subscription_id=connector_subscription_id,
        system_metadata=system_metadata,
    )
    lives = EPHEMERAL_LIFE_S if kind == "ephemeral" and expires_at is None else None
    return await repository.add(uow.session, made, lives_s=lives)


async def get_directory(uow: UnitOfWork, project_id: UUID, directory_id: UUID) -> Directory:
    """A live directory of this project; deleted, expired and foreign ones are `NotFound`."""
    found = await repository.get(uow.session, project_id, directory_id)
    if found is None:
        raise NotFound(f"No directory has the id {show(Kind.DIRECTORY, directory_id)}.")
    return found


async def names_of(uow: UnitOfWork, project_id: UUID, directory_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """What these directories of the project are called, deleted ones too; one that is gone has no name."""
    return await repository.names(uow.session, project_id, directory_ids)


async def list_directories(
    uow: UnitOfWork,
    project_id: UUID,
    *,
    filters: DirectoryFilters,
    size: int,
    after: UUID | None = None,
    count: bool = False,
) -> Page[Directory]:
    """A page of directories, newest first."""
    return await repository.page(uow.session, project_id, filters, size=size, after=after, count=count)


async def find_directory(uow: UnitOfWork, directory_id: UUID) -> Directory:
    """A live directory of whatever project, for operators; else `NotFound`."""
    found = await repository.find(uow.session, directory_id)
    if found is None:
        raise NotFound(f"No directory has the id {show(Kind.DIRECTORY, directory_id)}.")
    return found


async def list_references(
    uow: UnitOfWork, project_id: UUID | None, *, size: int, after: UUID | None, count: bool
) -> Page[Directory]:
    """A page of the directories that are read in place, newest first; None: of all projects."""
    return await repository.page_references(uow.session, project_id, size=size, after=after, count=count)


async def change_directory(
    uow: UnitOfWork, project_id: UUID, directory_id: UUID, changes: Mapping[str, Any]
) -> Directory:
    """Change `name` or `description`; what is not in `changes` stays."""
    found = await get_directory(uow, project_id, directory_id)
    return await repository.change(uow.session, found, changes) if changes else found


async def delete_directory(uow: UnitOfWork, project_id: UUID, directory_id: UUID) -> None:
    """Hide the directory. A batch that reads it goes on: rows and bytes stay (protocol rule 7)."""
    await repository.hide(uow.session, await get_directory(uow, project_id, directory_id))


async def add_entry(
    uow: UnitOfWork,
    directory: Directory,
    file: File,
    *,
    display_name: str | None = None,
    unique_id: str | None = None,
    external_file_id: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> DirectoryFile:
    """Place a file in a directory; answers the row of it. Where files are read in place: `Conflict`.

    `unique_id` is the external id or the file's name unless given. When a live file has it and the same
    bytes, that is the answer: an upload sent twice is sent once. With other bytes it is a `Conflict`.
    """
    insist_on_uploads(directory)
    wanted = _unique_id(unique_id or external_file_id or file.external_file_id or _short(file.name))
    values = {
        "project_id": directory.project_id,
        "directory_id": directory.id,
        "file_id": file.id,
        "display_name": file_service.clean_name(display_name or file.name),
        "unique_id": wanted,
        "external_file_id": external_file_id or file.external_file_id,
        "file_metadata": _checked(metadata),
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
    }
    # A holder may be deleted between the two statements; then its place is free and the insert wins.
    for _ in range(3):
        if made := await repository.place(uow.session, values):
            return made
        if holder := await repository.holder_of(uow.session, directory.id, wanted):
            if _same_bytes(holder, file):
                return holder
            break
    raise Conflict(
        f"The directory already has other bytes under the unique_id {wanted!r}. "
        "Delete that file first, or give this one a unique_id of its own."
    )


def insist_on_uploads(directory: Directory) -> None:
    """`Conflict` when the directory's files lie with their owner: then only a sync may say which they are."""
    if directory.source_url is not None:
        raise Conflict(
            "The files of this directory are read in place, from a folder or bucket of its owner. Put the "
            "file there and sync the directory, or upload it into another one."
        )


async def get_entry(uow: UnitOfWork, project_id: UUID, directory_id: UUID, entry_id: UUID) -> DirectoryFile:
    """A live file of a live directory of this project, or `NotFound`."""
    await get_directory(uow, project_id, directory_id)
    found = await repository.get_entry(uow.session, project_id, directory_id, entry_id)
    if found is None:
        raise _no_entry(entry_id)
    return found


async def file_of_entry(uow: UnitOfWork, project_id: UUID, entry_id: UUID) -> UUID:
    """The id of the file that a directory's file points at, or `NotFound`."""
    found = await repository.file_of(uow.session, project_id, entry_id)
    if found is None:
        raise NotFound(f"No directory file has the id {show(Kind.DIRECTORY_FILE, entry_id)}.")
    return found


async def list_entries(
    uow: UnitOfWork,
    project_id: UUID,
    directory_id: UUID,
    *,
    filters: EntryFilters,
    size: int,
    after: UUID | None = None,
    count: bool = False,
) -> Page[DirectoryFile]:
    """A page of the files of a live directory, the last placed first."""
    await get_directory(uow, project_id, directory_id)
    return await repository.page_entries(
        uow.session, directory_id, filters, size=size, after=after, count=count
    )


async def change_entry(
    uow: UnitOfWork, project_id: UUID, directory_id: UUID, entry_id: UUID, changes: Mapping[str, Any]
) -> DirectoryFile:
    """Change `display_name`, `unique_id` or `metadata`; what is not in `changes` stays.

    A `unique_id` that another live file of the directory has is a `Conflict`; where files are read in place
    it is their path, and stays.
    """
    entry = await get_entry(uow, project_id, directory_id, entry_id)
    values: dict[str, Any] = {}
    if changes.get("display_name") is not None:
        values["display_name"] = file_service.clean_name(changes["display_name"])
    if "metadata" in changes:
        values["file_metadata"] = _checked(changes["metadata"])
    if changes.get("unique_id") is not None:
        insist_on_uploads(await get_directory(uow, project_id, directory_id))
        values["unique_id"] = _unique_id(changes["unique_id"])
        holder = await repository.holder_of(uow.session, directory_id, values["unique_id"])
        if holder is not None and holder.id != entry.id:
            raise Conflict(f"The directory already has a file with the unique_id {values['unique_id']!r}.")
    return await repository.change_entry(uow.session, entry, values) if values else entry


async def lock_for_move(uow: UnitOfWork, project_id: UUID, source_id: UUID, target_id: UUID) -> None:
    """Hold two live directories until the commit, so that nobody opens a batch over one meanwhile. `Conflict`
    where files are read in place."""
    for directory_id in (source_id, target_id):
        insist_on_uploads(await get_directory(uow, project_id, directory_id))
    await repository.lock(uow.session, [source_id, target_id])


async def move_entry(
    uow: UnitOfWork,
    project_id: UUID,
    source_id: UUID,
    entry_id: UUID,
    target_id: UUID,
    *,
    unique_id: str | None = None,
) -> DirectoryFile:
    """Put a file into another directory under its `unique_id`, or another one; its id stays. `Conflict` when
    a live file of that directory has the `unique_id`. The caller holds both (`lock_for_move`)."""
    entry = await get_entry(uow, project_id, source_id, entry_id)
    wanted = entry.unique_id if unique_id is None else _unique_id(unique_id)
    if await repository.holder_of(uow.session, target_id, wanted) is not None:
        raise Conflict(
            f"The other directory already has a file with the unique_id {wanted!r}. Give this one another "
            "unique_id with the same request."
        )
    if not await repository.move_entry(uow.session, entry, target_id, wanted):
        raise _no_entry(entry_id)
    return entry


async def delete_entries(
    uow: UnitOfWork, project_id: UUID, directory_id: UUID, entry_ids: Sequence[UUID]
) -> None:
    """Take files out of the directory, all or none: `NotFound` when one of them is not in it."""
    await get_directory(uow, project_id, directory_id)
    wanted = set(entry_ids)
    if await repository.hide_entries(uow.session, directory_id, list(wanted)) != len(wanted):
        raise NotFound("Not all of these files are in the directory, so none of them was deleted.")


async def delete_entry(uow: UnitOfWork, project_id: UUID, directory_id: UUID, entry_id: UUID) -> None:
    """Take the file out of the directory; a batch that has a job for it goes on. One that is moved away at
    the same time is `NotFound`, and stays where it went."""
    entry = await get_entry(uow, project_id, directory_id, entry_id)
    if not await repository.hide_entry(uow.session, entry):
        raise _no_entry(entry_id)


def _no_entry(entry_id: UUID) -> NotFound:
    return NotFound(f"No file of this directory has the id {show(Kind.DIRECTORY_FILE, entry_id)}.")


def _same_bytes(holder: DirectoryFile, file: File) -> bool:
    """A hash that nobody knows yet is equal to none."""
    return holder.file_id == file.id or (file.sha256 is not None and holder.sha256 == file.sha256)


def _unique_id(text: str) -> str:
    kept = text.replace("\x00", "")
    if not 1 <= len(kept.encode("utf-8", "replace")) <= MAX_UNIQUE_ID:
        raise InvalidInput(f"unique_id must have 1 to {MAX_UNIQUE_ID:,} bytes. Give one with the file.")
    return kept


def _short(name: str) -> str:
    """A name as a default unique_id: one that is too long ends in its digest instead."""
    raw = name.encode("utf-8", "replace")
    if len(raw) <= MAX_UNIQUE_ID:
        return name
    return raw[: MAX_UNIQUE_ID - 70].decode("utf-8", "ignore") + "~" + hashlib.sha256(raw).hexdigest()


def _checked(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    """Values may be text, numbers, booleans, null, or lists of text (contract 2.2)."""
    if metadata is None:
        return None
    for key, value in metadata.items():
        plain = value is None or isinstance(value, str | int | float | bool)
        texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not (plain or texts):
            raise InvalidInput(
                f"metadata[{key[:80]!r}] must be text, a number, a boolean, null or a list of text."
            )
    if len(json.dumps(metadata)) > MAX_METADATA_BYTES:
        raise InvalidInput(f"metadata may have {MAX_METADATA_BYTES:,} bytes as JSON.")
    return metadata
