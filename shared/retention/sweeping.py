"""What upkeep does about retention: slice by slice, each a short transaction that it commits itself.

Any number of processes may do it side by side: each slice skips what another one holds.
"""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from shared.db.unit_of_work import UnitOfWork
from shared.pausing import Point, reach
from shared.retention import repository, slices
from shared.retention.terms import TermsOf, sooner

START: Final = UUID(int=0)


REST_S: Final = 300.0


@dataclass(slots=True)
class Lap:
    """A walk over files, slice by slice: what cannot go yet is passed by, and met in the next lap. After a
    lap that found nothing it rests for five minutes, since there may be many that stay."""

    after: UUID = START
    ended: bool = False
    found: int = 0
    rests_until: float = 0.0

    def begins(self) -> bool:
        """Is there something to do now?"""
        self.ended = time.monotonic() < self.rests_until
        return not self.ended

    def step(self, count: int, last: UUID | None) -> int:
        """A slice is over; answers `count`."""
        self.found += count
        self.after, self.ended = last or START, last is None
        if self.ended:
            self.rests_until = 0.0 if self.found else time.monotonic() + REST_S
            self.found = 0
        return count


@dataclass(slots=True)
class Walk:
    """Where the next slices of files begin, for one process."""

    removing: Lap = field(default_factory=Lap)
    hiding: defaultdict[UUID, Lap] = field(default_factory=lambda: defaultdict(Lap))

    @property
    def ended(self) -> bool:
        """Nothing is left to be looked at now."""
        return self.removing.ended and all(lap.ended for lap in self.hiding.values())


async def sweep(uow: UnitOfWork, walk: Walk, *, within_s: float) -> Counter[str]:
    """Hide and remove what is over, until nothing is left or the time is; answers how much of what."""
    until = time.monotonic() + within_s
    done: Counter[str] = Counter()
    while time.monotonic() < until:
        moved = await _round(uow, walk)
        done += moved
        if not moved.total() and walk.ended:
            break
    return done


async def _round(uow: UnitOfWork, walk: Walk) -> Counter[str]:
    """One slice of each kind."""
    every = await repository.every_terms(uow.session)
    await uow.commit()
    for forgotten in walk.hiding.keys() - {one.project_id for one in every if one.terms.files_days}:
        del walk.hiding[forgotten]
    moved: Counter[str] = Counter()
    for one in every:
        moved += await _of_project(uow, one, walk)
    moved["expired_directories"] += await _done(uow, await slices.hide_expired_directories(uow.session))
    moved["answers"] += await _done(uow, await slices.remove_old_answers(uow.session))
    moved["batch_rows"] += await _done(uow, await slices.remove_from_a_batch(uow.session))
    moved["directory_rows"] += await _empty_one(uow)
    if (lap := walk.removing).begins():
        moved["files"] += await _done(uow, lap.step(*await slices.remove_files(uow.session, lap.after)))
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
    if terms.files_days is not None and (lap := walk.hiding[project]).begins():
        seen = await slices.hide_files(session, project, terms.files_days, lap.after)
        moved["hidden_files"] += await _done(uow, lap.step(*seen))
    return moved


async def _empty_one(uow: UnitOfWork) -> int:
    directory = await slices.next_leaving(uow.session)
    return await _done(uow, 0 if directory is None else await slices.empty(uow.session, directory))


async def _done(uow: UnitOfWork, count: int) -> int:
    await reach(Point.SLICE_REMOVED)
    await uow.commit()
    return count
