"""The table of moves, and the two tables that use it."""

from enum import StrEnum

import pytest

from shared.batches.lifecycle import BATCH_MOVES, BatchStatus
from shared.jobs.lifecycle import JOB_MOVES, JobStatus
from shared.state_machine import StateMachine


class Light(StrEnum):
    RED = "red"
    GREEN = "green"
    OFF = "off"


def test_moves_sources_and_ends() -> None:
    machine = StateMachine[Light](
        {Light.RED: frozenset({Light.GREEN}), Light.GREEN: frozenset({Light.OFF}), Light.OFF: frozenset()}
    )
    assert machine.may(Light.RED, Light.GREEN)
    assert not machine.may(Light.GREEN, Light.RED)
    assert machine.sources(Light.OFF) == {Light.GREEN}
    assert machine.final == {Light.OFF}


def test_a_move_to_an_unlisted_state_is_refused() -> None:
    with pytest.raises(ValueError, match="off"):
        StateMachine[Light]({Light.RED: frozenset({Light.OFF})})


def test_final_is_final() -> None:
    assert BATCH_MOVES.final == {BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED}
    assert JOB_MOVES.sources(JobStatus.COMPLETED) == {JobStatus.PENDING}
    assert JOB_MOVES.final == {JobStatus.COMPLETED, JobStatus.UNMAPPED}
    assert JOB_MOVES.sources(JobStatus.PENDING) == {JobStatus.FAILED, JobStatus.CANCELLED}, "a retry"


async def test_the_database_refuses_what_the_table_of_a_batch_does(mill: object) -> None:
    """The CHECKs hold even against a statement that asks nothing."""
    from sqlalchemy.exc import IntegrityError

    batch_id = await mill.open_batch(2)  # type: ignore[attr-defined]
    for change in (
        "wake_at = NULL",
        "status = 'COMPLETED', wake_at = NULL, finished_at = now()",
        "status = 'FAILED', wake_at = NULL, finished_at = now()",
        "ok = 1",
        "stop_as = 'CANCELLED'",
        "status = 'PAUSED'",
    ):
        with pytest.raises(IntegrityError):
            await mill.sql(f"UPDATE batches SET {change} WHERE id = :b", b=batch_id)  # type: ignore[attr-defined]  # noqa: S608
