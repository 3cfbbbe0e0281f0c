"""The steps that remove rows and bytes: retention, doomed blobs, orphans, purges of projects."""

from collections.abc import Awaitable, Callable

from shared.db.unit_of_work import UnitOfWork
from shared.installation.service import OtherStorage
from shared.retention import collecting, emptying, purging, sweeping
from shared.retention.sweeping import Walk
from shared.storage.port import StorageDown
from shared.tables import metadata
from shared.telemetry import logger
from shared.wiring import Resources

log = logger(__name__)

SWEEP_FOR_S = 5.0
PURGE_FOR_S = 5.0


class Cleaner:
    """Removes nothing from a storage before it is known to be the database's: in a folder of its own nothing
    would be found, and the real blobs would be forgotten."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._walk = Walk()
        self._held = False
        self._tables = emptying.tables_of_a_project(metadata)

    async def enforce_terms(self, uow: UnitOfWork) -> int:
        """Hide and remove what projects keep no longer; 0 when nothing was found and no walk goes on. Needs
        no storage: blobs are doomed only."""
        done = await sweeping.sweep(uow, self._walk, within_s=SWEEP_FOR_S)
        if done:
            log.info("retention", **done)
        return done.total() or int(not self._walk.ended)

    async def remove_doomed(self, _: UnitOfWork) -> int:
        """Remove blobs whose last row went, as many as there are."""
        return await self._with_storage(self._remove_doomed)

    async def collect_orphans(self, _: UnitOfWork) -> int:
        """Once a day, remove blobs that no row names."""
        return await self._with_storage(self._collect)

    async def purge(self, _: UnitOfWork) -> int:
        """Go on with the purge of a project."""
        return await self._with_storage(self._purge)

    async def _remove_doomed(self) -> int:
        total, count = 0, collecting.DOOMED_AT_ONCE
        while count == collecting.DOOMED_AT_ONCE:
            count = await collecting.remove_doomed(self._resources.unit_of_work, self._resources.storage)
            total += count
        return total

    async def _collect(self) -> int:
        storage = self._resources.storage
        found = await collecting.collect_when_due(self._resources.unit_of_work, storage, storage)
        if found is None:
            return 0
        log.info("orphans collected", blobs=found.removed.blobs, size_bytes=found.removed.size_bytes)
        return found.removed.blobs

    async def _purge(self) -> int:
        storage = self._resources.storage
        went_on = await purging.go_on(
            self._resources.unit_of_work, storage, storage, self._tables, within_s=PURGE_FOR_S
        )
        return int(went_on)

    async def _with_storage(self, do: Callable[[], Awaitable[int]]) -> int:
        try:
            if not self._held:
                await self._resources.hold_to_storage()
                self._held = True
            return await do()
        except OtherStorage as refusal:
            log.warning("nothing is removed from a storage that is another's", reason=refusal.message)
        except StorageDown as error:
            log.warning("storage is away, blobs are removed later", error=str(error)[:300])
        return 0
