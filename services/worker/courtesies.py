"""What a holder tells others of its chunk, beside its own work. They would come to know it by their own due
times: no failure of this may touch the chunk, and no document waits for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from services.worker.runtime import Runtime
from shared.db.outage import will_pass
from shared.jobs import running
from shared.jobs.running import TakenChunk
from shared.telemetry import logger

log = logger(__name__)


async def ring_when_low(runtime: Runtime, chunk: TakenChunk) -> None:
    """Tell the lane of a chunk that was taken when little else stands ready."""
    with _courtesy("lane not rung"):
        async with runtime.unit_of_work() as uow:
            await running.ring_when_low(uow, chunk)


async def tell_of_end(runtime: Runtime, chunk: TakenChunk) -> None:
    """Tell whoever waits for the end of a chunk, which is committed."""
    with _courtesy("end of a chunk not told"):
        async with runtime.unit_of_work() as uow:
            await running.tell_of_end(uow, chunk)


@contextmanager
def _courtesy(failing: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not will_pass(error):
            log.exception(failing)
