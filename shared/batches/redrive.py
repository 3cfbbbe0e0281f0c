"""Run files of a final batch again, in a new one."""

from uuid import UUID

from shared.batches import redriving
from shared.batches.model import Batch
from shared.batches.redriving import RedriveKind
from shared.batches.service import get_batch
from shared.db.unit_of_work import UnitOfWork
from shared.directories import service as directory_service
from shared.errors import Conflict, InvalidInput
from shared.ids import Kind, show
from shared.lanes import service as lane_service
from shared.queue.messages import Advance
from shared.webhooks import announcing

__all__ = ["RedriveKind", "redrive_batch"]

_NOTHING = {
    RedriveKind.FAILED: "No file of the batch failed, was cancelled or was left without a job, of those that"
    " are still in the directory. What came or was replaced since is redriven as changed.",
    RedriveKind.CHANGED: "No file came to the directory, or was replaced in it, since the batch was opened.",
}


async def redrive_batch(uow: UnitOfWork, project_id: UUID, batch_id: UUID, kind: RedriveKind) -> Batch:
    """One insert: a new batch over the files of a final one that `kind` names, with its configuration as it
    was resolved then. The old batch stays as it is.

    Asked twice is asked once: while such a redrive over the same files is open, and for a minute after it was
    opened, it is the answer. `Conflict` when the batch is not final, when there is no such file, and when the
    batch is itself a redrive that was broken off before it had listed its files.
    """
    old = await get_batch(uow, project_id, batch_id)
    if not await redriving.lock_ended(uow.session, batch_id):
        raise Conflict(f"The batch is {old.status}; only a final one can be redriven. Cancel it, or wait.")
    await uow.session.refresh(old)
    if found := await redriving.same(uow.session, old, kind):
        return found
    await directory_service.get_directory(uow, project_id, old.source_directory_id)
    await _check(uow, old, kind)
    batch = await redriving.add(uow.session, old, kind)
    if await announcing.inherit(uow, old.id, batch.id):
        await announcing.batch_moved(uow, batch.id)
    uow.ring(Advance(batch.id))
    return batch


async def _check(uow: UnitOfWork, old: Batch, kind: RedriveKind) -> None:
    if old.redrive_kind is not None and not old.spread_done:
        # Its origin may be gone by now; then nobody knows the rest of its list.
        again = "" if old.redrive_of is None else f" Redrive {show(Kind.BATCH, old.redrive_of)} again."
        raise Conflict(f"This redrive ended before its files were listed.{again}")
    if not await redriving.has_files(uow.session, old, kind):
        raise Conflict(_NOTHING[kind])
    lane = await lane_service.open_lane(uow, old.project_id, old.job_type)
    if kind is RedriveKind.CHANGED and await redriving.too_many_new(uow.session, old, lane.max_files):
        raise InvalidInput(
            f"More than {lane.max_files:,} files came since, the limit of a batch in this project."
        )
