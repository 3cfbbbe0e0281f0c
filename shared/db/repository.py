"""Keyset pages: cost does not grow with depth, and a page never skips or repeats a row."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ScalarResult, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from shared.db.base import Base

M = TypeVar("M", bound=Base)
T = TypeVar("T")

SLACK: Final = timedelta(hours=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
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


def ids_born(on_or_after: datetime | None, on_or_before: datetime | None) -> tuple[UUID | None, UUID | None]:
    """The ids between which all rows lie that were born between two moments: a list that is narrowed by
    `created_at` reads these and no more. A row's id is made after its transaction began, which is its
    `created_at`, by the same clock; `SLACK` allows for long transactions and for a clock that was set."""
    return _id_at(on_or_after, -SLACK), _id_at(on_or_before, SLACK)


def _id_at(moment: datetime | None, slack: timedelta) -> UUID | None:
    if moment is None:
        return None
    milliseconds = (moment - EPOCH + slack) // timedelta(milliseconds=1)
    return UUID(int=min(max(milliseconds, 0), (1 << 48) - 1) << 80)


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
