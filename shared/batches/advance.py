"""Look after one batch: spread, drain, fold, settle. Safe at any time, by anyone, twice at once."""

import time
from enum import Enum
from typing import Final
from uuid import UUID

from shared.batches import draining, orchestration, pauses, redriving, spreading, telling
from shared.batches.orchestration import OpenBatch
from shared.batches.spreading import Spread
from shared.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from shared.jobs import opening, reclaim
from shared.pausing import Point, reach
from shared.queue.messages import Advance, Dispatch
from shared.webhooks import announcing

SLICE_S: Final = 2.0
PAGE_S: Final = (0.15, 0.5)
LOOK_AGAIN_S: Final = 30.0
FIRST_LOOK_S: Final = 5.0
DRAIN_SLICE: Final = 20_000
STRIKES: Final = 8


class Pages:
    """How many files the next page has: more while its transactions are short, for others wait for the batch
    meanwhile."""

    def __init__(self) -> None:
        self.files = spreading.PAGE

    def took(self, seconds: float) -> None:
        """Learn from the page before."""
        short, long = PAGE_S
        if seconds < short:
            self.files = min(2 * self.files, spreading.GROWN * spreading.PAGE)
        elif seconds > long:
            self.files = spreading.PAGE


class Step(Enum):
    """What one short transaction left behind."""

    FIRST_PAGE = "first page"
    MOVED = "moved"
    WAITING = "waiting"
    ENDED = "ended"


async def advance(unit_of_work: UnitOfWorkFactory, batch_id: UUID, *, engine: str | None = None) -> Step:
    """Move the batch as far as it goes in about two seconds, in short transactions. `engine` is the version
    of the engines here: while no worker is there to say its own, results of this one are reused.

    If there is more to do it rings itself, at most twice a second (protocol rule 14a). Every transaction
    leaves a due time behind, so a process that dies on any line costs a wait and nothing else.
    """
    began = time.monotonic()
    deadline = began + SLICE_S
    pages = Pages()
    while True:
        async with unit_of_work() as uow:
            step = await _step(uow, batch_id, engine, pages.files)
            if step is Step.FIRST_PAGE or (step is Step.MOVED and time.monotonic() > deadline):
                if await orchestration.may_ring_again(uow.session, batch_id):
                    uow.ring(Advance(batch_id))
                await uow.commit()
                return step
            await uow.commit()
        if step is not Step.MOVED:
            return step
        pages.took(time.monotonic() - began)
        began = time.monotonic()


async def note_failure(unit_of_work: UnitOfWorkFactory, batch_id: UUID) -> None:
    """A look threw: wait longer before the next one; after `STRIKES` the batch ends FAILED."""
    async with unit_of_work() as uow:
        strikes = await orchestration.strike(uow.session, batch_id)
        if strikes is not None and strikes >= STRIKES:
            await draining.stop(
                uow.session,
                batch_id,
                end="FAILED",
                code="ORCHESTRATION_ERROR",
                message=f"The batch could not be moved {strikes} times in a row; the log has the reason.",
            )
        await uow.commit()


async def _step(uow: UnitOfWork, batch_id: UUID, engine: str | None, files: int) -> Step:
    batch = await orchestration.lock(uow.session, batch_id)
    if batch is None:
        return Step.ENDED
    if batch.stop_as is not None:
        return await _drain(uow, batch)
    if batch.status == "PENDING":
        await _start(uow, batch)
    if not batch.spread_done:
        return await _spread(uow, batch, engine, files)
    return await _settle(uow, batch)


async def _start(uow: UnitOfWork, batch: OpenBatch) -> None:
    await orchestration.start(uow.session, batch.id)
    await telling.tell(uow.session, batch.id, "batch.running", {})
    if batch.told:
        await announcing.batch_moved(uow, batch.id)


async def _spread(uow: UnitOfWork, batch: OpenBatch, engine: str | None, files: int) -> Step:
    if batch.total == 0 and not await orchestration.directory_is_live(uow.session, batch.directory_id):
        await draining.stop(
            uow.session,
            batch.id,
            end="FAILED",
            code="DIRECTORY_GONE",
            message="The source directory was deleted or expired before it was read.",
        )
        return Step.MOVED
    await reach(Point.SPREAD_LOCKED)
    page = await _page(uow, batch, engine, files)
    if batch.hooked:
        await announcing.range_moved(uow, batch.id, batch.total + 1, page.total)
    await telling.tell_progress(uow.session, batch.id)
    await reach(Point.SPREAD_PAGE)
    if page.opened:
        # Work may start while the rest is still read: the first page is enough to grant from.
        uow.ring(Dispatch(batch.project_id, batch.job_type))
    if page.full and page.opened and batch.total == 0:
        # Let the lane be dispatched before the rest is read: a first job must not wait for a million.
        return Step.FIRST_PAGE
    # A last page may be empty, or leave nothing to run: then nobody will ring, and settle is left to do.
    ended = page.full or page.scanned == 0 or page.left == 0
    return Step.MOVED if ended else await _after_last_page(uow, batch)


async def _page(uow: UnitOfWork, batch: OpenBatch, engine: str | None, files: int) -> Spread:
    if batch.redrive:
        return await redriving.spread_page(uow.session, batch.id, files=files)
    recipe = await opening.recipe_of_batch(uow, batch.id, batch.job_type, engine=engine)
    return await spreading.spread_page(uow.session, batch.id, recipe=recipe, files=files)


async def _after_last_page(uow: UnitOfWork, batch: OpenBatch) -> Step:
    # Soon, for the bell to the lane may be lost and nothing of the batch runs yet.
    await orchestration.wake_in(uow.session, batch.id, FIRST_LOOK_S)
    return Step.WAITING


async def _settle(uow: UnitOfWork, batch: OpenBatch) -> Step:
    folded = await orchestration.fold(uow.session, batch.id)
    await reach(Point.FOLDED)
    if batch.has_threshold and await draining.stop_if_hopeless(uow.session, batch.id, folded.failures):
        return Step.MOVED
    end = await orchestration.settle(uow.session, batch.id)
    if end is not None:
        failures = {"failures": folded.failures} if folded.failures else {}
        await telling.tell_end(uow.session, batch.id, f"batch.{end.lower()}", failures)
        if batch.told:
            await announcing.batch_moved(uow, batch.id)
        # Another batch may have waited for the place of this one (protocol rule 11).
        uow.ring(Dispatch(batch.project_id, batch.job_type))
        return Step.ENDED
    await telling.tell_progress(uow.session, batch.id, folded.failures)
    # A lane that refused this batch has a due time of its own: ten thousand waiting batches are one bell.
    if batch.paused:
        await pauses.throttle_if_idle(uow.session, batch.id)
    elif batch.fed_seq < batch.total and batch.stop_as is None and batch.status != "THROTTLED":
        uow.ring(Dispatch(batch.project_id, batch.job_type))
    if batch.status == "THROTTLED":
        await orchestration.resume_if_live(uow.session, batch.id)
    await orchestration.wake_in(uow.session, batch.id, LOOK_AGAIN_S)
    return Step.WAITING


async def _drain(uow: UnitOfWork, batch: OpenBatch) -> Step:
    """A stop was asked: nothing more starts, what runs is told, the rest is cancelled in slices."""
    if batch.strikes >= STRIKES:
        # It may be the sums that cannot be moved: a batch must end all the same (protocol rule 20).
        await draining.recount(uow.session, batch.id)
    dropped = await reclaim.drop_ready(uow.session, batch.id)
    if batch.hooked:
        await announcing.jobs_moved(uow, dropped)
    await reach(Point.DRAIN_DROPPED)
    await reclaim.flag_stop(uow.session, batch.id)
    if batch.redrive and not batch.spread_done and batch.strikes < STRIKES:
        # A redrive of this one reads its rows, so all of its files are among them, cancelled or not.
        await redriving.spread_page(uow.session, batch.id)
        return Step.MOVED
    if count := await draining.cancel_unfed(uow.session, batch, slice_size=DRAIN_SLICE):
        if batch.hooked:
            await announcing.range_moved(uow, batch.id, batch.fed_seq + 1, batch.fed_seq + count)
        await telling.tell_progress(uow.session, batch.id)
        return Step.MOVED
    step = await _settle(uow, batch)
    if step is Step.WAITING:
        # The holders stop within a heartbeat: look again soon.
        await orchestration.wake_in(uow.session, batch.id, 2.0)
    return step
