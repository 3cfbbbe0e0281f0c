"""One bell, several hands: work that waits for a model overlaps, and every hand obeys stops and fences."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from services.worker.engines.port import Again, Infra, Outcome, ParseRequest
from services.worker.llm import LanguageModel
from services.worker.runtime import Runtime, close_runtime, open_runtime
from services.worker.stop_pipe import StopPipe
from services.worker.tasks.work import work
from shared.config import Extract, Settings
from shared.lanes import service as lane_service
from shared.wiring import Resources
from shared.workers import operating as worker_operating
from shared.workers import service as worker_service
from tests.services.worker.test_work import add_job, chunk_row, job_row, run_sql

QUEUE = "extract"


class Waiting:
    """A sandbox whose documents wait until they are let go, and that counts how many do."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.inside = 0
        self.most = 0
        self.go = asyncio.Event()

    async def run(
        self, request: ParseRequest, *, project_id: str, ahead: Iterable[ParseRequest] = ()
    ) -> Outcome:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.go.wait()
        finally:
            self.inside -= 1
        return self.outcome

    async def kill(self) -> None:
        """Nothing to kill."""

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
async def runtime(resources: Resources, tmp_path: Path) -> AsyncIterator[Runtime]:
    """A process that hears `extract` alone and asks a model."""
    model = LanguageModel("http://127.0.0.1:9/v1", api_key=None, model="m", timeout_s=1, max_tokens=1)
    twin = Waiting(Again(60.0, "later"))
    yield Runtime(resources, resources, [QUEUE], twin, tmp_path, model)
    await model.close()


async def add_jobs(runtime: Runtime, count: int) -> list[Any]:
    jobs = [await add_job(runtime, f"{n}.txt", b"words") for n in range(count)]
    await run_sql(runtime, "UPDATE chunks SET queue = 'extract'")
    await run_sql(runtime, "INSERT INTO lanes (project_id, job_type) SELECT id, 'parse_v2' FROM projects")
    return jobs


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def twin_of(runtime: Runtime) -> Waiting:
    assert isinstance(runtime.sandbox, Waiting)
    return runtime.sandbox


async def test_as_many_run_at_once_as_the_settings_say(runtime: Runtime) -> None:
    await add_jobs(runtime, 6)
    twin = twin_of(runtime)
    task = asyncio.create_task(work(runtime, QUEUE, slice_s=5))
    await until(lambda: twin.inside == 4)
    await asyncio.sleep(0.5)
    assert twin.most == runtime.resources.settings.extract.side_by_side == 4
    twin.go.set()
    async with asyncio.timeout(10):
        await task
    assert twin.most == 4


async def test_a_free_hand_finds_work_that_comes_while_another_is_busy(runtime: Runtime) -> None:
    await add_jobs(runtime, 1)
    twin = twin_of(runtime)
    task = asyncio.create_task(work(runtime, QUEUE, slice_s=0.1))
    await until(lambda: twin.inside == 1)
    await asyncio.sleep(0.5)
    await add_jobs_beside(runtime)
    await until(lambda: twin.inside == 2)
    twin.go.set()
    async with asyncio.timeout(10):
        await task


async def add_jobs_beside(runtime: Runtime) -> None:
    await add_job(runtime, "late.txt", b"words")
    await run_sql(runtime, "UPDATE chunks SET queue = 'extract'")


async def test_without_a_model_there_is_one_hand(runtime: Runtime) -> None:
    runtime.extractor = None
    await add_jobs(runtime, 3)
    twin = twin_of(runtime)
    task = asyncio.create_task(work(runtime, QUEUE, slice_s=5))
    await until(lambda: twin.inside == 1)
    await asyncio.sleep(0.5)
    assert twin.most == 1
    twin.go.set()
    await task
    assert runtime.side_by_side("parse") == 1


async def test_all_hands_give_back_when_the_worker_leaves(runtime: Runtime) -> None:
    await add_jobs(runtime, 3)
    twin = twin_of(runtime)
    task = asyncio.create_task(work(runtime, QUEUE, slice_s=5))
    await until(lambda: twin.inside == 3)
    runtime.stopping.set()
    async with asyncio.timeout(10):
        await task
    async with runtime.unit_of_work() as uow:
        rows = (await uow.session.execute(text("SELECT state, losses, token FROM chunks"))).all()
    assert [tuple(row) for row in rows] == [("READY", 0, None)] * 3


async def test_a_drained_process_takes_nothing_more(runtime: Runtime) -> None:
    await add_jobs(runtime, 1)
    twin = twin_of(runtime)
    task = asyncio.create_task(work(runtime, QUEUE, slice_s=5))
    await until(lambda: twin.inside == 1)
    runtime.drained = True
    async with runtime.looking:
        pass  # whoever looked before it was drained has seen that there is nothing
    await add_jobs_beside(runtime)
    await asyncio.sleep(0.6)
    assert twin.most == 1
    twin.go.set()
    async with asyncio.timeout(10):
        await task
    assert twin.most == 1


async def test_slots_count_what_runs_side_by_side(resources: Resources) -> None:
    from uuid import uuid4

    async with resources.unit_of_work() as uow:
        await worker_service.enlist(uow, uuid4(), queues=["parse", "extract"], slots=2, side_by_side=4)
        await worker_service.enlist(uow, uuid4(), queues=["extract"], slots=1)
        assert await worker_service.slots_of(uow, "extract") == 9
        assert await worker_service.slots_of(uow, "parse") == 2
        assert await worker_operating.slots_by_queue(uow) == {"extract": 9, "parse": 2}


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [(Again(40.0, "UPSTREAM_RATE: too many"), 40), (Infra("UPSTREAM_DOWN: nobody is there"), 5)],
    ids=["rate", "down"],
)
async def test_the_lane_waits_for_upstream_and_nobody_is_blamed(
    runtime: Runtime, outcome: Again | Infra, seconds: int
) -> None:
    (job,) = await add_jobs(runtime, 1)
    twin = twin_of(runtime)
    twin.outcome = outcome
    twin.go.set()
    await work(runtime, QUEUE, slice_s=5)
    chunk = await chunk_row(runtime)
    assert (chunk.state, chunk.losses, chunk.reason) == ("WAITING", 0, outcome.reason)
    assert (await job_row(runtime, job)).status == "PENDING"
    assert await runtime.is_fit()
    reason, held_for = await hold_of(runtime)
    assert reason == outcome.reason
    assert seconds - 5 < held_for <= seconds


async def test_a_document_that_waits_says_why(runtime: Runtime) -> None:
    await add_jobs(runtime, 1)
    twin = twin_of(runtime)
    twin.outcome = Again(40.0, "NO_ANSWER: no answer in time")
    twin.go.set()
    await work(runtime, QUEUE, slice_s=5)
    chunk = await chunk_row(runtime)
    assert (chunk.state, chunk.losses, chunk.reason) == ("READY", 0, "NO_ANSWER: no answer in time")
    assert await hold_of(runtime) == (None, None)


async def test_a_hold_is_lengthened_and_never_shortened(runtime: Runtime) -> None:
    await add_jobs(runtime, 1)
    async with runtime.unit_of_work() as uow:
        project = (await uow.session.execute(text("SELECT project_id FROM lanes"))).scalar_one()

        async def hold(reason: str, seconds: float) -> bool:
            return await lane_service.hold_for(uow, project, "parse_v2", reason=reason, seconds=seconds)

        assert await hold("first", 10)
        assert not await hold("shorter", 5)
        assert await hold("longer", 20)
        await uow.commit()
    reason, held_for = await hold_of(runtime)
    assert reason == "longer"
    assert 15 < held_for <= 20
    await run_sql(runtime, "UPDATE lanes SET hold_until = 'infinity', hold_reason = 'an operator'")
    async with runtime.unit_of_work() as uow:
        assert not await lane_service.hold_for(uow, project, "parse_v2", reason="ours", seconds=3_600)


async def hold_of(runtime: Runtime) -> Any:
    async with runtime.unit_of_work() as uow:
        found = await uow.session.execute(
            text("SELECT hold_reason, CAST(extract(epoch FROM hold_until - now()) AS float8) FROM lanes")
        )
        return tuple(found.one())


@pytest.fixture
def stop() -> Iterator[StopPipe]:
    made = StopPipe()
    yield made
    made.close()


async def test_a_process_opens_the_model_of_its_settings_and_advertises_it(
    settings: Settings, stop: StopPipe
) -> None:
    named = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "side_by_side": 3}
    chosen = settings.model_copy(update={"extract": Extract.model_validate(named)})
    runtime = await open_runtime(chosen, ["parse", QUEUE], stop)
    try:
        assert isinstance(runtime.extractor, LanguageModel)
        async with asyncio.timeout(10), runtime.unit_of_work() as uow:
            while await worker_service.slots_of(uow, QUEUE) != 3:
                await asyncio.sleep(0.05)
            assert await worker_service.slots_of(uow, "parse") == 1
    finally:
        await close_runtime(runtime)


async def test_a_process_without_one_works_by_rules(settings: Settings, stop: StopPipe) -> None:
    runtime = await open_runtime(settings, [QUEUE], stop)
    try:
        assert runtime.extractor is None
        assert runtime.side_by_side(QUEUE) == 1
    finally:
        await close_runtime(runtime)
