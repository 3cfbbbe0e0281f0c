"""What upkeep does about retention: slice by slice, each a short transaction that it commits itself.

Any number of processes may do it side by side: each slice skips what another one holds.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

from shared.db.unit_of_work import UnitOfWork
from shared.pausing import Point, reach
from shared.retention import repository, slices
from shared.retention.terms import TermsOf, sooner

START = UUID(int=0)


@dataclass(slots=True)
class Walk:
    """Where the next slices of files begin; what could not go yet is passed by, and met in the next walk."""

    hiding: dict[UUID, UUID] = field(default_factory=dict)
    removing: UUID = START
    removing_ended: bool = False


async def sweep(uow: UnitOfWork, walk: Walk, *, within_s: float) -> Counter[str]:
    """Hide and remove what is over, until nothing is left or the time is; answers how much of what."""
    until = time.monotonic() + within_s
    done: Counter[str] = Counter()
    walk.removing_ended = False
    while time.monotonic() < until:
        moved = await _round(uow, walk)
        done += moved
        if not moved.total() and walk.removing_ended and not walk.hiding:
            break
    return done


async def _round(uow: UnitOfWork, walk: Walk) -> Counter[str]:
    """One slice of each kind."""
    every = await repository.every_terms(uow.session)
    await uow.commit()
    moved: Counter[str] = Counter()
    for one in every:
        moved += await _of_project(uow, one, walk)
    moved["expired_directories"] += await _done(uow, await slices.hide_expired_directories(uow.session))
    moved["batch_rows"] += await _done(uow, await slices.remove_from_a_batch(uow.session))
    moved["directory_rows"] += await _empty_one(uow)
    count, last = await slices.remove_files(uow.session, walk.removing)
    walk.removing, walk.removing_ended = last or START, last is None
    moved["files"] += await _done(uow, count)
    return +moved


async def _of_project(uow: UnitOfWork, one: TermsOf, walk: Walk) -> Counter[str]:
    session, project, terms = uow.session, one.project_id, one.terms
    moved: Counter[str] = Counter()
    if (days := sooner(terms.results_days, terms.batches_days)) is not None:
        moved["results"] += await _done(uow, await slices.purge_results_of_a_batch(session, project, days))
    if terms.results_days is not None:
        count = await slices.purge_results_alone(session, project, terms.results_days)
        moved["results"] += await _done(uow, count)
    if terms.jobs_days is not None:
        moved["jobs"] += await _done(uow, await slices.remove_jobs_alone(session, project, terms.jobs_days))
    if terms.batches_days is not None:
        moved["batches"] += await _done(uow, await slices.hide_batches(session, project, terms.batches_days))
    if terms.files_days is not None:
        after = walk.hiding.pop(project, START)
        count, last = await slices.hide_files(session, project, terms.files_days, after)
        if last is not None:
            walk.hiding[project] = last
        moved["hidden_files"] += await _done(uow, count)
    return moved


async def _empty_one(uow: UnitOfWork) -> int:
    directory = await slices.next_leaving(uow.session)
    return await _done(uow, 0 if directory is None else await slices.empty(uow.session, directory))


async def _done(uow: UnitOfWork, count: int) -> int:
    await reach(Point.SLICE_REMOVED)
    await uow.commit()
    return count
