"""Before a worker takes anything: is its storage the one that the database's rows speak of?"""

import asyncio
from typing import Final

from shared.db.outage import lacks_schema, will_pass
from shared.installation.service import OtherStorage
from shared.storage.port import StorageDown
from shared.telemetry import logger
from shared.wiring import Resources

log = logger(__name__)

PAUSE_S: Final = (1.0, 10.0)


async def wait_for_storage(resources: Resources) -> str:
    """The key of the storage's mark, once the storage is known to be ours. Raises `OtherStorage` when it is
    known not to be.

    While the database or the storage is away nothing is known, and no work is taken either: waits.
    """
    pause, longest = PAUSE_S
    try:
        while (mark := await _mark(resources)) is None:
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)
        return mark
    finally:
        await resources.close()


async def _mark(resources: Resources) -> str | None:
    try:
        return await resources.hold_to_storage()
    except OtherStorage:
        raise
    except Exception as error:
        if lacks_schema(error):
            log.warning("the database has no schema yet, waiting", advice="run 'batchmill migrate'")
        elif isinstance(error, StorageDown) or will_pass(error):
            log.warning("database or storage away, waiting", error=repr(error)[:300])
        else:
            log.exception("the storage cannot be checked, waiting")
        return None
