"""The numbers of /metrics, in Prometheus's words.

What is true of the whole installation is read from the database when it is asked for, so every replica tells
the same truth; only what a process saw itself (its HTTP requests) is its own. No label names a tenant.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from shared.batches import operating as batch_operating
from shared.batches.operating import Open
from shared.db.outage import will_pass
from shared.db.unit_of_work import UnitOfWorkFactory
from shared.jobs import operating as job_operating
from shared.jobs.operating import QueueDepth
from shared.lanes import operating as lane_operating
from shared.telemetry import logger
from shared.webhooks import operating as webhook_operating
from shared.webhooks.operating import Backlog
from shared.workers import operating as worker_operating
from shared.workers.operating import Ended

log = logger(__name__)

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
KEPT_S: Final = 1.0
READ_WITHIN_S: Final = 5.0
BUCKETS: Final = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database said at one time; `None` in its place: it could not be asked."""

    queues: list[QueueDepth]
    slots: dict[str, int]
    alive: int
    drained: int
    sweeps: dict[str, float]
    batches: list[Open]
    lane_waits: dict[str, int]
    held_lanes: int
    ended: list[Ended] = field(default_factory=list)
    webhooks: Backlog = field(default_factory=lambda: Backlog(0, 0, 0, 0.0, 0))


class Numbers:
    """Reads snapshots, at most one a second however often it is asked: a scrape is never a load."""

    def __init__(self, unit_of_work: UnitOfWorkFactory) -> None:
        self._unit_of_work = unit_of_work
        self._lock = asyncio.Lock()
        self._kept: Snapshot | None = None
        self._read_at = -KEPT_S

    async def read(self) -> Snapshot | None:
        """The numbers now; None while the database is away."""
        async with self._lock:
            if time.monotonic() - self._read_at >= KEPT_S:
                self._kept = await self._ask()
                self._read_at = time.monotonic()
            return self._kept

    async def _ask(self) -> Snapshot | None:
        try:
            async with asyncio.timeout(READ_WITHIN_S), self._unit_of_work() as uow:
                alive, drained = await worker_operating.count_alive(uow)
                return Snapshot(
                    queues=await job_operating.queue_depths(uow),
                    slots=await worker_operating.slots_by_queue(uow),
                    alive=alive,
                    drained=drained,
                    sweeps=await worker_operating.sweep_gaps(uow),
                    batches=await batch_operating.open_counts(uow),
                    lane_waits=await lane_operating.waits(uow),
                    held_lanes=len(await lane_operating.held_lanes(uow)),
                    ended=await worker_operating.ended(uow),
                    webhooks=await webhook_operating.backlog(uow),
                )
        except Exception as error:
            if not will_pass(error):
                raise
            log.warning("no metrics from the database", error=repr(error)[:200])
            return None


class HttpRequests:
    """The requests that this process answered, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._answered = Counter(
            "batchmill_http_requests",
            "HTTP requests that this process answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._took = Histogram(
            "batchmill_http_request_seconds",
            "Seconds from a request's arrival to the end of its answer, in this process.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._unlimited = Counter(
            "batchmill_http_requests_unlimited",
            "Requests of limited keys that were let in because what counts them was away.",
            registry=self.registry,
        )
        self._listeners = Gauge(
            "batchmill_http_listeners",
            "Streams of events of batches that are open in this process.",
            registry=self.registry,
        )

    def count_listeners(self, how_many: Callable[[], int]) -> None:
        """Ask `how_many` whenever the number of open streams is wanted."""
        self._listeners.set_function(how_many)

    def note_unlimited(self) -> None:
        """One request more that was let in because what counts requests was away."""
        self._unlimited.inc()

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request more. Methods that no page has share one label."""
        known = method if method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"} else "other"
        self._answered.labels(known, route, str(status)).inc()
        self._took.labels(known, route).observe(seconds)


class FromDatabase(Collector):
    """A snapshot as metric families. `read` answers the snapshot of this scrape."""

    def __init__(self, read: Callable[[], Snapshot | None]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """All families; without a database only the word that it is away."""
        snapshot = self._read()
        up = GaugeMetricFamily("batchmill_database_up", "1 when the database answered this scrape.")
        up.add_metric((), 0 if snapshot is None else 1)
        yield up
        if snapshot is None:
            return
        yield from _of_queues(snapshot)
        yield from _of_processes(snapshot)
        yield from _of_waits(snapshot)
        yield from _of_ends(snapshot)
        yield from _of_webhooks(snapshot)


def text_of(snapshot: Snapshot | None, *registries: CollectorRegistry) -> bytes:
    """The exposition: the snapshot, then what the registries hold."""
    database = CollectorRegistry(auto_describe=False)
    database.register(FromDatabase(lambda: snapshot))
    return b"".join(generate_latest(registry) for registry in (database, *registries))


def _of_queues(snapshot: Snapshot) -> Iterator[Metric]:
    chunks = GaugeMetricFamily(
        "batchmill_chunks",
        "Chunks by queue and state; ready_later are due at a later time.",
        labels=("queue", "state"),
    )
    expired = GaugeMetricFamily(
        "batchmill_chunks_expired", "Chunks whose worker let its lease run out.", labels=("queue",)
    )
    oldest = GaugeMetricFamily(
        "batchmill_oldest_due_seconds",
        "For how long the oldest READY chunk of the queue could have run already.",
        labels=("queue",),
    )
    slots = GaugeMetricFamily("batchmill_slots", "Chunks that living workers run at once.", labels=("queue",))
    depths = {depth.queue: depth for depth in snapshot.queues}
    for name in sorted(depths.keys() | snapshot.slots.keys()):
        depth = depths.get(name) or QueueDepth(name, 0, 0, 0, 0, 0, 0, 0.0)
        for state in ("ready_due", "ready_later", "waiting", "taken"):
            chunks.add_metric((name, state), getattr(depth, state))
        expired.add_metric((name,), depth.expired)
        oldest.add_metric((name,), depth.oldest_due_s)
        slots.add_metric((name,), snapshot.slots.get(name, 0))
    yield from (chunks, expired, oldest, slots)


def _of_processes(snapshot: Snapshot) -> Iterator[Metric]:
    workers = GaugeMetricFamily("batchmill_workers", "Worker processes that are alive.", labels=("draining",))
    workers.add_metric(("false",), snapshot.alive - snapshot.drained)
    workers.add_metric(("true",), snapshot.drained)
    gaps = GaugeMetricFamily(
        "batchmill_sweep_gap_seconds", "Seconds since the sweep last went well.", labels=("sweep",)
    )
    for name, gap in sorted(snapshot.sweeps.items()):
        gaps.add_metric((name,), gap)
    yield from (workers, gaps)


def _of_waits(snapshot: Snapshot) -> Iterator[Metric]:
    batches = GaugeMetricFamily(
        "batchmill_batches_open",
        "Batches that are not final, by status and by what they wait for (none: they do not).",
        labels=("status", "waiting"),
    )
    for one in snapshot.batches:
        batches.add_metric((one.status, one.waiting or "none"), one.batches)
    lanes = GaugeMetricFamily(
        "batchmill_lanes_waiting",
        "Lanes whose last dispatch refused something, by reason.",
        labels=("reason",),
    )
    for reason, count in snapshot.lane_waits.items():
        lanes.add_metric((reason,), count)
    held = GaugeMetricFamily("batchmill_lanes_held", "Lanes that let nothing in.")
    held.add_metric((), snapshot.held_lanes)
    yield from (batches, lanes, held)


def _of_webhooks(snapshot: Snapshot) -> Iterator[Metric]:
    pending = GaugeMetricFamily(
        "batchmill_webhooks_pending",
        "Deliveries without an end; later ones wait for their next try.",
        labels=("state",),
    )
    for state in ("due", "later", "sending"):
        pending.add_metric((state,), getattr(snapshot.webhooks, state))
    oldest = GaugeMetricFamily(
        "batchmill_webhooks_oldest_due_seconds", "For how long the oldest delivery could have been tried."
    )
    oldest.add_metric((), snapshot.webhooks.oldest_due_s)
    dead = GaugeMetricFamily("batchmill_webhooks_dead", "Deliveries that were given up within the last hour.")
    dead.add_metric((), snapshot.webhooks.dead)
    yield from (pending, oldest, dead)


def _of_ends(snapshot: Snapshot) -> Iterator[Metric]:
    jobs = CounterMetricFamily(
        "batchmill_jobs_ended",
        "Jobs that workers brought to an end, since the database was made.",
        labels=("job_type", "status"),
    )
    seconds = CounterMetricFamily(
        "batchmill_engine_seconds",
        "Seconds that engines took for those jobs.",
        labels=("job_type", "status"),
    )
    for one in snapshot.ended:
        jobs.add_metric((one.job_type, one.status), one.jobs)
        seconds.add_metric((one.job_type, one.status), one.seconds)
    yield from (jobs, seconds)
