"""Workers come, are seen, and leave; sweeps leave a mark each time they went well."""

import os
import socket
from collections.abc import Sequence
from uuid import UUID

import shared
from shared.db.unit_of_work import UnitOfWork
from shared.workers import repository, survey
from shared.workers.model import Worker
from shared.workers.survey import Ended

FRESH_S = 15.0
FORGOTTEN_S = 3600.0


async def enlist(
    uow: UnitOfWork,
    worker_id: UUID,
    *,
    queues: list[str],
    slots: int,
    side_by_side: int = 1,
    engine: str | None = None,
) -> None:
    """Write the worker's row; commits. `side_by_side`: chunks of the queue `extract` for each slot. `engine`:
    the version of what it reads documents with."""
    worker = Worker(
        id=worker_id,
        queues=queues,
        slots=slots,
        side_by_side=side_by_side,
        version=shared.__version__,
        engine=engine,
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    await repository.add(uow.session, worker)
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


async def engine_of(uow: UnitOfWork, queue: str, *, if_nobody: str | None = None) -> str | None:
    """The one version that all living workers of the queue read documents with; `if_nobody` while none is
    there. None while they differ, or one does not say: then nobody can tell what a document would give."""
    engines = await repository.engines(uow.session, queue, fresh_s=FRESH_S)
    if len(engines) > 1:
        return None
    return engines.pop() if engines else if_nobody


async def forget_silent(uow: UnitOfWork) -> int:
    """Remove the rows of workers that died without a word an hour ago."""
    return await repository.remove_silent(uow.session, after_s=FORGOTTEN_S)


async def open_sweep(uow: UnitOfWork, name: str) -> float | None:
    """Seconds since the sweep last went well, with its mark locked; None when another sweeps."""
    return await repository.open_sweep(uow.session, name)


async def mark_sweep(uow: UnitOfWork, name: str) -> None:
    """Note that the sweep went well."""
    await repository.mark_sweep(uow.session, name)
