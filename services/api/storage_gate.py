"""Lets requests at the storage once it is known to be the one that the database's rows speak of."""

import asyncio
from contextlib import suppress
from typing import Final

from shared.errors import Unavailable
from shared.installation.service import OtherStorage
from shared.storage.port import BlobStorage
from shared.telemetry import logger
from shared.wiring import Resources

log = logger(__name__)

PATIENCE_AT_START_S: Final = 5.0
AGAIN_S: Final = 1.0
AGAIN_AFTER_A_REFUSAL_S: Final = 10.0


class StorageGate:
    """Closed until the check has passed once; then it costs nothing. Every process has its own.

    No request makes the check itself: it holds a connection and a transaction already, and ten of them that
    each wait for a second connection would wait for each other.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._open = False
        self._refused = False
        self._asking: asyncio.Task[None] | None = None

    @property
    def standing(self) -> str:
        """In words: `ok`, or why nothing may be read or written."""
        if self._open:
            return "ok"
        return "not the storage of this database" if self._refused else "not checked yet"

    async def knock(self) -> None:
        """At the start of the process. Raises `OtherStorage`; what is away now is asked again, each second,
        since the API starts without its database."""
        try:
            async with asyncio.timeout(PATIENCE_AT_START_S):
                await self._check()
        except OtherStorage as refusal:
            log.error("the API does not start", reason=refusal.message)  # noqa: TRY400 - no trace tells more
            raise
        # Whatever a driver raises here means the same: not now.
        except Exception as error:  # noqa: BLE001
            log.warning("the storage could not be checked yet", error=repr(error)[:300])
            self._asking = asyncio.create_task(self._keep_asking())

    def storage(self) -> BlobStorage:
        """The storage. Raises `Unavailable` when it is another installation's, or not known yet."""
        if self._open:
            return self._resources.storage
        if self._refused:
            raise Unavailable(
                "The file storage of this server is not the one of its database. "
                "Its operator finds the reason in the log."
            )
        raise Unavailable("The file storage of this server could not be checked yet. Try again soon.")

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await self._asking

    async def _keep_asking(self) -> None:
        while not self._open:
            await asyncio.sleep(AGAIN_AFTER_A_REFUSAL_S if self._refused else AGAIN_S)
            try:
                await self._check()
            except OtherStorage as refusal:
                self._refused = True
                log.error("storage refused", reason=refusal.message)  # noqa: TRY400 - no trace tells more
            except Exception as error:  # noqa: BLE001 - as above
                log.warning("the storage could not be checked yet", error=repr(error)[:300])

    async def _check(self) -> None:
        await self._resources.hold_to_storage()
        self._open = True
