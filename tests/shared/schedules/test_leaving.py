"""Rule 16 at its narrowest: a stop comes while a chunk goes from its holder back to READY."""

from typing import Any

import pytest
from sqlalchemy import text

from shared.jobs import reclaim
from shared.pausing import Point
from tests.shared.schedules import leaving
from tests.shared.schedules.stage import Stage


async def a_split(stage: Stage) -> None:
    async def sweep(_held: Any) -> int:
        return await leaving.lost(stage)

    await leaving.a_stop_beside_a_move(stage, files=8, move=sweep, at=Point.SPLIT_READ)


async def test_rule_16_what_a_split_makes_while_the_stop_waits_does_not_start(stage: Stage) -> None:
    await a_split(stage)


async def test_rule_16_without_lock_then_flag_what_a_split_makes_starts_after_the_stop(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def flag_at_once(session: Any, batch_id: Any) -> None:
        await session.execute(
            text("UPDATE chunks SET stop = true WHERE batch_id = :b AND state <> 'DONE'"), {"b": batch_id}
        )

    monkeypatch.setattr(reclaim, "flag_stop", flag_at_once)
    with pytest.raises(AssertionError, match="started after the stop"):
        await a_split(stage)


async def test_rule_16_a_suspect_that_is_split_while_the_stop_waits_does_not_start(stage: Stage) -> None:
    async def suspect(held: Any) -> Any:
        return await leaving.suspected(stage, held)

    await leaving.a_stop_beside_a_move(stage, files=8, move=suspect, at=Point.SPLIT_READ)


async def test_rule_16_a_loss_that_is_counted_while_the_stop_waits_does_not_start(stage: Stage) -> None:
    async def sweep(_held: Any) -> int:
        return await leaving.lost(stage)

    await leaving.a_stop_beside_a_move(stage, files=1, move=sweep, at=Point.LOST_HELD)


@pytest.mark.parametrize("after", [0.0, 0.01])
async def test_rule_16_what_is_released_while_the_stop_waits_does_not_start(
    stage: Stage, after: float
) -> None:
    async def release(held: Any) -> Any:
        return await leaving.released(stage, held, after)

    await leaving.a_stop_beside_a_move(stage, files=4, move=release, at=Point.CHUNK_HELD)
