"""For each rule of the protocol the interleaving it was made for, driven exactly, under witnesses."""

from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from shared.batches import service as batch_service
from shared.batches.advance import Step
from shared.queue.messages import Dispatch
from tests.shared.schedules import pause_stories, stories
from tests.shared.schedules.stage import Stage


async def test_rule_1_a_late_holder_is_fenced(stage: Stage) -> None:
    await stories.a_late_holder(stage)


async def test_rule_1_a_holder_that_locked_first_is_not_reaped(stage: Stage) -> None:
    await stories.a_flush_beside_the_sweep(stage)


async def test_rule_2_a_late_result_changes_no_byte_of_the_accepted_one(stage: Stage, tmp_path: Path) -> None:
    await stories.a_late_result(stage, tmp_path)


async def test_rule_4_the_news_of_the_last_chunk_is_not_lost(stage: Stage) -> None:
    await stories.the_last_two_chunks(stage)


@pytest.mark.usefixtures("small_pages")
async def test_rule_4_a_second_reader_waits(stage: Stage) -> None:
    await stories.two_readers_of_a_directory(stage)


async def test_rule_5_a_settle_sees_what_was_opened_while_it_waited(stage: Stage) -> None:
    await stories.a_settle_beside_a_reopening(stage)


async def test_rule_6_neighbours_of_a_poisonous_file_do_not_fail(stage: Stage) -> None:
    await stories.one_file_kills_its_worker(stage)


@pytest.mark.usefixtures("small_pages")
async def test_rule_7_the_file_list_is_frozen_while_others_upload(stage: Stage) -> None:
    await stories.uploads_around_a_create(stage)


async def test_rule_9_a_sweeper_that_was_away_takes_nothing(stage: Stage) -> None:
    await stories.a_sweeper_that_was_away(stage)


async def test_rule_10_two_dispatches_do_not_pass_a_limit(stage: Stage) -> None:
    await stories.two_dispatches(stage)


async def test_rule_11_what_ends_while_a_dispatch_refuses_rings_the_lane(stage: Stage) -> None:
    await stories.an_end_while_a_dispatch_decides(stage)


@pytest.mark.usefixtures("small_pages")
async def test_rule_14_of_two_chains_of_looks_one_rings(stage: Stage) -> None:
    await stories.a_bell_heard_twice(stage)


async def test_rule_16_a_stop_waits_for_a_grant_and_drains_it(stage: Stage) -> None:
    await stories.a_drain_beside_a_dispatch(stage)


async def test_rule_16_nothing_starts_after_the_stop(stage: Stage) -> None:
    await stories.a_take_after_the_stop(stage)


async def test_rule_16_a_stop_at_the_last_close_is_the_end(stage: Stage) -> None:
    await stories.a_cancel_at_the_last_close(stage)


async def test_rule_20_an_open_batch_cannot_lose_its_due_time(stage: Stage) -> None:
    batch_id = await stage.mill.open_batch(1)
    with pytest.raises(IntegrityError, match="ck_batches"):
        await stage.mill.sql("UPDATE batches SET wake_at = NULL WHERE id = :b", b=batch_id)


async def test_rule_21_a_file_handed_on_is_not_counted(stage: Stage) -> None:
    await stories.an_end_between_the_reads_of_a_split(stage)


async def test_rule_22_what_runs_at_its_limit_is_not_throttled(stage: Stage) -> None:
    await stories.a_grant_to_one_that_waited(stage)


async def test_no_bell_goes_out_before_its_rows(stage: Stage) -> None:
    await stories.bells_of_rows(stage)


async def test_rule_29_events_are_numbered_in_the_order_of_their_commits(stage: Stage) -> None:
    await stories.two_events_at_once(stage)


async def test_rule_29_a_listener_that_reads_at_any_time_misses_nothing(stage: Stage) -> None:
    await stories.a_listener_between_two_events(stage)


@pytest.mark.usefixtures("small_pages")
async def test_rule_45_the_lane_is_rung_before_the_rest_is_listed(stage: Stage) -> None:
    batch_id = await stage.mill.open_batch(5)
    stage.bells.rung.clear()
    assert await stage.mill.advance(batch_id) is Step.FIRST_PAGE
    assert len(stage.bells.heard(Dispatch)) == 1
    assert not (await stage.mill.batch(batch_id)).spread_done


async def test_rule_15_what_was_lost_is_taken_before_what_was_granted_after_it(stage: Stage) -> None:
    await stories.a_loss_before_later_grants(stage)


@pytest.mark.usefixtures("small_pages")
async def test_rule_31_after_a_cancel_the_results_are_those_files_that_were_listed(stage: Stage) -> None:
    batch_id = await stage.mill.open_batch(5)
    assert await stage.mill.advance(batch_id) is Step.FIRST_PAGE
    await stage.cancel(batch_id)
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id, "CANCELLED")
    async with stage.resources.unit_of_work() as uow:
        batch = await batch_service.get_batch(uow, stage.mill.project_id, batch_id)
        assert batch_service.has_results(batch)
        assert len(await batch_service.mapped_page(uow, batch, after_seq=0, size=10)) == 2


async def test_rule_16_nothing_starts_after_the_pause(stage: Stage) -> None:
    await pause_stories.a_take_after_the_pause(stage)


async def test_rule_16_a_pause_waits_for_a_grant_and_takes_it_back(stage: Stage) -> None:
    await pause_stories.a_pause_beside_a_dispatch(stage)


async def test_rule_16_a_pause_waits_for_a_grant_of_what_waited(stage: Stage) -> None:
    await pause_stories.a_pause_beside_a_grant_of_what_waited(stage)


async def test_rule_16_a_dispatch_that_chose_before_the_pause_grants_nothing(stage: Stage) -> None:
    await pause_stories.a_dispatch_beside_a_pause(stage)


async def test_rule_16_what_a_paused_batch_lost_is_not_taken(stage: Stage) -> None:
    await pause_stories.a_loss_in_a_paused_batch(stage)
