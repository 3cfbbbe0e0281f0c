"""Removing a project whole: first its open work, then its rows, then its bytes.

The request hid the project and took its keys, so little can be written any more: what was on its way when it
came. The row `purges` says how far it is, so whoever dies is followed. Nothing waits for workers: without its
chunk a worker is fenced, and what it still stores lies under the project's prefix, for this or for the
collector of orphans.
"""

import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from shared.batches import service as batch_service
from shared.db.unit_of_work import UnitOfWorkFactory
from shared.errors import Conflict, NotFound
from shared.pausing import Point, reach
from shared.retention import emptying
from shared.retention.collecting import remove_blobs
from shared.storage.port import BlobLister, BlobStorage

LEASE_S: Final = 60.0
BATCHES_AT_ONCE: Final = 50
AGAIN_S: Final = 1.0


async def go_on(
    unit_of_work: UnitOfWorkFactory,
    storage: BlobStorage,
    lister: BlobLister,
    tables: Sequence[str],
    *,
    within_s: float,
) -> bool:
    """Take a purge that is not done, if there is one, and go on with it for about `within_s` seconds; answers
    whether there was one. `tables` is `emptying.tables_of_a_project`. Raises `StorageDown`."""
    async with unit_of_work() as uow:
        purge = await emptying.take(uow.session, lease_s=LEASE_S)
        await uow.commit()
    if purge is None:
        return False
    project, state = purge.project_id, purge.state
    until = time.monotonic() + within_s
    if state == "ROWS":
        await _stop_batches(unit_of_work, project)
        while not (gone := await _all_rows_gone(unit_of_work, project, tables)) and time.monotonic() < until:
            if not await _remove_rows(unit_of_work, project, tables, until):
                break
        if not gone:
            await _hand_back(unit_of_work, project)
            return True
    await _remove_blobs(unit_of_work, storage, lister, project)
    return True


async def _stop_batches(unit_of_work: UnitOfWorkFactory, project: UUID) -> None:
    """Let nothing more of the project's batches be spread, granted or started."""
    while True:
        async with unit_of_work() as uow:
            live = await emptying.live_batches(uow.session, project, limit=BATCHES_AT_ONCE)
        if not live:
            return
        for batch_id in live:
            async with unit_of_work() as uow:
                try:
                    await batch_service.cancel_batch(uow, project, batch_id)
                    await uow.commit()
                except (Conflict, NotFound):
                    continue


async def _remove_rows(
    unit_of_work: UnitOfWorkFactory, project: UUID, tables: Sequence[str], until: float
) -> int:
    """Remove slices of each table until it has none; answers how many rows went."""
    total = 0
    for table in tables:
        count = 1
        while count and time.monotonic() < until:
            async with unit_of_work() as uow:
                count = await emptying.remove_slice(uow.session, table, project)
                await reach(Point.SLICE_REMOVED)
                await uow.commit()
            total += count
    return total


async def _all_rows_gone(unit_of_work: UnitOfWorkFactory, project: UUID, tables: Sequence[str]) -> bool:
    """The last step of the rows: with the doors locked, make sure that nothing is left, and remove the
    project itself. False: something is left; then nothing was done."""
    async with unit_of_work() as uow:
        for table in tables:
            if await emptying.has_rows(uow.session, table, project):
                return False
        await emptying.lock_doors(uow.session, project)
        for table in tables:
            if await emptying.has_rows(uow.session, table, project):
                return False
        await emptying.remove_project(uow.session, project)
        await uow.commit()
    return True


async def _remove_blobs(
    unit_of_work: UnitOfWorkFactory, storage: BlobStorage, lister: BlobLister, project: UUID
) -> None:
    """Everything under the prefix of the project. A kill in the middle is followed by another walk."""
    async for page in lister.list_pages(f"p/{project}/"):
        await remove_blobs(storage, [one.key for one in page])
        await reach(Point.BLOBS_REMOVED)
        async with unit_of_work() as uow:
            await emptying.note_blobs(
                uow.session, project, blobs=len(page), size_bytes=sum(one.size_bytes for one in page)
            )
            await emptying.hand_back(uow.session, project, after_s=LEASE_S)
            await uow.commit()
    await lister.prune(f"p/{project}/", older_than_s=0)
    async with unit_of_work() as uow:
        await emptying.finish(uow.session, project)
        await uow.commit()


async def _hand_back(unit_of_work: UnitOfWorkFactory, project: UUID) -> None:
    async with unit_of_work() as uow:
        await emptying.hand_back(uow.session, project, after_s=AGAIN_S)
        await uow.commit()
