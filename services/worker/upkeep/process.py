"""The loop of upkeep: each step on its own beat, one step's failure never another's."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.worker.upkeep import exposition, sweep
from services.worker.upkeep.clean import Cleaner
from services.worker.upkeep.deliver import Deliverer
from shared.config import Settings
from shared.db.outage import will_pass
from shared.db.reader import Reader
from shared.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from shared.telemetry import logger, set_up
from shared.webhooks.delivering import is_anything_due
from shared.wiring import Resources, open_gate, open_resources

log = logger(__name__)

SHORTEST_PAUSE_S: Final = 0.05
CONNECTIONS: Final = 9
"""Three for the sweeps, two for webhooks, and one for each step of cleaning: a long walk must not keep a
sweep waiting."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to be done every `every` seconds, and every `idle` seconds while it finds nothing to do; it
    commits by itself. One that has a `call` is done only when that is set, at most every `every` seconds."""

    name: str
    every: float
    do: Callable[[UnitOfWork], Awaitable[int]]
    idle: float | None = None
    call: asyncio.Event | None = None


def sweeping(reader: Reader) -> tuple[Step, ...]:
    """What needs the database only."""
    glance = sweep.Glance(reader)
    return (
        Step("chunks", 1.0, glance.lost_chunks),
        Step("bells", 1.0, glance.before(sweep.unheard_bells)),
        Step("batches", 1.0, glance.before(sweep.due_batches)),
        Step("lanes", 1.0, glance.before(sweep.due_lanes)),
        Step("workers", 60.0, sweep.silent_workers),
    )


async def keep_up(
    resources: Resources,
    stopping: asyncio.Event,
    *,
    more: Sequence[Step] = (),
    ready_file: Path | None = None,
) -> None:
    """Run all steps, and `more`, on their beats until `stopping` is set."""
    if ready_file is not None:
        ready_file.touch()
    steps = (*sweeping(resources.reader), *more)
    await asyncio.gather(*(_repeat(step, resources.unit_of_work, stopping) for step in steps))


def cleaning(cleaner: Cleaner) -> tuple[Step, ...]:
    """What removes rows and bytes."""
    return (
        # Terms are days, and who reads sees himself whether something is over.
        Step("retention", 10.0, cleaner.enforce_terms, idle=30.0),
        # Two minutes after their rows, and some seconds.
        Step("doomed", 5.0, cleaner.remove_doomed, idle=10.0),
        Step("orphans", 60.0, cleaner.collect_orphans),
        Step("purges", 1.0, cleaner.purge, idle=5.0),
    )


def delivering(deliverer: Deliverer, reader: Reader) -> tuple[Step, ...]:
    """What sends webhooks."""
    start_due = sweep.if_due(reader, is_anything_due, deliverer.start_due)
    return (
        Step("webhooks", 0.25, start_due, idle=1.0),
        Step("webhook ends", 0.1, deliverer.settle, call=deliverer.ended),
        Step("webhook log", 60.0, deliverer.forget_old),
    )


async def _repeat(step: Step, unit_of_work: UnitOfWorkFactory, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        if step.call is not None and not await _called(step.call, stopping):
            return
        every = step.every
        try:
            async with unit_of_work() as uow:
                done = await step.do(uow)
            if not done and step.idle is not None:
                every = step.idle
            if done and step.name == "chunks":
                log.warning("chunks taken back from lost workers", count=done)
        except Exception as error:
            if will_pass(error):
                log.warning("sweep will try again", step=step.name, error=repr(error)[:200])
            else:
                log.exception("sweep failed", step=step.name)
        try:
            async with asyncio.timeout(_until_beat(every)):
                await stopping.wait()
        except TimeoutError:
            continue


def _until_beat(every: float) -> float:
    """Seconds until the next of all beats of this length: steps of one beat wake the process once, and share
    one look. No less than a twentieth, or a step that took a little longer would run twice."""
    left = every - time.monotonic() % every
    return left if left >= SHORTEST_PAUSE_S else left + every


async def _called(call: asyncio.Event, stopping: asyncio.Event) -> bool:
    """Waits for the call, and answers True; False when the process is to stop first."""
    if not call.is_set():
        waits = [asyncio.create_task(event.wait()) for event in (call, stopping)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
    return call.is_set()


def run() -> None:
    """Keep up until SIGTERM or SIGINT; blocks."""
    settings = Settings()
    set_up(json=settings.log_json)
    asyncio.run(_main(settings))


async def _main(settings: Settings) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    resources = open_resources(settings, name="upkeep", pool_size=CONNECTIONS)
    wanted = settings.upkeep
    deliverer = Deliverer(open_gate(settings), keep_days=settings.webhooks.keep_days)
    try:
        with ExitStack() as stack:
            if wanted.metrics_port:
                stack.enter_context(
                    exposition.serve(resources.unit_of_work, wanted.metrics_host, wanted.metrics_port)
                )
            log.info("upkeep ready")
            await keep_up(
                resources,
                stopping,
                more=(*cleaning(Cleaner(resources)), *delivering(deliverer, resources.reader)),
                ready_file=settings.ready_file,
            )
            await deliverer.leave(resources.unit_of_work)
    finally:
        await deliverer.close()
        await resources.close()
