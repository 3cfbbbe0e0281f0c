"""Removing blobs: those that a removed row doomed, and those that no row ever named.

No transaction is open while the storage is talked to (law 2). The rows are read again right before each
removal, and a blob that is named stays, whatever was noted before.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.db.unit_of_work import UnitOfWorkFactory
from shared.pausing import Point, reach
from shared.retention import repository, survey
from shared.retention.survey import Standing
from shared.retention.terms import ORPHAN_AGE_S
from shared.storage.port import BlobLister, BlobStorage, Listed

OURS: Final = "p/"
DOOMED_AT_ONCE: Final = 500
LEASE_S: Final = 300.0
SIDE_BY_SIDE: Final = 16
CHORE: Final = "orphans"
EVERY_S: Final = 24 * 3_600.0


@dataclass(slots=True)
class Pile:
    """Some blobs."""

    blobs: int = 0
    size_bytes: int = 0

    def add(self, one: Listed) -> None:
        """One more."""
        self.blobs += 1
        self.size_bytes += one.size_bytes


@dataclass(slots=True)
class Findings:
    """What lies under our prefix. `results` and `files` are to go by the terms of their project, or because
    they were deleted; `orphans` are named by no row; `young` neither, but perhaps soon. `foreign` has not our
    form, or belongs to a project that the database never had, and stays."""

    kept: Pile = field(default_factory=Pile)
    results: Pile = field(default_factory=Pile)
    files: Pile = field(default_factory=Pile)
    orphans: Pile = field(default_factory=Pile)
    young: Pile = field(default_factory=Pile)
    foreign: Pile = field(default_factory=Pile)
    removed: Pile = field(default_factory=Pile)


async def remove_doomed(unit_of_work: UnitOfWorkFactory, storage: BlobStorage) -> int:
    """Remove some blobs whose grace is over; answers how many were looked at. Raises `StorageDown`: then they
    are tried again."""
    async with unit_of_work() as uow:
        keys = await repository.take_doomed(uow.session, limit=DOOMED_AT_ONCE, lease_s=LEASE_S)
        await uow.commit()
    if keys:
        await _remove(unit_of_work, storage, keys)
    return len(keys)


async def collect_when_due(
    unit_of_work: UnitOfWorkFactory, storage: BlobStorage, lister: BlobLister
) -> Findings | None:
    """Once a day, by whoever asks first: remove the orphans. One that dies on the way is followed a day
    later."""
    async with unit_of_work() as uow:
        due = await repository.take_chore(uow.session, CHORE, every_s=EVERY_S)
        await uow.commit()
    return await collect(unit_of_work, storage, lister, remove=True) if due else None


async def collect(
    unit_of_work: UnitOfWorkFactory, storage: BlobStorage, lister: BlobLister, *, remove: bool
) -> Findings:
    """Walk over the storage; with `remove`, take away orphans and doomed blobs whose grace is over."""
    found = Findings()
    async for page in lister.list_pages(OURS):
        ours = []
        async with unit_of_work() as uow:
            known = await survey.of_known_projects(uow.session, [one.key for one in page])
            for one in page:
                if survey.kind_of(one.key) is None or one.key not in known:
                    found.foreign.add(one)
                else:
                    ours.append(one)
            moment = await survey.now(uow.session)
            rows = await survey.standings(uow.session, [one.key for one in ours])
            over = await repository.due_doomed(uow.session, [one.key for one in ours])
        orphans = _sort(ours, rows, moment, found)
        gone = {one.key: one for one in ours if one.key in orphans or one.key in over}
        if remove and gone:
            for key in await _remove(unit_of_work, storage, list(gone)):
                found.removed.add(gone[key])
    if remove:
        # A folder that nobody touched for a day: nobody is about to write into it.
        await lister.prune(OURS, older_than_s=ORPHAN_AGE_S)
    return found


def _sort(
    page: Iterable[Listed], rows: Mapping[str, Standing], moment: datetime, found: Findings
) -> set[str]:
    """Put each on its pile; answers the keys of orphans."""
    orphans = set()
    oldest = moment - timedelta(seconds=ORPHAN_AGE_S)
    for one in page:
        row = rows[one.key]
        if row.due if row.named else row.doomed:
            getattr(found, survey.kind_of(one.key) or "foreign").add(one)
        elif row.named:
            found.kept.add(one)
        elif one.modified < oldest:
            orphans.add(one.key)
            found.orphans.add(one)
        else:
            found.young.add(one)
    return orphans


async def remove_blobs(storage: BlobStorage, keys: Sequence[str]) -> None:
    """Remove blobs, some at a time; missing ones are fine. Raises the first `StorageDown` after all were
    tried."""
    turns = asyncio.Semaphore(SIDE_BY_SIDE)

    async def remove_one(key: str) -> None:
        async with turns:
            await storage.delete(key)

    ends = await asyncio.gather(*map(remove_one, keys), return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end


async def _remove(unit_of_work: UnitOfWorkFactory, storage: BlobStorage, keys: Sequence[str]) -> list[str]:
    """Remove what no row names now; answers the keys of it. All of `keys` are doomed no more."""
    await reach(Point.BLOBS_TAKEN)
    async with unit_of_work() as uow:
        rows = await survey.standings(uow.session, keys)
    # A key that has not the form of ours is named by nothing that could tell: it stays.
    going = [key for key in keys if key in rows and not rows[key].named]
    await remove_blobs(storage, going)
    await reach(Point.BLOBS_REMOVED)
    async with unit_of_work() as uow:
        await repository.forget_doomed(uow.session, keys)
        await uow.commit()
    return going
