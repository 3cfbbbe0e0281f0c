"""Upkeep asks one question before its sweeps, and each of them runs when it should."""

from typing import Any

from services.worker.upkeep.sweep import Glance
from shared.db.unit_of_work import UnitOfWork
from shared.wiring import Resources
from tests.shared.conftest import Mill, make_mill

SWEPT = 7
QUIET = (
    "UPDATE batches SET wake_at = now() + interval '1 h' WHERE wake_at IS NOT NULL",
    "UPDATE lanes SET wake_at = NULL",
    "DELETE FROM chunks",
)


async def swept(_: UnitOfWork) -> int:
    return SWEPT


async def glanced(mill: Mill, step: Any = None) -> int:
    """What one beat does, by a glance that was not cast before."""
    glance = Glance(mill.resources.reader)
    async with mill.resources.unit_of_work() as uow:
        return int(await (glance.lost_chunks if step is None else glance.before(step))(uow))


async def quiet_mill(resources: Resources) -> Mill:
    mill = await make_mill(resources)
    for statement in QUIET:
        await mill.sql(statement)
    return mill


async def test_nothing_is_swept_while_nothing_is_due(resources: Resources) -> None:
    mill = await quiet_mill(resources)
    assert await glanced(mill, swept) == 0


async def test_a_batch_that_is_due_is_seen(resources: Resources) -> None:
    mill = await quiet_mill(resources)
    batch = await mill.open_batch(3)
    await mill.sql("UPDATE batches SET wake_at = now() WHERE id = :b", b=batch)
    assert await glanced(mill, swept) == SWEPT


async def test_a_lane_that_is_due_is_seen(resources: Resources) -> None:
    mill = await quiet_mill(resources)
    batch = await mill.open_batch(3)
    await mill.advance(batch)
    await mill.dispatch()
    for statement in QUIET:
        await mill.sql(statement)
    assert await glanced(mill, swept) == 0
    await mill.sql("UPDATE lanes SET wake_at = now() - interval '1 s'")
    assert await glanced(mill, swept) == SWEPT


async def test_a_chunk_whose_lease_ran_out_is_taken_back(resources: Resources) -> None:
    mill = await quiet_mill(resources)
    await mill.add_worker()
    batch = await mill.open_batch(3)
    await mill.advance(batch)
    await mill.dispatch()
    await mill.sql("DELETE FROM sweeps")
    await mill.sql("UPDATE batches SET wake_at = now() + interval '1 h' WHERE id = :b", b=batch)
    taken = await mill.taken()
    await mill.sql("DELETE FROM chunks WHERE id <> :c", c=taken.chunk.id)
    await mill.sql("UPDATE lanes SET wake_at = NULL")
    assert await glanced(mill) == 0, "its holder has the lease"
    await mill.sql("UPDATE chunks SET due_at = now() - interval '1 s'")
    assert await glanced(mill) == 1


async def test_that_somebody_looks_is_marked_also_when_nothing_is_due(resources: Resources) -> None:
    mill = await quiet_mill(resources)
    await glanced(mill)
    await mill.sql("UPDATE sweeps SET last_ok_at = now() - interval '1 h'")
    assert await glanced(mill) == 0
    seconds = await mill.one(
        "SELECT extract(epoch FROM now() - last_ok_at) FROM sweeps WHERE name = 'chunks'"
    )
    assert seconds < 60
