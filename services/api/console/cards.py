"""A batch as pages show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from services.api.batch_shape import ProgressOut, show_progress
from shared import ids
from shared.batches.lifecycle import BATCH_MOVES, BatchStatus
from shared.batches.service import BatchView
from shared.batches.viewing import BatchLook
from shared.configurations import service as configuration_service
from shared.db.unit_of_work import UnitOfWork
from shared.directories import service as directory_service

NAMELESS: Final = "removed directory"
WIDTH: Final = 1_000
"""Of a progress bar, in its own units."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a progress bar."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Card:
    """A batch, how far it is in files and in percent, and why it waits."""

    id: str
    title: str
    configuration: str
    batch: BatchView
    progress: ProgressOut
    waiting: Mapping[str, Any] | None

    @property
    def is_final(self) -> bool:
        """Has it an end?"""
        return BATCH_MOVES.is_final(BatchStatus(self.batch.status))

    @property
    def is_stopping(self) -> bool:
        """Was it told to stop, and has no end yet?"""
        return self.batch.stop_at is not None and not self.is_final

    @property
    def is_paused(self) -> bool:
        """Is it paused, and could go on?"""
        return self.batch.paused_at is not None and not self.is_final and not self.is_stopping

    @property
    def state(self) -> str:
        """Its status in a word, and what a person did to it."""
        return "STOPPING" if self.is_stopping else "PAUSED" if self.is_paused else self.batch.status

    @property
    def done(self) -> int:
        """Files with an end."""
        now = self.progress
        return now.completed + now.failed + now.cancelled + now.unmapped

    @property
    def percent(self) -> int:
        """How much of it is done; 100 only when all is."""
        if not self.progress.total:
            return 100 if self.is_final else 0
        return self.done * 100 // self.progress.total

    @property
    def may_redrive(self) -> bool:
        """Are there files that could be run again?"""
        now = self.progress
        return self.is_final and now.failed + now.cancelled + now.unmapped > 0

    @property
    def segments(self) -> list[Segment]:
        """The bar: what went well, what failed, what has no result for another reason, what runs."""
        now = self.progress
        parts = (
            ("ok", now.completed),
            ("failed", now.failed),
            ("none", now.cancelled + now.unmapped),
            ("running", now.running),
        )
        found, x = [], 0.0
        for kind, files in parts:
            width = files * WIDTH / now.total if now.total else 0.0
            if width:
                found.append(Segment(kind, round(x, 2), round(width, 2)))
            x += width
        return found


async def cards_of(uow: UnitOfWork, project_id: UUID, looks: Sequence[BatchLook]) -> list[Card]:
    """Their cards, with the names of what they are over and run with. As many statements as for one."""
    if not looks:
        return []
    batches = [look.batch for look in looks]
    directories = await directory_service.names_of(
        uow, project_id, [one.source_directory_id for one in batches]
    )
    configurations = await configuration_service.names_of(
        uow, project_id, [one.configuration_id for one in batches]
    )
    return [
        Card(
            id=ids.show(ids.Kind.BATCH, look.batch.id),
            title=directories.get(look.batch.source_directory_id, NAMELESS),
            configuration=configurations.get(look.batch.configuration_id, look.batch.configuration_id),
            batch=look.batch,
            progress=show_progress(look.progress, look.waiting),
            waiting=look.waiting,
        )
        for look in looks
    ]
