"""Negative controls: each takes one protecting line out and shows that the very same story then fails.

A control that no longer finds its line fails itself (`LookupError`, `AttributeError`), so it cannot rot.
"""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.worker import results as worker_results
from shared.batches import orchestration, pauses
from shared.db.unit_of_work import UnitOfWork
from shared.jobs import ledger, reclaim, sweeping
from tests.shared.schedules import pause_stories, stories
from tests.shared.schedules.conductor import without
from tests.shared.schedules.stage import Stage

WEAK = "FOR KEY SHARE"  # keeps nobody out who does not delete the row
BATCH = "wake_at IS NOT NULL FOR NO KEY UPDATE"
LANE = "AND job_type = $2 FOR NO KEY UPDATE"


async def test_rule_1_without_the_token_check_a_late_holder_is_accepted(stage: Stage) -> None:
    held = "AND token = $2 AND state = 'TAKEN' FOR UPDATE"
    by_anybody = held.replace("token = $2", "$2::uuid IS NOT NULL")
    with (
        without(stage.resources.engine, held, by_anybody),
        pytest.raises(DBAPIError, match="witness: job"),
    ):
        await stories.a_late_holder(stage)


async def test_rule_2_without_the_token_in_the_key_a_late_result_replaces_the_accepted_one(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_token(_keys: Any, file: Any) -> str:
        return f"p/somebody/r/{file.job_id}.json.zst"

    monkeypatch.setattr(worker_results.Keys, "of", without_token)
    with pytest.raises(AssertionError):
        await stories.a_late_result(stage, tmp_path)


@pytest.mark.usefixtures("small_pages")
async def test_rule_4_without_the_batch_lock_a_page_is_read_twice(stage: Stage) -> None:
    with (
        without(stage.resources.engine, BATCH, f"wake_at IS NOT NULL {WEAK}"),
        pytest.raises(IntegrityError),
    ):
        await stories.two_readers_of_a_directory(stage)


async def test_rule_4_with_a_skip_of_the_held_batch_the_news_is_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestration, "lock", orchestration.lock_if_free)
    with pytest.raises(AssertionError):
        await stories.the_last_two_chunks(stage)


async def test_rule_5_without_lock_then_ask_a_batch_ends_with_work_left(stage: Stage) -> None:
    with (
        without(stage.resources.engine, BATCH, f"wake_at IS NOT NULL {WEAK}"),
        pytest.raises(DBAPIError, match="witness: batch"),
    ):
        await stories.a_settle_beside_a_reopening(stage)


async def test_rule_6_without_the_split_the_neighbours_fail_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def charged_as_a_whole(session: Any, chunk: Any) -> None:
        if chunk.losses + 1 < reclaim.LOSSES_ALONE:
            await reclaim.count_loss(session, chunk, after=0, reason="WORKER_LOST")
        else:
            await ledger.fail_open(session, chunk, code="WORKER_LOST", message="lost")
            await ledger.close(session, chunk, seconds=0)

    monkeypatch.setattr(reclaim, "split", charged_as_a_whole)
    with pytest.raises(AssertionError):
        await stories.one_file_kills_its_worker(stage)


@pytest.mark.usefixtures("small_pages")
async def test_rule_7_without_the_last_place_later_uploads_are_listed(stage: Stage) -> None:
    with (
        without(stage.resources.engine, "AND f.pos <= (SELECT last_pos FROM b)"),
        pytest.raises(AssertionError),
    ):
        await stories.uploads_around_a_create(stage)


async def test_rule_9_without_the_gap_guard_the_living_are_reaped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "LEASE_S", float("inf"))
    with pytest.raises(AssertionError):
        await stories.a_sweeper_that_was_away(stage)


async def test_rule_10_without_the_lane_lock_a_limit_is_passed(stage: Stage) -> None:
    with (
        without(stage.resources.engine, LANE, f"AND job_type = $2 {WEAK}"),
        pytest.raises(AssertionError),
    ):
        await stories.two_dispatches(stage)


async def test_rule_11_without_a_look_at_the_lock_a_refusal_wakes_nobody(stage: Stage) -> None:
    read = "wait IS NOT NULL FROM lanes WHERE project_id = $2 AND job_type = $3"
    with (
        without(stage.resources.engine, f"{read} FOR NO KEY UPDATE SKIP LOCKED", read),
        pytest.raises(AssertionError, match="nobody's to wake"),
    ):
        await stories.an_end_while_a_dispatch_decides(stage)


@pytest.mark.usefixtures("small_pages")
async def test_rule_14_without_the_won_update_every_look_rings(stage: Stage) -> None:
    won = "AND rung_at < now() - interval '500 ms'"
    with without(stage.resources.engine, won), pytest.raises(AssertionError):
        await stories.a_bell_heard_twice(stage)


async def test_rule_15_without_its_old_rank_what_was_lost_comes_last(stage: Stage) -> None:
    old = "batch_id, s, s, 1, rank, 0"
    with (
        without(stage.resources.engine, old, old.replace("rank", "rank + 1000")),
        pytest.raises(AssertionError),
    ):
        await stories.a_loss_before_later_grants(stage)


async def test_rule_16_without_the_flag_in_its_commit_work_starts_after_the_stop(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_flag(session: Any, batch_id: Any) -> None:
        """Left to the drain."""

    monkeypatch.setattr(reclaim, "flag_stop", no_flag)
    with pytest.raises(AssertionError):
        await stories.a_take_after_the_stop(stage)


async def test_rule_16_without_the_flag_in_its_commit_work_starts_after_the_pause(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_flag(session: Any, batch_id: Any) -> None:
        """What was granted may still be taken."""

    monkeypatch.setattr(reclaim, "hold_back", no_flag)
    with pytest.raises(DBAPIError, match="starts in a paused batch"):
        await pause_stories.a_take_after_the_pause(stage)


async def test_rule_16_without_the_batch_held_first_a_pause_overlooks_a_grant(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def later(session: Any, batch_id: Any, *, by: str) -> None:
        """The chunks are held back before the batch is held."""

    monkeypatch.setattr(pauses, "begin", later)
    with (
        without(stage.resources.engine, BATCH, f"wake_at IS NOT NULL {WEAK}"),
        pytest.raises(AssertionError),
    ):
        await pause_stories.a_pause_beside_a_dispatch(stage)


async def test_rule_16_without_the_locks_a_pause_overlooks_a_grant_of_what_waited(stage: Stage) -> None:
    locks = "state <> 'DONE' AND NOT paused ORDER BY id FOR UPDATE"
    with (
        without(stage.resources.engine, locks, locks.replace("state <> 'DONE'", "state = 'READY'")),
        pytest.raises(DBAPIError, match="starts in a paused batch"),
    ):
        await pause_stories.a_pause_beside_a_grant_of_what_waited(stage)


async def test_rule_16_without_a_second_look_a_dispatch_feeds_a_paused_batch(stage: Stage) -> None:
    with (
        without(stage.resources.engine, "stop_as, paused_at IS NOT NULL", "stop_as, false"),
        pytest.raises(DBAPIError, match="starts in a paused batch"),
    ):
        await pause_stories.a_dispatch_beside_a_pause(stage)


@pytest.mark.parametrize("end", ["END, now()", "END, token"])
async def test_rule_16_without_the_pause_in_what_was_lost_it_starts(stage: Stage, end: str) -> None:
    held_back = f"CASE WHEN paused THEN 'WAITING' ELSE 'READY' {end}"
    with (
        without(stage.resources.engine, held_back, held_back.replace("paused", "false")),
        pytest.raises(DBAPIError, match="starts in a paused batch"),
    ):
        await pause_stories.a_loss_in_a_paused_batch(stage)


async def test_rule_20_without_the_constraint_an_open_batch_loses_its_due_time(stage: Stage) -> None:
    batch_id = await stage.mill.open_batch(1)
    # Not committed: the schema is shared with the tests that follow.
    async with stage.resources.unit_of_work() as uow:
        await uow.session.execute(text("ALTER TABLE batches DROP CONSTRAINT ck_batches_due"))
        forgotten = await uow.session.execute(
            text("UPDATE batches SET wake_at = NULL WHERE id = :b RETURNING status"), {"b": batch_id}
        )
        assert forgotten.scalar_one() == "PENDING", "the control: nobody will ever look at it again"


async def test_rule_21_without_its_exclusion_a_file_is_counted_twice(stage: Stage) -> None:
    with (
        without(stage.resources.engine, "AND NOT seq = ANY(", "AND NOT -seq = ANY("),
        pytest.raises(DBAPIError, match="witness: chunk"),
    ):
        await stories.an_end_between_the_reads_of_a_split(stage)


async def test_rule_22_without_the_ways_back_on_a_grant_it_stays_throttled(stage: Stage) -> None:
    # Two say so: the grant itself, and the look at all that is THROTTLED and has something granted.
    grant, look = "'THROTTLED' THEN 'RUNNING' ELSE", "b.status = 'THROTTLED' AND b.paused_at IS NULL"
    with (
        without(stage.resources.engine, grant, grant.replace("RUNNING", "THROTTLED")),
        without(stage.resources.engine, look, f"{look} AND false"),
        pytest.raises(AssertionError, match="allowed speed"),
    ):
        await stories.a_grant_to_one_that_waited(stage)


async def test_rule_29_with_numbers_from_outside_the_lock_a_listener_misses_an_event(stage: Stage) -> None:
    # As an identity column gives them: at once, whoever commits first.
    locked = (
        "UPDATE batches SET event_no = event_no + 1 WHERE id = $1 RETURNING id, event_no,"
        " old.event_no AS was, old.status AS status_was"
    )
    free = "SELECT id, nextval('numbers')::int AS event_no, 0 AS was, status AS status_was"
    of_the_lock = "paused_by, spread_done), told"
    await stage.mill.sql("CREATE SEQUENCE numbers")
    try:
        with (
            without(stage.resources.engine, locked, free),
            without(
                stage.resources.engine,
                of_the_lock,
                of_the_lock.replace(")", " FROM batches WHERE id = $1)"),
            ),
            pytest.raises(AssertionError, match="missed an event"),
        ):
            await stories.a_listener_between_two_events(stage)
    finally:
        await stage.mill.sql("DROP SEQUENCE numbers")


async def test_without_commit_before_publish_a_bell_speaks_of_no_row(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = UnitOfWork.commit

    async def publish_first(self: UnitOfWork) -> None:
        bells, self._bells = self._bells, []
        for bell in bells:
            self._queue.publish(bell)
        await commit(self)

    monkeypatch.setattr(UnitOfWork, "commit", publish_first)
    with pytest.raises(AssertionError):
        await stories.bells_of_rows(stage)
