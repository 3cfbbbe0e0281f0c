"""What of a lane's batches stands granted, and in which order it is taken.

A batch's chunks are tagged by its virtual time, and the lane's ranks are laid along the tags at which they
end: fair queueing between the batches of a lane, inside that between the lanes of a queue (protocol rule 24).
What was granted before a newcomer came is passed by it, as far as the newcomer is short, and takes the ranks
behind.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

UNKNOWN_PACE: Final = 0.1
"""Seconds of a file by which a batch is charged of which no file has ended."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A READY chunk of a batch. `tag` is the batch's virtual time at it, `cost` its seconds by the pace of
    the batch and `span` that by the batch's weight; without an `id` it is about to be granted."""

    batch_id: UUID
    tag: float
    span: float
    cost: float
    rank: float
    id: int | None = None

    @property
    def end(self) -> float:
        """The batch's virtual time after it, to the microsecond: however it was summed, the same is equal."""
        return round(self.tag + self.span, 6)


@dataclass(frozen=True, slots=True)
class Line:
    """The READY chunks of a lane that may start now, in the order of their ranks, and the batches of which a
    chunk is READY or TAKEN."""

    ready: Sequence[Queued] = ()
    live: frozenset[UUID] = frozenset()

    @property
    def first(self) -> float | None:
        """The virtual time that the next chunk of the lane has among its batches."""
        return min((one.tag for one in self.ready), default=None)

    def may_pass(self, batch_id: UUID, tag: float) -> bool:
        """Could a chunk of the batch come before one that stands ready, while none of its own does?"""
        others = all(one.batch_id != batch_id for one in self.ready)
        return others and any(one.end > tag for one in self.ready)


async def line_of(session: AsyncSession, project_id: UUID, job_type: str) -> Line:
    """The line as it is; workers take from it meanwhile."""
    rows = await session.execute(
        text(
            "SELECT c.batch_id, c.state = 'READY',"
            " b.vtime - sum(c.size * coalesce(b.seconds_per_file, :pace) / b.weight) FILTER"
            "  (WHERE c.state = 'READY') OVER (PARTITION BY c.batch_id ORDER BY c.rank DESC, c.id DESC),"
            " c.size * coalesce(b.seconds_per_file, :pace) AS cost, b.weight, c.rank, c.id"
            " FROM chunks c JOIN batches b ON b.id = c.batch_id"
            " WHERE c.project_id = :p AND c.job_type = :t AND (c.state = 'TAKEN'"
            "  OR c.state = 'READY' AND c.due_at <= clock_timestamp()) ORDER BY c.rank, c.id"
        ),
        {"p": project_id, "t": job_type, "pace": UNKNOWN_PACE},
    )
    ready: list[Queued] = []
    live: set[UUID] = set()
    for batch_id, is_ready, tag, cost, weight, rank, chunk in rows:
        live.add(batch_id)
        if is_ready:
            ready.append(Queued(batch_id, tag, cost / weight, cost, rank, chunk))
    return Line(ready, frozenset(live))


def laid(ready: Iterable[Queued], coming: Sequence[Queued], *, weight: float) -> list[float] | None:
    """The ranks of all that stands ready and then of all that comes, in the order of these two; None when
    nothing that comes passes what is there, so that every rank stays.

    Of two that end at once the one that comes is first. The ranks begin where those of the line began, and
    each is behind the one before it by the cost of that by the lane's `weight`: other lanes lose nothing.
    """
    there = list(ready)
    soonest = min((one.end for one in coming), default=inf)
    if all(one.end < soonest for one in there):
        return None
    every = [*there, *coming]
    order = sorted(range(len(every)), key=lambda at: (every[at].end, at < len(there), every[at].rank))
    ranks = [0.0] * len(every)
    rank = min(one.rank for one in every)
    for at in order:
        ranks[at] = rank
        rank += every[at].cost / weight
    return ranks


async def move(session: AsyncSession, ranks: Iterable[tuple[int, float]]) -> None:
    """Give READY chunks other ranks; one that somebody is taking stays where it is."""
    pairs = list(ranks)
    await session.execute(
        text(
            "UPDATE chunks c SET rank = u.rank"
            " FROM unnest(CAST(:ids AS bigint[]), CAST(:ranks AS float8[])) AS u(id, rank)"
            " WHERE c.id = u.id AND c.id IN (SELECT id FROM chunks WHERE id = ANY(CAST(:ids AS bigint[]))"
            "  AND state = 'READY' ORDER BY id FOR UPDATE SKIP LOCKED)"
        ),
        {"ids": [id_ for id_, _ in pairs], "ranks": [rank for _, rank in pairs]},
    )
