"""Directories by reference: the rows of files that stay where they are.

A first reading and a later one are the same work. It runs in pages, each a short transaction, and may be
broken off anywhere: a directory is seen by nobody before its first reading has ended, and whoever asks for
the same again goes on with it.
"""

import hashlib
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from shared.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from shared.directories import ledger, repository, service
from shared.directories.ledger import NewReference
from shared.directories.model import Directory
from shared.errors import Conflict, InvalidInput, NotFound
from shared.files import service as file_service
from shared.ids import Kind, show
from shared.storage.by_reference import NotAllowedHere, Sources
from shared.storage.sightings import Sighting

PAGE: Final = 5_000


@dataclass(slots=True)
class Reading:
    """What a reading found: `files` and `bytes` that are there now, and how the rows changed."""

    files: int = 0
    bytes: int = 0
    new: int = 0
    changed: int = 0
    removed: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def same(self) -> int:
        """Files whose row stayed as it was."""
        return self.files - self.new - self.changed


async def add(
    units: UnitOfWorkFactory, sources: Sources, *, project_id: UUID, name: str, url: str
) -> tuple[Directory, Reading]:
    """A directory over a folder or bucket, with the files in it now. Asked again after it was broken off, it
    goes on. Refuses a place outside the roots (`InvalidInput`); `StorageDown` when it cannot be read."""
    place = await _admitted(sources, url)
    async with units() as uow:
        directory_id = await ledger.begun(uow.session, project_id, name, place)
        if directory_id is None:
            made = Directory(project_id=project_id, name=name, source_url=place)
            directory_id = (await repository.add(uow.session, made, lives_s=None)).id
        await uow.commit()
    reading = await _read(units, sources, project_id, directory_id, place)
    async with units() as uow:
        return await service.get_directory(uow, project_id, directory_id), reading


async def sync(
    units: UnitOfWorkFactory, sources: Sources, *, project_id: UUID, directory_id: UUID
) -> Reading:
    """Bring the rows to what lies there now. A changed file is a new row, so a batch that was opened before
    keeps its list. Twice at once, and again after any break, ends the same."""
    async with units() as uow:
        directory = await service.get_directory(uow, project_id, directory_id)
    if directory.source_url is None:
        raise Conflict("The files of this directory were uploaded: there is no folder to sync it with.")
    return await _read(units, sources, project_id, directory_id, directory.source_url)


async def _admitted(sources: Sources, url: str) -> str:
    try:
        return await sources.admit(url)
    except NotAllowedHere as error:
        raise InvalidInput(str(error)) from None


async def _read(
    units: UnitOfWorkFactory, sources: Sources, project_id: UUID, directory_id: UUID, url: str
) -> Reading:
    reading, present = Reading(), array("Q")
    async with units() as uow:
        await _hold(uow, directory_id)
        mark = await ledger.mark(uow.session, directory_id)
    try:
        # No transaction is open while the place is asked (law 2): it may be slow, or hang.
        async for page in sources.sightings(url, reading.left_out):
            present.extend(_digest(one.path) for one in page)
            reading.files += len(page)
            reading.bytes += sum(one.size for one in page)
            await _register(units, reading, project_id, directory_id, page, mark)
    except NotAllowedHere as error:
        raise InvalidInput(str(error)) from None
    await _remove(units, reading, directory_id, array("Q", sorted(present)), mark)
    async with units() as uow:
        await _hold(uow, directory_id)
        await ledger.read(uow.session, directory_id)
        await uow.commit()
    return reading


async def _register(
    units: UnitOfWorkFactory,
    reading: Reading,
    project_id: UUID,
    directory_id: UUID,
    page: Sequence[Sighting],
    mark: int,
) -> None:
    seen = [_reference(one) for one in page]
    async with units() as uow:
        await _hold(uow, directory_id)
        changed = await ledger.hide_changed(uow.session, directory_id, seen, mark=mark)
        placed = await ledger.place_new(uow.session, project_id, directory_id, seen)
        await uow.commit()
    reading.changed += changed
    reading.new += placed - changed


async def _remove(
    units: UnitOfWorkFactory, reading: Reading, directory_id: UUID, present: "array[int]", mark: int
) -> None:
    after = 0
    while True:
        async with units() as uow:
            await _hold(uow, directory_id)
            rows = await ledger.live_rows(uow.session, directory_id, after=after, mark=mark, limit=PAGE)
            gone = [id_ for _, id_, unique_id in rows if not _holds(present, _digest(unique_id))]
            if gone:
                reading.removed += await ledger.hide_removed(uow.session, gone)
                await uow.commit()
        if len(rows) < PAGE:
            return
        after = rows[-1][0]


async def _hold(uow: UnitOfWork, directory_id: UUID) -> None:
    if not await ledger.hold(uow.session, directory_id):
        raise NotFound(f"No directory has the id {show(Kind.DIRECTORY, directory_id)}.")


def _reference(seen: Sighting) -> NewReference:
    name = file_service.clean_name(seen.path.rsplit("/", 1)[-1])
    return NewReference(
        unique_id=seen.path,
        name=name,
        file_type=file_service.extension_of(name),
        key=seen.key,
        size=seen.size,
        version=seen.version,
        modified=seen.modified,
    )


def _digest(path: str) -> int:
    """Eight bytes for a path: a million of them are 8 MB. Should two ever be alike, a removed file stays
    listed, and its job says that it is gone."""
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest())


def _holds(present: "array[int]", digest: int) -> bool:
    place = bisect_left(present, digest)
    return place < len(present) and present[place] == digest
