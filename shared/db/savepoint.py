"""A part of a transaction that may fail by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession


@asynccontextmanager
async def apart(session: AsyncSession) -> AsyncIterator[None]:
    """What is done inside is undone when it raises, and the transaction around it goes on. Two more round
    trips: only where one row's trouble must not be its neighbours'."""
    async with session.begin_nested():
        yield
