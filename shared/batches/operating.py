"""What an operator may do with batches of all projects."""

from uuid import UUID

from shared.batches import service, survey
from shared.batches.model import Batch
from shared.batches.survey import AnyBatchFilters, Open
from shared.db.repository import Page
from shared.db.unit_of_work import UnitOfWork
from shared.errors import NotFound
from shared.ids import Kind, show

__all__ = ["AnyBatchFilters", "Open", "cancel_batch", "get_batch", "list_batches", "open_counts"]


async def list_batches(
    uow: UnitOfWork, filters: AnyBatchFilters, *, size: int, after: UUID | None = None, count: bool = False
) -> Page[Batch]:
    """A page of batches of all projects, newest first."""
    return await survey.page(uow.session, filters, size=size, after=after, count=count)


async def get_batch(uow: UnitOfWork, batch_id: UUID) -> Batch:
    """One batch of any project, or `NotFound`."""
    batch = await survey.get(uow.session, batch_id)
    if batch is None:
        raise NotFound(f"No batch has the id {show(Kind.BATCH, batch_id)}.")
    return batch


async def cancel_batch(uow: UnitOfWork, batch_id: UUID) -> Batch:
    """Like the cancel of its project; a final batch is a `Conflict`."""
    batch = await get_batch(uow, batch_id)
    return await service.cancel_batch(uow, batch.project_id, batch.id)


async def open_counts(uow: UnitOfWork) -> list[Open]:
    """The batches that are not final, by status and by what they wait for."""
    return await survey.open_counts(uow.session)
