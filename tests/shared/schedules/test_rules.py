"""For each rule of the protocol the interleaving it was made for, driven exactly, under witnesses."""

from pathlib import Path

import pytest

from tests.shared.schedules import stories
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


async def test_rule_9_a_sweeper_that_was_away_takes_nothing(stage: Stage) -> None:
    await stories.a_sweeper_that_was_away(stage)


async def test_rule_10_two_dispatches_do_not_pass_a_limit(stage: Stage) -> None:
    await stories.two_dispatches(stage)


@pytest.mark.usefixtures("small_pages")
async def test_rule_14_of_two_chains_of_looks_one_rings(stage: Stage) -> None:
    await stories.a_bell_heard_twice(stage)


async def test_rule_16_a_stop_waits_for_a_grant_and_drains_it(stage: Stage) -> None:
    await stories.a_drain_beside_a_dispatch(stage)


async def test_rule_16_nothing_starts_after_the_stop(stage: Stage) -> None:
    await stories.a_take_after_the_stop(stage)


async def test_rule_16_a_stop_at_the_last_close_is_the_end(stage: Stage) -> None:
    await stories.a_cancel_at_the_last_close(stage)


async def test_rule_21_a_file_handed_on_is_not_counted(stage: Stage) -> None:
    await stories.an_end_between_the_reads_of_a_split(stage)


async def test_no_bell_goes_out_before_its_rows(stage: Stage) -> None:
    await stories.bells_of_rows(stage)
