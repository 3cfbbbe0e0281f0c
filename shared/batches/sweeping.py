"""What upkeep does for batches: ring those whose time has come."""

from shared.batches import orchestration
from shared.db.reader import Reader
from shared.db.unit_of_work import UnitOfWork
from shared.queue.messages import Advance


async def ring_due(uow: UnitOfWork) -> int:
    """Ring every batch that is due, its next look already moved; answers how many. A batch with ended
    chunks that nobody folded is due at once: its bell was lost."""
    await orchestration.wake_finished(uow.session, limit=200)
    due = await orchestration.take_due(uow.session, limit=200)
    for batch_id in due:
        uow.ring(Advance(batch_id))
    return len(due)


async def is_anything_due(reader: Reader) -> bool:
    """Whether any batch, lane or chunk may want a bell now. Raises `NotNow`."""
    return await orchestration.is_anything_due(reader)
