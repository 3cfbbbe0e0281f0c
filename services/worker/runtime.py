"""What one worker process stands on: an event loop on a thread of its own, its pools, its sandbox.

The loop runs between bells too: the process stays visible as alive, and a chunk's lease is renewed while
a bell is heard. Built after the fork, so no connection is ever shared with another process.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

from services.worker.engines.port import Extractor, ParseRequest, Sandboxed
from services.worker.engines.sandbox import Sandbox
from services.worker.engines.scratch import PrivateFolder
from services.worker.engines.version import engine_version
from services.worker.llm import LanguageModel
from services.worker.stop_pipe import StopPipe
from services.worker.tally import Tally
from shared.config import Extract, Settings
from shared.db.outage import will_pass
from shared.db.unit_of_work import UnitOfWorkFactory
from shared.jobs import running
from shared.jobs.lifecycle import JobType
from shared.storage.port import BlobMissing, StorageDown
from shared.telemetry import logger
from shared.wiring import Resources, open_resources
from shared.workers import service as worker_service

T = TypeVar("T")
log = logger(__name__)

SEEN_EVERY_S = 5.0
QUARANTINE_S = (1.0, 30.0)


@dataclass(slots=True)
class Runtime:
    """One process's means. `scratch` is for copies of documents, in the folder `copies` if it made one for
    them. `extractor` is there when values are taken out by a model elsewhere; `engine` is the version of what
    reads documents here, None when no result shall be found again; `stopping` is set when the worker was
    asked to leave. `held` are the tokens of the chunks it works on, and whoever takes or gives back by them
    has `looking`; `in_doubt` says that it may have taken others without knowing."""

    resources: Resources
    beats: Resources
    queues: list[str]
    sandbox: Sandboxed
    scratch: Path
    extractor: Extractor | None = None
    copies: PrivateFolder | None = None
    engine: str | None = None
    worker_id: UUID = field(default_factory=uuid4)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    drained: bool = False
    tally: Tally = field(default_factory=Tally)
    watchers: list[asyncio.Task[None]] = field(default_factory=list)
    held: set[UUID] = field(default_factory=set)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    in_doubt: bool = False
    _unfit_until: float = 0.0
    _unfit_for: float = 0.0

    @property
    def unit_of_work(self) -> UnitOfWorkFactory:
        """Short transactions of the process's pool."""
        return self.resources.unit_of_work

    def side_by_side(self, queue: str) -> int:
        """How many chunks of the queue this process runs at once: more than one where it would only wait for
        a model."""
        waits = queue == JobType.EXTRACT.queue and self.extractor is not None
        return self.resources.settings.extract.side_by_side if waits else 1

    def leave_queue(self, reason: str) -> None:
        """Infrastructure failed under a document: take nothing until a self-test passes (rule 8)."""
        low, high = QUARANTINE_S
        self._unfit_for = min(max(self._unfit_for * 2, low), high)
        self._unfit_until = time.monotonic() + self._unfit_for
        log.warning("worker leaves its queue", reason=reason, seconds=self._unfit_for)

    async def fails_by_itself(self, reason: str) -> bool:
        """After a fault under a document: do our means fail without it too? Then leave the queue."""
        if await self._self_test() is None:
            return False
        self.leave_queue(reason)
        return True

    async def is_fit(self) -> bool:
        """May this process take work? After a fault, only once storage and sandbox work again."""
        if self._unfit_for == 0:
            return True
        if time.monotonic() < self._unfit_until:
            return False
        if (reason := await self._self_test()) is not None:
            self.leave_queue(reason)
            return False
        log.info("worker is back in its queue")
        self._unfit_for = 0.0
        return True

    async def clear_doubt(self) -> None:
        """After an outage of the database: give back what this process holds by the rows and does not work
        on. Without it, the work lies until its lease is over. The caller has `looking`."""
        if not self.in_doubt:
            return
        async with self.unit_of_work() as uow:
            count = await running.give_back_forgotten(uow, self.worker_id, self.held)
        self.in_doubt = False
        if count:
            log.info("gave back what the outage left in this worker's name", chunks=count)

    async def _self_test(self) -> str | None:
        key = f"self-test/{self.worker_id}"
        probe = self.scratch / "self-test.txt"
        try:
            await self.resources.storage.put(key, b"batchmill")
            await self.resources.storage.delete(key)
            probe.write_text("batchmill")
        except (StorageDown, BlobMissing) as error:
            return f"STORAGE_DOWN: {error}"
        except OSError as error:
            return f"SCRATCH: {error}"
        request = ParseRequest(path=probe, name=probe.name, options={"tier": "fast"})
        outcome = await self.sandbox.run(request, project_id="self-test")
        return None if getattr(outcome, "code", "no result") is None else f"sandbox: {outcome}"


class LoopThread:
    """An event loop that runs for the life of the process, on its own thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine on the loop and wait for its end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine on the loop and do not wait."""
        asyncio.run_coroutine_threadsafe(work, self._loop)


async def open_runtime(
    settings: Settings, queues: list[str], stop: StopPipe, *, mark: str | None = None
) -> Runtime:
    """Open pools and sandbox, and keep the process's row fresh from now on. `stop` says when to leave. `mark`
    is the key by which the storage is known; without it any place at its address is taken for the storage."""
    extractor = _extractor_of(settings.extract)
    # A chunk needs a connection for moments only, so a few are enough for many at once.
    many = extractor is not None and settings.extract.side_by_side > 1
    resources = open_resources(settings, name="worker", pool_size=6 if many else 3)
    if mark is not None:
        resources.storage.hold_to(mark)
    beats = open_resources(settings, name="beat", pool_size=2 if many else 1, queue=resources.queue)
    copies = PrivateFolder("batchmill-worker-")
    runtime = Runtime(resources, beats, queues, Sandbox(), copies.path, extractor, copies, engine_version())
    runtime.watchers = [
        asyncio.create_task(_stay_visible(runtime)),
        asyncio.create_task(_hear_stop(runtime, stop)),
    ]
    return runtime


def _extractor_of(settings: Extract) -> Extractor | None:
    """The model that the settings name; None when rules do the work."""
    if settings.chosen_engine() != "openai":
        return None
    base_url, model = settings.endpoint()
    return LanguageModel(
        base_url,
        api_key=None if settings.api_key is None else settings.api_key.get_secret_value(),
        model=model,
        timeout_s=settings.timeout_s,
        max_tokens=settings.max_tokens,
    )


async def close_runtime(runtime: Runtime) -> None:
    """Leave in order: nothing of this process stays behind."""
    for watcher in runtime.watchers:
        watcher.cancel()
    await runtime.sandbox.close()
    if runtime.extractor is not None:
        await runtime.extractor.close()
    if runtime.copies is not None:
        runtime.copies.close()
    try:
        async with runtime.unit_of_work() as uow:
            await worker_service.leave(uow, runtime.worker_id)
        await tell_ended(runtime)
    except Exception as error:
        if not will_pass(error):
            raise
        # The row grows stale by itself, and the last counts are lost like those of a process that was killed.
        log.warning("database away, leaving without a word", error=repr(error)[:200])
    finally:
        await runtime.beats.engine.dispose()
        await runtime.resources.close()


async def _stay_visible(runtime: Runtime) -> None:
    enlisted = False
    while True:
        try:
            async with runtime.beats.unit_of_work() as uow:
                if not enlisted:
                    await worker_service.enlist(
                        uow,
                        runtime.worker_id,
                        queues=runtime.queues,
                        slots=1,
                        side_by_side=runtime.side_by_side(JobType.EXTRACT.queue),
                        engine=runtime.engine,
                    )
                    enlisted = True
                else:
                    drain = await worker_service.report(uow, runtime.worker_id)
                    enlisted, runtime.drained = drain is not None, bool(drain)
            await tell_ended(runtime)
            if not runtime.looking.locked():  # else a hand looks for work now, and clears it on the way
                async with runtime.looking:
                    await runtime.clear_doubt()
        except Exception as error:
            if not will_pass(error):
                log.exception("worker heartbeat failed")
        await asyncio.sleep(SEEN_EVERY_S)


async def tell_ended(runtime: Runtime) -> None:
    """Add this process's counts to the database's. On a connection of its own: the one that renews leases
    must wait for no row that others share. What did not arrive is kept for the next time."""
    ended = runtime.tally.take()
    if not ended:
        return
    try:
        async with runtime.unit_of_work() as uow:
            await worker_service.tell_ended(uow, ended)
    except BaseException:
        runtime.tally.put_back(ended)
        raise


async def _hear_stop(runtime: Runtime, stop: StopPipe) -> None:
    await stop.heard()
    runtime.stopping.set()
