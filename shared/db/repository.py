"""Keyset pages: cost does not grow with depth, and a page never skips or repeats a row."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ScalarResult, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from shared.db.base import Base

M = TypeVar("M", bound=Base)
T = TypeVar("T")

DEFAULT_PAGE = 50
MAX_PAGE = 1_000
ENDED_AT_NOTHING = (
    "page_token: the row at which that page ended was removed since then. Ask for the list from its"
    " beginning."
)
"""Of a list whose order the row itself must tell: without it, an empty page would look like the end."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the id after which the next page starts (None: there is none)."""

    items: list[T]
    next_after: UUID | None
    total: int | None = None


def page_size(asked: int | None) -> int:
    """1..1,000; what lies outside is coerced, never refused (contract.md section 1)."""
    return DEFAULT_PAGE if asked is None else min(max(asked, 1), MAX_PAGE)


async def newest_first(
    session: AsyncSession,
    rows: Select[M],
    key: InstrumentedAttribute[UUID],
    *,
    size: int,
    after: UUID | None = None,
    count: bool = False,
) -> Page[M]:
    """One page of `rows` in falling order of `key`, which must be unique and time-ordered (UUIDv7)."""
    total = await count_of(session, rows) if count else None
    if after is not None:
        rows = rows.where(key < after)
    scalars: ScalarResult[M] = await session.scalars(rows.order_by(key.desc()).limit(size + 1))
    found = list(scalars.all())
    more = len(found) > size
    items = found[:size]
    return Page(items, getattr(items[-1], key.key) if more else None, total)


async def count_of(session: AsyncSession, rows: Select[Any]) -> int:
    """How many rows the query has, without its order."""
    counted = select(func.count()).select_from(rows.order_by(None).subquery())
    return int((await session.execute(counted)).scalar_one())
