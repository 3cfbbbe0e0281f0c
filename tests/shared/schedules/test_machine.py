"""Random histories of the real repositories: any order of moves and deaths, judged at each move and at the
end. `HYPOTHESIS_PROFILE=long` looks for more of them, each time for others."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.exc import DBAPIError

from shared.config import Database, Settings, Storage
from shared.errors import Conflict
from shared.jobs import running
from shared.jobs import service as job_service
from shared.lanes.limits import Hold
from shared.pausing import Point
from shared.wiring import open_resources
from tests.conftest import NO_BROKER
from tests.shared.batches.by_hand import limit
from tests.shared.conftest import KIND, done, make_mill
from tests.shared.schedules import known, leaving, witness
from tests.shared.schedules.conductor import Conductor, conducting, reworded
from tests.shared.schedules.stage import Stage
from tests.twins import HeardBells

T = TypeVar("T")
SHORT = settings(max_examples=12, stateful_step_count=20, derandomize=True)
LONG = settings(max_examples=300, stateful_step_count=60, derandomize=False)
OURS = LONG if os.environ.get("HYPOTHESIS_PROFILE") == "long" else SHORT


HELD_BY_ME = "AND token = $2 AND state = 'TAKEN' FOR UPDATE"
HELD_BY_ANYBODY = HELD_BY_ME.replace("token = $2", "$2::uuid IS NOT NULL")


async def never_blocked() -> bool:
    return False


class Histories(RuleBasedStateMachine):
    """A lane with some batches, holders that may be zombies, and a sweeper."""

    url: str
    folder: Path
    # For a control: what no statement says any more, and what it says instead.
    taken_out: tuple[str, str] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.batches: list[UUID] = []
        self.held: list[Any] = []
        self.listening = conducting(never_blocked)
        self.stage = self.run(self._open(self.listening.__enter__()))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(work)

    async def _open(self, conductor: Conductor) -> Stage:
        bells = HeardBells()
        resources = open_resources(
            Settings.model_validate(
                {
                    "data_dir": self.folder / "data",
                    "secret_key": "a key of tests",
                    "database": Database.model_validate({"url": self.url, "pool_size": 3}),
                    "broker": {"url": NO_BROKER},
                    "storage": Storage(url=(self.folder / "blobs").as_uri()),
                }
            ),
            name="histories",
            queue=bells,
        )
        await witness.install(resources.engine)
        if self.taken_out is not None:
            reworded(resources.engine, *self.taken_out)
        stage = Stage(await make_mill(resources), conductor, bells, resources)
        await known.make_known(stage.mill)
        await stage.mill.add_worker()
        await stage.sweep()
        return stage

    @initialize(files=st.integers(1, 9), mixed=st.lists(st.booleans(), max_size=9))
    def begin(self, files: int, mixed: list[bool]) -> None:
        """With work under way, for most of what can go wrong does so around it, and with files among it whose
        result is known."""
        self.run(known.add_mixed(self.stage.mill, mixed))
        self.batches.append(self.run(self.stage.granted(files)))
        self.take()

    @rule(files=st.integers(0, 9), mixed=st.lists(st.booleans(), max_size=9))
    @precondition(lambda self: len(self.batches) < 3)
    def open(self, files: int, mixed: list[bool]) -> None:
        self.run(known.add_mixed(self.stage.mill, mixed))
        self.batches.append(self.run(self.stage.mill.open_batch(files)))

    @rule(data=st.data())
    @precondition(lambda self: self.batches)
    def advance(self, data: st.DataObject) -> None:
        self.run(self.stage.mill.advance(data.draw(st.sampled_from(self.batches))))

    @rule(pace=st.sampled_from([0.1, 0.3, 1.0]))
    @precondition(lambda self: self.batches)
    def dispatch(self, pace: float) -> None:
        self.run(self.stage.mill.sql("UPDATE batches SET seconds_per_file = :s", s=pace))
        self.run(self.stage.mill.dispatch())

    @rule()
    @precondition(lambda self: self.batches)
    def take(self) -> None:
        if (held := self.run(self.stage.mill.take())) is not None:
            self.held.append(held)

    @rule(data=st.data(), share=st.floats(0, 1))
    @precondition(lambda self: self.held)
    def flush(self, data: st.DataObject, share: float) -> None:
        held = data.draw(st.sampled_from(self.held))
        files = held.files[: round(share * len(held.files))]
        self.run(self.stage.mill.flush(held.chunk, [done(held.chunk, file) for file in files]))

    @rule(data=st.data(), keeps=st.booleans(), whole=st.booleans())
    @precondition(lambda self: self.held)
    def close(self, data: st.DataObject, *, keeps: bool, whole: bool) -> None:
        """The holder may forget it, or go on with it as a zombie, or as one whose answer was lost."""
        held = data.draw(st.sampled_from(self.held))
        files = held.files if whole else held.files[:1]
        self.run(self.stage.mill.close(held.chunk, [done(held.chunk, file) for file in files]))
        if not keeps:
            self.held.remove(held)

    @rule(data=st.data())
    def outlive_and_flush(self, data: st.DataObject) -> None:
        self._outlive(data, "flush")

    @rule(data=st.data())
    def outlive_and_close(self, data: st.DataObject) -> None:
        self._outlive(data, "close")

    @rule(data=st.data(), move=st.sampled_from(["release", "suspect", "beat"]))
    def outlive_and_leave(self, data: st.DataObject, move: str) -> None:
        self._outlive(data, move)

    def _outlive(self, data: st.DataObject, move: str) -> None:
        """A living holder loses its lease, whatever is there is taken by others, and then it goes on as if
        nothing had happened. Only a chunk of one file keeps its row when it is lost: others are lost first.
        """
        self._take_all()
        if not self._living(alone=True):
            self._all_lost()
        if living := self._living(alone=data.draw(st.booleans())):
            old = data.draw(st.sampled_from(living))
            self._all_lost()
            self.run(self._move(move, old))

    def _living(self, *, alone: bool) -> list[Any]:
        rows = self.run(self.stage.mill.sql("SELECT token FROM chunks WHERE state = 'TAKEN'"))
        tokens = [token for (token,) in rows]
        return [
            held for held in self.held if held.chunk.token in tokens and (held.chunk.size == 1 or not alone)
        ]

    def _all_lost(self) -> None:
        self.lose()
        self._take_all()

    def _take_all(self) -> None:
        while (held := self.run(self.stage.mill.take())) is not None:
            self.held.append(held)

    @rule(data=st.data(), move=st.sampled_from(["release", "suspect", "beat"]))
    @precondition(lambda self: self.held)
    def go_on(self, data: st.DataObject, move: str) -> None:
        """A holder gives its chunk back, blames a file of it, or says that it is alive."""
        self.run(self._move(move, data.draw(st.sampled_from(self.held))))

    async def _move(self, move: str, held: Any) -> None:
        ends = [done(held.chunk, file) for file in held.files]
        if move == "flush":
            await self.stage.mill.flush(held.chunk, ends)
        elif move == "close":
            await self.stage.mill.close(held.chunk, ends)
        elif move == "release":
            await leaving.released(self.stage, held)
        elif move == "suspect":
            await leaving.suspected(self.stage, held)
        else:
            async with self.stage.resources.unit_of_work() as uow:
                await running.beat(uow, held.chunk)

    @rule()
    @precondition(lambda self: self.held)
    def lose(self) -> None:
        self.run(self.stage.expire())
        self.run(self.stage.sweep())

    @rule(data=st.data())
    @precondition(lambda self: self.batches)
    def cancel(self, data: st.DataObject) -> None:
        try:
            self.run(self.stage.cancel(data.draw(st.sampled_from(self.batches))))
        except Conflict:
            return

    @rule(data=st.data(), resumes=st.booleans())
    @precondition(lambda self: self.batches)
    def pause(self, data: st.DataObject, *, resumes: bool) -> None:
        move = self.stage.resume if resumes else self.stage.pause
        try:
            self.run(move(data.draw(st.sampled_from(self.batches))))
        except Conflict:
            return

    @rule(data=st.data(), count=st.sampled_from([None, 1, 3]))
    @precondition(lambda self: self.batches)
    def threshold(self, data: st.DataObject, count: int | None) -> None:
        try:
            self.run(self.stage.set_threshold(data.draw(st.sampled_from(self.batches)), count))
        except Conflict:
            return

    @rule(data=st.data())
    @precondition(lambda self: self.held)
    def fail(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self.held))
        ends = [done(held.chunk, file, "CORRUPT_FILE") for file in held.files]
        self.run(self.stage.mill.close(held.chunk, ends))

    @rule(data=st.data())
    @precondition(lambda self: self.batches)
    def cancel_file(self, data: st.DataObject) -> None:
        jobs = self.run(self.stage.mill.sql("SELECT id FROM jobs WHERE status = 'PENDING' ORDER BY seq"))
        if jobs:
            self.run(self._cancel_job(data.draw(st.sampled_from([job for (job,) in jobs]))))

    async def _cancel_job(self, job_id: UUID) -> None:
        async with self.stage.resources.unit_of_work() as uow:
            await job_service.cancel_job(uow, self.stage.mill.project_id, KIND, job_id)
            await uow.commit()

    @rule(most=st.sampled_from([None, 1, 3]), batches=st.sampled_from([None, 1]))
    @precondition(lambda self: self.batches)
    def limits(self, most: int | None, batches: int | None) -> None:
        self.run(limit(self.stage.mill, max_jobs=most, max_batches=batches))

    @rule()
    @precondition(lambda self: self.batches)
    def hold(self) -> None:
        """Until the next `limits`, which lifts it."""
        self.run(limit(self.stage.mill, hold=Hold("an operator looks")))

    @rule(
        point=st.sampled_from([p for p in Point if p not in {Point.RESULT_MADE, Point.BLOB_STORED}]),
        data=st.data(),
    )
    @precondition(lambda self: self.batches)
    def die(self, point: Point, data: st.DataObject) -> None:
        """A process starts a move and may come to its death."""
        works: list[Callable[[], Coroutine[Any, Any, Any]]] = [
            self.stage.mill.dispatch,
            self.stage.sweep,
            self.stage.mill.take,
        ]
        works += [partial(self.stage.mill.advance, batch_id) for batch_id in self.batches]
        self.run(self.stage.conductor.killed(data.draw(st.sampled_from(works))(), point))

    @invariant()
    def every_open_file_has_a_place(self) -> None:
        """Protocol rule 20: it lies in a live chunk, or beyond what its open batch was granted."""
        lost = self.run(
            self.stage.mill.one(
                "SELECT count(*) FROM jobs j JOIN batches b ON b.id = j.batch_id WHERE j.status = 'PENDING'"
                " AND b.project_id = :p AND (b.wake_at IS NULL OR (j.seq <= b.fed_seq"
                "  AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.batch_id = b.id AND c.state <> 'DONE'"
                "   AND j.seq BETWEEN c.lo AND c.hi)))",
                p=self.stage.mill.project_id,
            )
        )
        assert lost == 0

    @invariant()
    def nothing_of_a_paused_batch_may_start(self) -> None:
        ready = self.run(
            self.stage.mill.one(
                "SELECT count(*) FROM chunks c JOIN batches b ON b.id = c.batch_id"
                " WHERE b.paused_at IS NOT NULL AND c.state = 'READY'"
            )
        )
        assert ready == 0

    @invariant()
    def no_file_lies_in_two_chunks(self) -> None:
        twice = self.run(
            self.stage.mill.one(
                "SELECT count(*) FROM chunks a JOIN chunks b ON a.batch_id = b.batch_id AND a.id < b.id"
                " AND a.state <> 'DONE' AND b.state <> 'DONE' AND a.lo <= b.hi AND b.lo <= a.hi"
            )
        )
        assert twice == 0

    def teardown(self) -> None:
        """Limits lifted, sweeps and due times alone end every batch exactly."""
        try:
            self.run(self._end())
        finally:
            self.listening.__exit__(None, None, None)
            self.loop.close()

    async def _end(self) -> None:
        mill = self.stage.mill
        try:
            if self.batches:
                await limit(mill)
            for batch_id in self.batches:
                with suppress(Conflict):
                    await self.stage.resume(batch_id)
            for batch_id in self.batches:
                await self.stage.bring_to_end(batch_id)
                row = await mill.batch(batch_id)
                await mill.assert_exact(batch_id, "COMPLETED" if row.stop_as is None else row.stop_as)
                await known.assert_reused(mill, batch_id)
        finally:
            # Other examples share the database; a lane of this project must not be taken from.
            # Nor may its workers make the chunks of the next one smaller.
            await mill.sql("DELETE FROM chunks")
            await mill.sql("DELETE FROM workers")
            await witness.remove(self.stage.resources.engine)
            await self.stage.resources.close()


def play(machine: type[Histories], chosen: settings) -> None:
    """Many histories; the first that is judged wrong is raised as it is."""
    phases = [Phase.explicit, Phase.generate]
    quiet = settings(chosen, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=settings(quiet, phases=phases, report_multiple_bugs=False))


def test_any_history_ends_exact(database_url: str, tmp_path: Path) -> None:
    Histories.url, Histories.folder = database_url, tmp_path
    play(Histories, OURS)


def test_without_the_token_check_a_history_is_judged_wrong(database_url: str, tmp_path: Path) -> None:
    """The control of the machine itself: it must come by itself to what the token check is for."""

    class Unfenced(Histories):
        url, folder, taken_out = database_url, tmp_path, (HELD_BY_ME, HELD_BY_ANYBODY)

    with pytest.raises(DBAPIError, match="witness: job"):
        play(Unfenced, SHORT)
