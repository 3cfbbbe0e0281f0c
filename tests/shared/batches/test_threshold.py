"""A batch that has become hopeless stops, with numbers; what finished stays."""

from typing import Any
from uuid import UUID

import pytest

from shared.batches import service as batch_service
from shared.batches import steering
from shared.batches.advance import Step
from shared.batches.threshold import Threshold
from shared.errors import Conflict, InvalidInput
from tests.shared.conftest import Mill


async def threshold_of(mill: Mill, batch_id: UUID, threshold: Threshold | None) -> None:
    async with mill.resources.unit_of_work() as uow:
        await steering.set_threshold(uow, mill.project_id, batch_id, threshold)
        await uow.commit()


async def work(mill: Mill, batch_id: UUID, an_end: Any, *, fails: Any) -> None:
    """Look, grant and work until the batch ends; `fails` tells of each file's place whether it does."""
    for _ in range(200):
        while (step := await mill.advance(batch_id)) is Step.MOVED:
            pass
        if step is Step.ENDED:
            return
        await mill.dispatch()
        held = await mill.take()
        if held is None:
            continue
        seqs = [await mill.one("SELECT seq FROM jobs WHERE id = :j", j=file.job_id) for file in held.files]
        ends = [
            an_end(held.chunk, file, "CORRUPT_FILE" if fails(seq) else None)
            for file, seq in zip(held.files, seqs, strict=True)
        ]
        await mill.close(held.chunk, ends)
    raise AssertionError("the batch did not end")


async def test_so_many_failed_files_stop_it(mill: Mill, an_end: Any) -> None:
    batch_id = await mill.open_batch(100)
    await threshold_of(mill, batch_id, Threshold(count=5))
    await work(mill, batch_id, an_end, fails=lambda seq: seq % 2 == 0)
    await mill.assert_exact(batch_id, "FAILED")
    row = await mill.batch(batch_id)
    assert row.failure_code == "FAILURE_THRESHOLD"
    assert row.failure_message.startswith(f"{row.failed} of {row.ok + row.failed} files")
    assert "the threshold is 5 files." in row.failure_message
    assert row.failed >= 5
    assert row.ok > 0
    assert row.cancelled > 50, "it stopped soon"
    assert row.ok + row.failed + row.cancelled == 100


async def test_results_of_what_finished_can_be_read_after_that(mill: Mill, an_end: Any) -> None:
    batch_id = await mill.open_batch(6)
    await threshold_of(mill, batch_id, Threshold(count=1))
    await work(mill, batch_id, an_end, fails=lambda seq: seq == 2)
    async with mill.resources.unit_of_work() as uow:
        batch = await batch_service.get_batch(uow, mill.project_id, batch_id)
        assert batch_service.has_results(batch)
        results = await batch_service.results_page(uow, batch, after_seq=0, size=10)
    assert {one.status for one in results} >= {"FAILED", "CANCELLED"}


async def test_a_percentage_counts_from_so_many_files_on(mill: Mill, an_end: Any) -> None:
    batch_id = await mill.open_batch(60)
    await threshold_of(mill, batch_id, Threshold(percent=40, after=20))
    await work(mill, batch_id, an_end, fails=lambda seq: seq <= 6 or seq > 30)
    row = await mill.batch(batch_id)
    await mill.assert_exact(batch_id, "FAILED")
    assert "the threshold is 40 % of 20 or more." in row.failure_message
    assert row.ok > 10, "six of the first six were no reason yet"
    assert row.cancelled > 0


@pytest.mark.parametrize("threshold", [Threshold(count=4), Threshold(percent=50, after=1_000), None])
async def test_below_it_the_batch_completes(mill: Mill, an_end: Any, threshold: Threshold | None) -> None:
    batch_id = await mill.open_batch(10)
    await threshold_of(mill, batch_id, threshold)
    await work(mill, batch_id, an_end, fails=lambda seq: seq <= 3)
    await mill.assert_exact(batch_id)


async def test_a_batch_whose_last_file_reaches_it_is_failed_too(mill: Mill, an_end: Any) -> None:
    """Whether it had time to stop before its end is no difference."""
    batch_id = await mill.open_batch(1)
    await threshold_of(mill, batch_id, Threshold(count=1))
    await work(mill, batch_id, an_end, fails=lambda _: True)
    await mill.assert_exact(batch_id, "FAILED")


async def test_a_grant_that_folds_the_news_stops_it_and_grants_nothing(mill: Mill, an_end: Any) -> None:
    batch_id = await mill.open_batch(40)
    await threshold_of(mill, batch_id, Threshold(count=1))
    await mill.advance(batch_id)
    await mill.dispatch()
    held = await mill.taken()
    await mill.close(held.chunk, [an_end(held.chunk, file, "CORRUPT_FILE") for file in held.files])
    fed = (await mill.batch(batch_id)).fed_seq
    await mill.dispatch()
    row = await mill.batch(batch_id)
    assert (row.stop_as, row.failure_code, row.fed_seq) == ("FAILED", "FAILURE_THRESHOLD", fed)
    await work(mill, batch_id, an_end, fails=lambda _: False)
    await mill.assert_exact(batch_id, "FAILED")


async def test_lowered_while_it_runs_it_counts_what_failed_already(mill: Mill, an_end: Any) -> None:
    batch_id = await mill.open_batch(40)
    await mill.advance(batch_id)
    await mill.dispatch()
    held = await mill.taken()
    await mill.close(held.chunk, [an_end(held.chunk, file, "CORRUPT_FILE") for file in held.files])
    await threshold_of(mill, batch_id, Threshold(count=1))
    while await mill.advance(batch_id) is Step.MOVED:
        pass
    await mill.assert_exact(batch_id, "FAILED")


async def test_a_final_batch_is_given_no_threshold(mill: Mill) -> None:
    batch_id = await mill.open_batch(0)
    await mill.run_all(batch_id)
    with pytest.raises(Conflict, match="COMPLETED already"):
        await threshold_of(mill, batch_id, Threshold(count=1))


@pytest.mark.parametrize(
    "odd",
    [
        Threshold(),
        Threshold(after=5),
        Threshold(count=0),
        Threshold(count=2**31),
        Threshold(percent=0),
        Threshold(percent=100.1),
        Threshold(percent=float("nan")),
        Threshold(count=1, after=5),
        Threshold(percent=5, after=0),
    ],
)
async def test_what_cannot_be_meant_is_refused(mill: Mill, odd: Threshold) -> None:
    batch_id = await mill.open_batch(1)
    with pytest.raises(InvalidInput, match="failure_threshold"):
        await threshold_of(mill, batch_id, odd)
