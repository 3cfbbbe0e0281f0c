"""What upkeep does with deliveries: take some, say how each ended, remove what is old. Each function is one
short transaction that it commits itself; nothing is open while a receiver is talked to (law 2).

A taken delivery has a lease and a random token. Whoever takes it and dies costs a wait: it is due again when
the lease ends. Whoever comes back late changes nothing, for its token is gone.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from shared.db.reader import Reader
from shared.db.unit_of_work import UnitOfWork
from shared.pausing import Point, reach
from shared.webhooks import ledger
from shared.webhooks.ledger import End, Room, Taken

__all__ = ["LEASE_S", "End", "Room", "Taken", "forget_old", "give_back", "is_anything_due", "settle", "take"]

LEASE_S: Final = 60.0
"""Longer than a try and the writing of its end: 30 s for the receiver, the rest for a busy database."""
SLICE: Final = 2_000


async def is_anything_due(reader: Reader) -> bool:
    """Whether there may be something to take: asked by one cheap read while nothing is. Raises `NotNow`."""
    return await ledger.is_anything_due(reader)


async def take(uow: UnitOfWork, room: Room) -> list[Taken]:
    """Claim what is due and fits."""
    taken = await ledger.take(uow.session, room, lease_s=LEASE_S)
    await uow.commit()
    if taken:
        await reach(Point.WEBHOOKS_TAKEN)
    return taken


async def settle(uow: UnitOfWork, ends: Sequence[End]) -> set[UUID]:
    """Write how tries ended; answers those that were still ours."""
    accepted = await ledger.settle(uow.session, ends)
    await uow.commit()
    return accepted


async def give_back(uow: UnitOfWork, tokens: Sequence[UUID]) -> None:
    """What was broken off is due at once; a receiver may get it twice."""
    await ledger.give_back(uow.session, tokens)
    await uow.commit()


async def forget_old(uow: UnitOfWork, *, days: int) -> int:
    """Remove what ended so long ago, slice by slice; answers how many deliveries."""
    total, count = 0, SLICE
    while count == SLICE:
        count = await ledger.remove_old(uow.session, days=days, limit=SLICE)
        await uow.commit()
        total += count
    await ledger.remove_endpoints(uow.session, days=days, limit=SLICE)
    await uow.commit()
    return total
