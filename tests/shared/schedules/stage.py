"""What a schedule plays on: a mill, its conductor, and the moves of upkeep made by hand."""

import itertools
import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from shared.batches import service as batch_service
from shared.batches import steering
from shared.batches import sweeping as batch_sweeping
from shared.batches.advance import Step
from shared.jobs import sweeping
from shared.queue.messages import Advance
from shared.wiring import Resources
from tests.shared.conftest import Mill, done
from tests.shared.schedules.conductor import Conductor

ROUNDS: Final = 60
AHEAD_S: Final = 3.0


@dataclass
class Stage:
    """Moves that the schedules share. Nothing here looks at the bells: due times must do."""

    mill: Mill
    conductor: Conductor
    bells: Any
    resources: Resources

    async def granted(self, files: int, *, pace: float = 0.125) -> UUID:
        """A batch of `files` with what its lane grants at once, nothing taken; `pace` in seconds a file."""
        batch_id = await self.mill.open_batch(files)
        await self.mill.advance(batch_id)
        await self.mill.sql("UPDATE batches SET seconds_per_file = :s WHERE id = :b", b=batch_id, s=pace)
        await self.mill.dispatch()
        return batch_id

    async def expire(self) -> None:
        """Let every lease end, with a sweeper that was never away."""
        await self.mill.sql("UPDATE chunks SET due_at = now() - interval '1 s' WHERE state = 'TAKEN'")
        await self.mill.sql("UPDATE sweeps SET last_ok_at = clock_timestamp()")

    async def sweep(self) -> int:
        async with self.resources.unit_of_work() as uow:
            return await sweeping.sweep_lost(uow)

    async def cancel(self, batch_id: UUID) -> None:
        async with self.resources.unit_of_work() as uow:
            await batch_service.cancel_batch(uow, self.mill.project_id, batch_id)
            await uow.commit()

    async def pause(self, batch_id: UUID) -> None:
        async with self.resources.unit_of_work() as uow:
            await steering.pause_batch(uow, self.mill.project_id, batch_id, by="a key")
            await uow.commit()

    async def resume(self, batch_id: UUID) -> None:
        async with self.resources.unit_of_work() as uow:
            await steering.resume_batch(uow, self.mill.project_id, batch_id)
            await uow.commit()

    async def set_threshold(self, batch_id: UUID, count: int | None) -> None:
        threshold = None if count is None else steering.Threshold(count=count)
        async with self.resources.unit_of_work() as uow:
            await steering.set_threshold(uow, self.mill.project_id, batch_id, threshold)
            await uow.commit()

    async def hand_in(self, held: Any) -> Any:
        """Close a chunk with an end for each of its files."""
        return await self.mill.close(held.chunk, [done(held.chunk, file) for file in held.files])

    async def ring_due(self) -> list[UUID]:
        """What upkeep would ring for batches, were it half a minute later."""
        await self.mill.sql("UPDATE batches SET wake_at = now() WHERE wake_at IS NOT NULL")
        async with self.resources.unit_of_work() as uow:
            self.bells.rung.clear()
            await batch_sweeping.ring_due(uow)
            await uow.commit()
        return [bell.batch_id for bell in self.bells.heard(Advance)]

    async def bring_to_end(self, batch_id: UUID) -> None:
        """Sweeps and due times alone end the batch; fails when nothing moves any more."""
        started = time.monotonic()
        # What was granted ahead of a rate is due up to two seconds later: rounds alone may be over sooner.
        for rounds in itertools.count():
            if rounds >= ROUNDS and time.monotonic() - started > AHEAD_S:
                break
            await self.expire()
            await self.sweep()
            for due in await self.ring_due():
                while await self.mill.advance(due) is Step.MOVED:
                    pass
            if (await self.mill.batch(batch_id)).wake_at is None:
                return
            await self.mill.dispatch()
            while (held := await self.mill.take()) is not None:
                await self.hand_in(held)
        raise AssertionError("the batch did not end")
