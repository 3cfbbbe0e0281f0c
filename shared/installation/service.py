"""Which storage belongs to this database: recorded once, checked by whoever starts.

Rows name blobs by keys, so a host whose storage is another place than everybody else's (a local folder of its
own, a wrong bucket) would take work and find nothing, and put results where nobody looks. The row `storage`
therefore holds a random mark and a sentence about the place, and a blob `installation/<mark>` lies in the
storage itself. A store that has the blob is the store, by whatever URL or mount it is reached.

What can happen at once, or half:

- Two processes of one storage start on an empty row: each puts a blob with a mark of its own, then inserts;
  one insert wins. The loser finds the winner's blob in the same storage, because a blob is put before its
  row. Marks are never written over, so there is no order in which a good storage ends up refused.
- Two hosts with two storages: one insert wins, the other host does not find that mark and is refused.
- A process dies between blob and row: the row is empty, the next one starts anew; the blob of the dead one
  is some bytes that no row names.
- The storage was wiped, or a folder was not mounted: the mark is missing, and so would be every result.
- A database from before there were marks: whoever comes first must find the newest stored file in its
  storage, so a host with an empty folder cannot make that the storage of an installation with files.
"""

from dataclasses import dataclass
from secrets import token_hex
from typing import Final

from shared.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from shared.errors import Unavailable
from shared.installation import repository
from shared.storage.port import BlobMissing, BlobStorage

STORAGE: Final = "storage"
FOLDER: Final = "installation"
TEXT: Final = b"Marks the storage of one Batchmill installation. Without it no service of it starts.\n"


class OtherStorage(Unavailable):
    """This process's storage is not the one that the database's rows speak of. The message names places and
    is for operators."""


@dataclass(frozen=True, slots=True)
class Standing:
    """`recorded`: where the database says its storage is; None while nobody recorded it. `here`: the storage
    that was asked is that one."""

    recorded: str | None
    here: bool


async def look(unit_of_work: UnitOfWorkFactory, storage: BlobStorage) -> Standing:
    """How a storage stands to the database; records nothing."""
    mark, place = await _recorded(unit_of_work)
    if mark is None:
        return Standing(None, here=False)
    return Standing(place, here=await _has(storage, _key(mark)))


async def hold_to_storage(unit_of_work: UnitOfWorkFactory, storage: BlobStorage, place: str) -> str:
    """Check that `storage`, which this process knows as `place`, is the database's; record it when none is.
    Answers the key of the mark in it.

    Raises `OtherStorage`, `StorageDown`, and what a database raises that is away or has no schema yet.
    """
    standing = await look(unit_of_work, storage)
    if standing.recorded is None:
        await _record(unit_of_work, storage, place)
        standing = await look(unit_of_work, storage)
    if not standing.here:
        raise OtherStorage(_refusal(standing.recorded, place))
    mark, _ = await _recorded(unit_of_work)
    assert mark is not None
    return _key(mark)


async def adopt_storage(uow: UnitOfWork, storage: BlobStorage, place: str) -> str | None:
    """Make `storage` the database's from now on, whatever it was; answers what it was. The caller commits,
    and has not used `uow` before: the mark is put first, while no transaction is open (law 2).

    The blobs must have been moved before: nothing is copied. What runs already is not told; it must be
    started again.
    """
    mark = await _put_mark(storage)
    _, before = _parts(await repository.find(uow.session, STORAGE))
    await repository.replace(uow.session, STORAGE, f"{mark} {place}")
    return before or None


async def _record(unit_of_work: UnitOfWorkFactory, storage: BlobStorage, place: str) -> None:
    async with unit_of_work() as uow:
        witness = await repository.newest_blob(uow.session)
    if witness is not None and not await _has(storage, witness):
        raise OtherStorage(_refusal(None, place))
    mark = await _put_mark(storage)
    async with unit_of_work() as uow:
        await repository.record(uow.session, STORAGE, f"{mark} {place}")
        await uow.commit()
    won, _ = await _recorded(unit_of_work)
    if won != mark:
        await storage.delete(_key(mark))


async def _recorded(unit_of_work: UnitOfWorkFactory) -> tuple[str | None, str]:
    async with unit_of_work() as uow:
        return _parts(await repository.find(uow.session, STORAGE))


def _parts(value: str | None) -> tuple[str | None, str]:
    mark, _, place = (value or "").partition(" ")
    return mark or None, place


async def _put_mark(storage: BlobStorage) -> str:
    mark = token_hex(16)
    await storage.put(_key(mark), TEXT)
    return mark


async def _has(storage: BlobStorage, key: str) -> bool:
    try:
        await storage.stream(key)
    except BlobMissing:
        return False
    return True


def _key(mark: str) -> str:
    return f"{FOLDER}/{mark}"


def _refusal(recorded: str | None, place: str) -> str:
    missing = f"the storage of this database is {recorded}, and its mark" if recorded else "the newest file"
    return (
        f"This process's storage is not the one of its database: {missing} is not found in {place}. "
        "Hosts share a local folder only when it is the same mounted folder, and a folder that was emptied "
        "holds no results. Set BATCHMILL_STORAGE__URL to the storage of the other services; or, when all "
        "blobs were moved here, make this place the storage with 'batchmill storage adopt'."
    )
