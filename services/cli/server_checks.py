"""The checks of `batchmill doctor` that ask a database which is there and has our schema."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from services.cli.access import without_bells
from services.cli.checks import EMBEDDED, Check, Finding
from shared.config import MissingSetting, Settings
from shared.wiring import Resources

OF_A_WORKER: Final = 4
OF_A_WORKER_WITH_A_MODEL: Final = 8
OF_UPKEEP: Final = 7

Ask = Callable[[Settings, Resources], Awaitable[Finding]]


def asking(name: str, ask: Ask) -> Check:
    """A check that asks the database; without one it has nothing to say, and `database` says why."""

    async def check(settings: Settings) -> Finding:
        try:
            settings.database_url()
        except MissingSetting:
            return Finding(name, EMBEDDED, seen=False)
        try:
            async with _resources(settings) as resources:
                return await ask(settings, resources)
        # Whatever kept the database from answering is the finding of the check before, with its advice.
        except Exception as error:  # noqa: BLE001
            why = f"not known: the database did not answer ({type(error).__name__})"
            return Finding(name, why, seen=False)

    return check


async def sweep(_: Settings, resources: Resources) -> Finding:
    """Upkeep runs: nothing can be stuck for long."""
    from shared.workers import operating as worker_operating
    from shared.workers.operating import SWEEP_LATE_S

    async with resources.unit_of_work() as uow:
        gaps = await worker_operating.sweep_gaps(uow)
    if not gaps:
        return Finding("sweep", "has never run", "Nothing is taken back from lost workers: start upkeep.")
    gap = max(gaps.values())
    detail = f"last went well {gap:.1f} s ago"
    return Finding("sweep", detail, "" if gap <= SWEEP_LATE_S else "Is 'batchmill upkeep' running?")


async def workers(_: Settings, resources: Resources) -> Finding:
    """Each queue has slots, and nothing waits beside an empty one."""
    from shared.jobs import operating as job_operating
    from shared.jobs.lifecycle import JobType
    from shared.jobs.operating import STUCK_S, QueueDepth
    from shared.workers import operating as worker_operating

    async with resources.unit_of_work() as uow:
        alive, drained = await worker_operating.count_alive(uow)
        slots = await worker_operating.slots_by_queue(uow)
        engines = await worker_operating.count_engines(uow, JobType.PARSE.queue)
        depths = {depth.queue: depth for depth in await job_operating.queue_depths(uow)}
    told: list[str] = []
    advice: list[str] = []
    for queue in sorted(slots.keys() | depths.keys()):
        depth = depths.get(queue) or QueueDepth(queue, 0, 0, 0, 0, 0, 0, 0.0)
        has = slots.get(queue, 0)
        told.append(
            f"{queue}: {depth.taken}/{has} slots busy, {depth.ready_due} due"
            f" (oldest {depth.oldest_due_s:.0f} s)"
        )
        if depth.ready_due and not has:
            advice.append(f"Nobody serves the queue {queue}: start a worker for it.")
        elif depth.oldest_due_s > STUCK_S and has > depth.taken:
            advice.append(f"Work of the queue {queue} waits beside empty slots: look at the workers' logs.")
    if engines > 1:
        advice.append(
            f"They read documents with {engines} versions of the engines, and nothing is reused meanwhile:"
            " give all of them the same release, libraries and Python."
        )
    detail = f"{alive} alive, {drained} draining; " + ("; ".join(told) or "no queue is served")
    return Finding("workers", detail, " ".join(advice))


async def replication(_: Settings, resources: Resources) -> Finding:
    """What a failover may lose. Either is fine; an operator should know which it is."""
    names = await _setting(resources, "synchronous_standby_names")
    if names:
        return Finding(
            "replicas", f"synchronous_standby_names = {names}: what is acknowledged survives a failover"
        )
    return Finding(
        "replicas", "no synchronous standby: a failover to another server may lose the last commits"
    )


async def connections(settings: Settings, resources: Resources) -> Finding:
    """The budget of connections: what all processes may take against what the server gives."""
    from shared.workers import operating as worker_operating

    async with resources.unit_of_work() as uow:
        alive, _drained = await worker_operating.count_alive(uow)
    allowed = int(await _setting(resources, "max_connections"))
    kept = int(await _setting(resources, "superuser_reserved_connections"))
    asks_a_model = settings.extract.chosen_engine() == "openai"
    each = OF_A_WORKER_WITH_A_MODEL if asks_a_model else OF_A_WORKER
    wanted = settings.database.pool_size + alive * each + OF_UPKEEP
    detail = (
        f"{wanted} wanted by one API process, upkeep and {alive} worker processes; the server gives"
        f" {allowed - kept}"
    )
    advice = "" if wanted <= allowed - kept else "Raise max_connections, or run fewer processes."
    return Finding("connections", detail, advice)


SERVER_CHECKS: Final[tuple[Check, ...]] = (
    asking("sweep", sweep),
    asking("workers", workers),
    asking("replicas", replication),
    asking("connections", connections),
)


@asynccontextmanager
async def _resources(settings: Settings) -> AsyncIterator[Resources]:
    resources = without_bells(settings, name="doctor")
    try:
        yield resources
    finally:
        await resources.close()


async def _setting(resources: Resources, name: str) -> str:
    async with resources.engine.connect() as connection:
        found = await connection.exec_driver_sql("SELECT current_setting($1)", (name,))
        return str(found.scalar_one())
