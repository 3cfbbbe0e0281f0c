"""Run the files of one chunk: engine in the sandbox, blob, row, in that order, while the lease is kept. Blobs
and rows of some files are written while the next is read (`delivery`).

No transaction is open while an engine runs or a blob is stored. A process that dies on any line leaves a
TAKEN chunk behind, whose lease ends within 15 s; files already flushed are not run again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar, cast

from services.worker import results
from services.worker.courtesies import ring_when_low
from services.worker.delivery import Delivery, trouble_of_ours
from services.worker.engines.port import Again, Done, Infra, Outcome, ParseRequest
from services.worker.extraction import Extracting
from services.worker.heart import Heart
from services.worker.originals import OWNERS, NoOriginal, Original, bring, trouble_of
from services.worker.requests import Requests
from services.worker.runtime import Runtime
from shared.db.outage import will_pass
from shared.jobs import limiting, running
from shared.jobs.codes import FailureCode
from shared.jobs.lifecycle import JobType
from shared.jobs.recipe import recipe_of
from shared.jobs.running import Assignment, FileToRun, Hand, JobEnd
from shared.pausing import Point, reach
from shared.storage.port import StorageDown
from shared.telemetry import logger

T = TypeVar("T")
log = logger(__name__)

GRACE_S: Final = 2.0
HOME_WITHIN_S, LEAVING_WITHIN_S = 30.0, 1.0
"""For the results that wait when a chunk is given back: as ever, and when the worker was asked to leave."""
INFRA_AGAIN_S: Final = 5.0
UPSTREAM: Final = "UPSTREAM_"
LONGEST_REASON: Final = 300


class ChunkRun:
    """One holder's run of one chunk."""

    def __init__(self, runtime: Runtime, assignment: Assignment, heart: Heart) -> None:
        self._runtime = runtime
        self._chunk = assignment.chunk
        self._parameters = assignment.parameters
        self._extracting = (
            Extracting(assignment.parameters, runtime.extractor)
            if assignment.chunk.job_type == JobType.EXTRACT
            else None
        )
        self._recipe = _recipe(runtime, assignment)
        self._project = str(assignment.chunk.project_id)
        self._keys = results.Keys(assignment.chunk)
        self._may_be_lost = results.may_be_lost(assignment.chunk)
        self._heart = heart
        self._delivery = Delivery(runtime.resources.storage, self._flush)
        self._busy_s = 0.0
        self._again_in = 1.0
        self._again_for: str | None = None
        self._in_file = self._broken_off = False
        self._files = assignment.files
        in_place = runtime.resources.storage.in_place
        self._requests = Requests(assignment.files, in_place, assignment.parameters)

    async def run(self) -> None:
        """Run the files in their order, then close the chunk or give the rest of it back."""
        self._task = cast("asyncio.Task[None]", asyncio.current_task())
        watcher = asyncio.create_task(self._break_in_time())
        try:
            await self._run_all()
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            await self._delivery.close()

    async def _run_all(self) -> None:
        for number, file in enumerate(self._files):
            await self._heart.until_renewed()
            if self._runtime.stopping.is_set():
                await self._give_back(0.0, None)
                return
            outcome = await self._watched(number, file)
            if self._heart.hand is Hand.FENCED:
                log.warning("fenced: the lease went to another worker")
                return
            if isinstance(outcome, JobEnd):
                self._delivery.add(outcome)
                self._runtime.tally.count(self._chunk.job_type, outcome.status, outcome.seconds)
                continue
            if isinstance(outcome, Infra | Again) and outcome.reason.startswith(UPSTREAM):
                await self._wait_for_upstream(outcome)
                return
            if isinstance(outcome, Infra):
                await self._stumble(outcome.reason)
                return
            if outcome is None and self._heart.hand is not Hand.STOP:
                await self._give_back(0.0, None)
                return
            if outcome is None:
                break
            self._again_in = max(self._again_in, outcome.after)
            self._again_for = outcome.reason[:LONGEST_REASON]
        await self._close()

    async def _watched(self, number: int, file: FileToRun) -> JobEnd | Again | Infra | None:
        """Send home what is due and run one file; None when it was broken off by the fence, a stop or the end
        of the worker."""
        if self._heart.interrupted.is_set():
            return None
        self._in_file = True
        started: float | None = None
        try:
            # In this task and without a timer: of a short file they would be the larger part.
            if self._delivery.is_due and (trouble := await self._delivery.start()) is not None:
                return Infra(trouble)
            started = time.monotonic()
            return await self._run_file(number, file)
        except asyncio.CancelledError:
            if not self._was_broken_off():
                raise
            return None
        finally:
            self._in_file = False
            # Only the work counts as the pace of the batch: no pause of the process, no outage.
            self._busy_s += 0.0 if started is None else time.monotonic() - started

    def _was_broken_off(self) -> bool:
        return self._broken_off and self._task.uncancel() == 0

    async def _break_in_time(self) -> None:
        """Beside the files of the whole chunk: cancel the one in progress, or the wait for the storage, when
        it is to be broken off. What is written between two files is never cut."""
        await self._break_off()
        if self._in_file:
            self._broken_off = True
            self._task.cancel()

    async def _break_off(self) -> None:
        interrupted = asyncio.create_task(self._heart.interrupted.wait())
        stopping = asyncio.create_task(self._runtime.stopping.wait())
        try:
            await asyncio.wait({interrupted, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not interrupted.done():
                # Asked to leave: a file that is nearly done may finish.
                await asyncio.wait({interrupted}, timeout=GRACE_S)
        finally:
            interrupted.cancel()
            stopping.cancel()

    async def _run_file(self, number: int, file: FileToRun) -> JobEnd | Again | Infra:
        resources, scratch = self._runtime.resources, self._runtime.scratch
        original: Original | None = None
        try:
            original = self._in_place(number) or await bring(resources, file, scratch)
            left = await self._left_behind(file) if self._may_be_lost else None
            outcome = left or await self._outcome(number, file, original.path)
            if isinstance(outcome, Done) and outcome.code is not None and not original.path.is_file():
                # It is gone, or never was there. The storage says whether it is away or the blob removed.
                original = await bring(resources, file, scratch)
                outcome = Again(1.0, "STORAGE_DOWN: it was away while the document was read")
            end = await self._end_of(file, outcome)
            if original.sha256 is None or not isinstance(end, JobEnd):
                return end
            return replace(end, sha256=original.sha256)
        except NoOriginal as refusal:
            return _failed(file, refusal.code, refusal.message, retryable=refusal.retryable)
        except StorageDown as error:
            return Infra(trouble_of(error))
        except (OSError, MemoryError) as error:
            return Infra(trouble_of_ours(error))
        except Exception:
            # A fault of ours must cost this file an error, not the chunk its lease.
            log.exception("engine failed", job=str(file.job_id))
            return _failed(file, FailureCode.ENGINE_ERROR, "The engine failed; the log has the reason.")
        finally:
            if original is not None and original.is_copy:
                original.path.unlink(missing_ok=True)

    def _in_place(self, number: int) -> Original | None:
        """Where it is read without a look before, which a short document would feel: what is not there is
        noticed by who reads it. Not where a result may take the place of the reading."""
        if self._extracting is not None or self._may_be_lost:
            return None
        request = self._requests.of(number)
        return None if request is None else Original(request.path, is_copy=False)

    async def _left_behind(self, file: FileToRun) -> Done | None:
        engine, scratch = self._runtime.engine, self._runtime.scratch
        if engine is None:
            return None
        storage = self._runtime.resources.storage
        return await results.left_behind(storage, storage, self._chunk, file, engine=engine, scratch=scratch)

    async def _outcome(self, number: int, file: FileToRun, fetched: Path) -> Outcome:
        sandbox, project = self._runtime.sandbox, self._project
        if self._extracting is not None:
            return await self._extracting.outcome(sandbox, file, fetched, project_id=project)
        request = self._requests.of(number)
        if request is None:
            request = ParseRequest(path=fetched, name=file.name, options=self._parameters)
        # A result that was left behind takes the place of a run: then it is not known which runs come.
        ahead = () if self._may_be_lost else self._requests.behind(number)
        return await sandbox.run(request, project_id=project, ahead=ahead)

    async def _end_of(self, file: FileToRun, outcome: Outcome) -> JobEnd | Again | Infra:
        if not isinstance(outcome, Done):
            return outcome
        key = None
        if outcome.code is None:
            if outcome.result is None:
                return _failed(file, FailureCode.ENGINE_ERROR, "The engine gave no result.")
            key = self._keys.of(file)
            self._delivery.keep(key, outcome.result)
            await reach(Point.RESULT_MADE)
        return JobEnd(
            job_id=file.job_id,
            status="COMPLETED" if outcome.code is None else "FAILED",
            code=outcome.code,
            message=outcome.message,
            retryable=outcome.retryable if outcome.code else None,
            result_key=key,
            pages=outcome.pages,
            seconds=outcome.seconds,
            engine=outcome.engine,
            recipe=None if key is None else self._recipe,
        )

    async def _flush(self, ends: Sequence[JobEnd]) -> None:
        async def flush() -> Hand:
            async with self._runtime.unit_of_work() as uow:
                return await running.flush(uow, self._chunk, ends)

        self._heart.heard(await self._insist(flush))

    async def _close(self) -> None:
        self._in_file = True
        try:
            ends, trouble = await self._delivery.last()
        except asyncio.CancelledError:
            if not self._was_broken_off():
                raise
            await self._give_back(0.0, None)
            return
        finally:
            self._in_file = False
        if trouble is not None:
            await self._stumble(trouble)
            return

        async def close() -> Hand:
            async with self._runtime.unit_of_work() as uow:
                return await running.close(
                    uow,
                    self._chunk,
                    ends,
                    # Reading and storing go on side by side: the slower is the pace.
                    seconds=max(self._busy_s, self._delivery.storing_s),
                    again_in=self._again_in,
                    again_for=self._again_for,
                )

        await self._insist(close)

    async def _stumble(self, reason: str) -> None:
        """Our means failed under a file. If they fail by themselves too, no document is to blame, and this
        process leaves the queue; if they work, the file is the suspect, and its neighbours go on. What is not
        ours, a folder read in place, is only waited for."""
        if reason.startswith(OWNERS) or await self._runtime.fails_by_itself(reason):
            await self._give_back(INFRA_AGAIN_S, reason)
            return

        ends, _ = await self._delivery.last(within_s=HOME_WITHIN_S)

        async def suspect() -> Hand:
            async with self._runtime.unit_of_work() as uow:
                return await running.suspect(uow, self._chunk, ends, after=INFRA_AGAIN_S, reason=reason)

        await self._insist(suspect)

    async def _wait_for_upstream(self, outcome: Again | Infra) -> None:
        """Somebody whom we ask wants fewer questions or is away. The whole lane waits for him, and nothing is
        counted against a document or this process."""
        after = outcome.after if isinstance(outcome, Again) else INFRA_AGAIN_S
        reason = outcome.reason[:LONGEST_REASON]

        async def hold() -> None:
            async with self._runtime.unit_of_work() as uow:
                await limiting.hold_for(
                    uow, self._chunk.project_id, self._chunk.job_type, reason=reason, seconds=after
                )
                await uow.commit()

        # Before the release, in a transaction of its own: the lane is locked first or alone.
        await self._insist(hold)
        await self._give_back(after, reason)

    async def _give_back(self, after: float, reason: str | None) -> None:
        # What cannot be stored now is given back too.
        leaving = self._runtime.stopping.is_set()
        within_s = LEAVING_WITHIN_S if leaving else HOME_WITHIN_S
        ends, trouble = await self._delivery.last(within_s=within_s)

        async def release() -> Hand:
            async with self._runtime.unit_of_work() as uow:
                return await running.release(uow, self._chunk, ends, after=after, reason=reason or trouble)

        await self._insist(release)

    async def _insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Repeat a write through a database outage: what was done is not thrown away. Each write is
        fenced, so one that did commit before its answer was lost changes nothing the second time."""
        pause = 0.1
        while True:
            try:
                return await write()
            except Exception as error:
                if not will_pass(error) or self._runtime.stopping.is_set():
                    raise
                log.warning("database away, keeping results", error=repr(error)[:200])
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)


async def run_chunk(runtime: Runtime, assignment: Assignment) -> None:
    """Run a taken chunk to its close, its release, or the loss of its fence."""
    async with Heart(runtime.beats.unit_of_work, assignment.chunk) as heart:
        # Beside the first file, which would wait for several questions to the database.
        ringing = asyncio.create_task(ring_when_low(runtime, assignment.chunk))
        try:
            await ChunkRun(runtime, assignment, heart).run()
        finally:
            await asyncio.gather(ringing, return_exceptions=True)


def _recipe(runtime: Runtime, assignment: Assignment) -> bytes | None:
    """What results of this chunk may be found again by; those of extractions are not."""
    if runtime.engine is None or assignment.chunk.job_type != JobType.PARSE:
        return None
    return recipe_of(assignment.parameters, runtime.engine)


def _failed(file: FileToRun, code: FailureCode, message: str, *, retryable: bool = True) -> JobEnd:
    return JobEnd(
        job_id=file.job_id,
        status="FAILED",
        code=code,
        message=message,
        retryable=retryable,
        result_key=None,
        pages=None,
        seconds=None,
        engine=None,
    )
