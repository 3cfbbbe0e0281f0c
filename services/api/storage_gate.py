"""Lets requests at the storage once it is known to be the one that the database's rows speak of."""

import asyncio
from typing import Final

from shared.errors import Unavailable
from shared.installation.service import OtherStorage
from shared.storage.port import BlobStorage
from shared.telemetry import logger
from shared.wiring import Resources

log = logger(__name__)

PATIENCE_AT_START_S: Final = 5.0


class StorageGate:
    """Closed until the check has passed once; then it costs nothing. Every process has its own."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._open = False

    async def knock(self) -> None:
        """At the start of the process. Raises `OtherStorage`; what is away now is asked again by the first
        request that needs the storage, since the API starts without its database."""
        try:
            async with asyncio.timeout(PATIENCE_AT_START_S):
                await self._check()
        except OtherStorage as refusal:
            log.error("the API does not start", reason=refusal.message)  # noqa: TRY400 - no trace tells more
            raise
        # Whatever a driver raises here means the same: not now.
        except Exception as error:  # noqa: BLE001
            log.warning("the storage could not be checked yet", error=repr(error)[:300])

    async def storage(self) -> BlobStorage:
        """The storage. Raises `Unavailable` when it is another installation's."""
        if not self._open:
            try:
                await self._check()
            except OtherStorage as refusal:
                log.error("storage refused", reason=refusal.message)  # noqa: TRY400 - no trace tells more
                raise Unavailable(
                    "The file storage of this server is not the one of its database. "
                    "Its operator finds the reason in the log."
                ) from None
        return self._resources.storage

    async def _check(self) -> None:
        await self._resources.hold_to_storage()
        self._open = True
