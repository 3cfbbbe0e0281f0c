"""Negative controls: each takes one protecting line out and shows that the very same story then fails.

A control that no longer finds its line fails itself (`LookupError`, `AttributeError`), so it cannot rot.
"""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.worker import chunk as worker_chunk
from shared.batches import orchestration
from shared.db.unit_of_work import UnitOfWork
from shared.jobs import reclaim, sweeping
from tests.shared.schedules import stories
from tests.shared.schedules.conductor import without
from tests.shared.schedules.stage import Stage


async def test_rule_1_without_the_token_check_a_late_holder_is_accepted(stage: Stage) -> None:
    with (
        without(
            stage.resources.engine,
            "id = $1 AND token = $2::UUID AND state = 'TAKEN' FOR UPDATE",
            "id = $1 AND ($2::UUID IS NOT NULL) AND state = 'TAKEN' FOR UPDATE",
        ),
        pytest.raises(DBAPIError, match="witness: job"),
    ):
        await stories.a_late_holder(stage)


async def test_rule_2_without_the_token_in_the_key_a_late_result_replaces_the_accepted_one(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_token(chunk: Any, file: Any) -> str:
        return f"p/{chunk.project_id}/r/{file.job_id}.json.zst"

    monkeypatch.setattr(worker_chunk, "result_key", without_token)
    with pytest.raises(AssertionError):
        await stories.a_late_result(stage, tmp_path)


async def test_rule_4_without_the_batch_lock_a_page_is_read_twice(stage: Stage) -> None:
    with (
        without(stage.resources.engine, "FOR NO KEY UPDATE"),
        pytest.raises(IntegrityError, match="jobs_batch_id_seq"),
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
        without(stage.resources.engine, "FOR NO KEY UPDATE"),
        pytest.raises((DBAPIError, AssertionError)),
    ):
        await stories.a_settle_beside_a_reopening(stage)


async def test_rule_6_without_the_split_the_neighbours_fail_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def charged_as_a_whole(session: Any, chunk: Any) -> None:
        if chunk.losses + 1 < reclaim.LOSSES_ALONE:
            await reclaim.count_loss(session, chunk, after=0, reason="WORKER_LOST")
        else:
            await sweeping.ledger.fail_open(session, chunk, code="WORKER_LOST", message="lost")
            await sweeping.ledger.close(session, chunk, seconds=0)

    monkeypatch.setattr(reclaim, "split", charged_as_a_whole)
    with pytest.raises(AssertionError):
        await stories.one_file_kills_its_worker(stage)


async def test_rule_9_without_the_gap_guard_the_living_are_reaped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "LEASE_S", float("inf"))
    with pytest.raises(AssertionError):
        await stories.a_sweeper_that_was_away(stage)


async def test_rule_10_without_the_lane_lock_a_limit_is_passed(stage: Stage) -> None:
    lane = "FROM lanes WHERE project_id = $1 AND job_type = $2"
    with (
        without(stage.resources.engine, "FOR NO KEY UPDATE"),
        pytest.raises(AssertionError),
    ):
        assert lane
        await stories.two_dispatches(stage)


async def test_rule_16_without_the_batch_lock_a_stop_does_not_wait_for_a_grant(stage: Stage) -> None:
    with without(stage.resources.engine, "FOR NO KEY UPDATE"), pytest.raises(AssertionError):
        await stories.a_drain_beside_a_dispatch(stage)


async def test_rule_21_without_its_exclusion_a_file_is_counted_twice(stage: Stage) -> None:
    with (
        without(stage.resources.engine, "AND NOT seq = ANY(CAST("),
        pytest.raises(DBAPIError, match="witness: chunk"),
    ):
        await stories.an_end_between_the_reads_of_a_split(stage)


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
