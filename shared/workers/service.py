"""Workers come, are seen, and leave; sweeps leave a mark each time they went well."""

import os
import socket
from collections.abc import Sequence
from uuid import UUID

import shared
from shared.db.unit_of_work import UnitOfWork
from shared.workers import repository, survey
from shared.workers.survey import Ended

FRESH_S = 15.0
FORGOTTEN_S = 3600.0


async def enlist(
    uow: UnitOfWork, worker_id: UUID, *, queues: list[str], slots: int, side_by_side: int = 1
) -> None:
    """Write the worker's row; commits. `side_by_side`: chunks of the queue `extract` for each slot."""
    await repository.add(
        uow.session,
        worker_id,
        queues=queues,
        slots=slots,
        side_by_side=side_by_side,
        version=shared.__version__,
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    await uow.commit()


async def report(uow: UnitOfWork, worker_id: UUID) -> bool | None:
    """Say 'alive'; commits. Answers the drain flag, or None when the row must be written again."""
    drain = await repository.seen(uow.session, worker_id)
    await uow.commit()
    return drain


async def tell_ended(uow: UnitOfWork, ended: Sequence[Ended]) -> None:
    """Add what ended since the last time to the tallies; commits. All workers share their rows, so it waits
    for nobody longer than half a second: then it raises, and the counts are told another time."""
    await survey.add_ended(uow.session, ended)
    await uow.commit()


async def leave(uow: UnitOfWork, worker_id: UUID) -> None:
    """Remove the row; commits."""
    await repository.remove(uow.session, worker_id)
    await uow.commit()


async def slots_of(uow: UnitOfWork, queue: str) -> int:
    """How many chunks of this queue can run at once now."""
    return await repository.slots(uow.session, queue, fresh_s=FRESH_S)


async def forget_silent(uow: UnitOfWork) -> int:
    """Remove the rows of workers that died without a word an hour ago."""
    return await repository.remove_silent(uow.session, after_s=FORGOTTEN_S)


async def open_sweep(uow: UnitOfWork, name: str) -> float | None:
    """Seconds since the sweep last went well, with its mark locked; None when another sweeps."""
    return await repository.open_sweep(uow.session, name)


async def mark_sweep(uow: UnitOfWork, name: str) -> None:
    """Note that the sweep went well."""
    await repository.mark_sweep(uow.session, name)
