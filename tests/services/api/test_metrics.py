"""/metrics, read with Prometheus's own parser."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from services.worker.runtime import Runtime, tell_ended
from services.worker.tally import Tally
from services.worker.upkeep import exposition
from shared import metrics
from shared.config import Settings
from shared.wiring import Resources
from shared.workers import service as worker_service
from tests.conftest import Tenant, make_tenant

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(exposed: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(exposed):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[(name, frozenset(labels.items()))]


async def scrape(client: httpx.AsyncClient) -> Samples:
    found = await client.get("/metrics")
    assert found.status_code == 200
    assert found.headers["content-type"].startswith("text/plain")
    return samples_of(found.text)


BUSY = """
INSERT INTO chunks (project_id, job_type, queue, job_id, size, rank, state, token, due_at)
  SELECT :p, 'parse_v2', 'parse', gen_random_uuid(), 3, 0, s,
    CASE s WHEN 'TAKEN' THEN gen_random_uuid() END, now() + make_interval(secs => d)
  FROM (VALUES ('READY', -40.0), ('READY', -1), ('READY', 60), ('WAITING', -5), ('TAKEN', 10),
    ('TAKEN', -2)) v(s, d);
INSERT INTO workers (id, queues, slots, version, host, pid, drain) VALUES
  (gen_random_uuid(), '{parse}', 2, 'v', 'h', 1, false),
  (gen_random_uuid(), '{parse,extract}', 3, 'v', 'h', 2, true);
INSERT INTO sweeps (name, last_ok_at) VALUES ('chunks', now() - interval '7 s');
INSERT INTO lanes (project_id, job_type, wait, hold_until, hold_reason)
  VALUES (:p, 'parse_v2', '{"code"\\: "PAUSED"}', 'infinity', 'by hand');
WITH d AS (INSERT INTO directories (project_id, name) VALUES (:p, 'd') RETURNING id)
  INSERT INTO batches (project_id, job_type, source_directory_id, configuration_id, config, last_pos,
    status, wait)
  SELECT :p, 'parse_v2', d.id, 'c', '{}', 0, 'THROTTLED', '{"code"\\: "PROJECT_RATE"}'
  FROM d, generate_series(1, 2)
"""


@pytest.fixture
async def busy(resources: Resources, tenant: Tenant) -> None:
    """Six chunks in all states, two workers, a sweep of a while ago, two batches that wait."""
    async with resources.unit_of_work() as uow:
        for statement in BUSY.split(";\n"):
            values = {"p": tenant.project_id} if ":p" in statement else {}
            await uow.session.execute(text(statement), values)
        await uow.commit()


async def test_the_numbers_are_those_of_the_rows(anonymous: httpx.AsyncClient, busy: None) -> None:
    samples = await scrape(anonymous)
    assert value(samples, "batchmill_database_up") == 1
    for state, count in (("ready_due", 2), ("ready_later", 1), ("waiting", 1), ("taken", 2)):
        assert value(samples, "batchmill_chunks", queue="parse", state=state) == count
    assert value(samples, "batchmill_chunks_expired", queue="parse") == 1
    assert 40 <= value(samples, "batchmill_oldest_due_seconds", queue="parse") < 60
    assert value(samples, "batchmill_slots", queue="parse") == 2, "a draining worker takes nothing"
    assert value(samples, "batchmill_workers", draining="false") == 1
    assert value(samples, "batchmill_workers", draining="true") == 1
    assert 7 <= value(samples, "batchmill_sweep_gap_seconds", sweep="chunks") < 27
    assert value(samples, "batchmill_batches_open", status="THROTTLED", waiting="PROJECT_RATE") == 2
    assert value(samples, "batchmill_lanes_waiting", reason="PAUSED") == 1
    assert value(samples, "batchmill_lanes_held") == 1


async def test_no_label_tells_of_a_tenant(
    anonymous: httpx.AsyncClient, http: httpx.AsyncClient, busy: None, tenant: Tenant
) -> None:
    await http.get(f"/api/v1/projects/prj-{tenant.project_id}")
    await http.get(f"/nowhere/{tenant.project_id}")
    exposed = (await anonymous.get("/metrics")).text
    assert str(tenant.project_id) not in exposed
    assert "by hand" not in exposed


async def test_requests_are_counted_by_route_and_status(
    anonymous: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    for _ in range(3):
        await http.get("/api/v2/batches", params={"page_size": "1", "status": ""})
    await anonymous.get("/api/v2/batches")
    await http.get("/api/v2/batches/bat-none")
    await http.get("/nowhere")
    samples = await scrape(anonymous)
    name = "batchmill_http_requests_total"
    assert value(samples, name, method="GET", route="/api/v2/batches", status="200") == 3
    assert value(samples, name, method="GET", route="/api/v2/batches", status="401") == 1
    assert value(samples, name, method="GET", route="/api/v2/batches/{batch_id}", status="404") == 1
    assert value(samples, name, method="GET", route="unknown", status="404") == 1
    took = "batchmill_http_request_seconds_count"
    assert value(samples, took, method="GET", route="/api/v2/batches") == 4


async def test_admin_routes_have_their_whole_path(
    anonymous: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    await http.get("/api/v1/admin/keys")
    samples = await scrape(anonymous)
    name = "batchmill_http_requests_total"
    assert value(samples, name, method="GET", route="/api/v1/admin/keys", status="403") == 1


async def test_ends_are_added_with_the_heartbeat_and_outlive_the_worker(
    resources: Resources, anonymous: httpx.AsyncClient
) -> None:
    runtime = Runtime(resources, resources, ["parse"], None, None)  # type: ignore[arg-type]
    async with resources.unit_of_work() as uow:
        await worker_service.enlist(uow, runtime.worker_id, queues=["parse"], slots=1)
    for status, seconds in (("COMPLETED", 1.5), ("COMPLETED", 0.5), ("FAILED", None)):
        runtime.tally.count("parse_v2", status, seconds)
    for _ in range(2):
        await tell_ended(runtime)
    runtime.tally.count("parse_v2", "COMPLETED", 2)
    await tell_ended(runtime)
    async with resources.unit_of_work() as uow:
        await worker_service.leave(uow, runtime.worker_id)
    samples = await scrape(anonymous)
    ended, took = "batchmill_jobs_ended_total", "batchmill_engine_seconds_total"
    assert value(samples, ended, job_type="parse_v2", status="COMPLETED") == 3
    assert value(samples, took, job_type="parse_v2", status="COMPLETED") == 4
    assert value(samples, ended, job_type="parse_v2", status="FAILED") == 1


async def test_a_row_that_a_paused_process_holds_keeps_nobody_waiting(resources: Resources) -> None:
    runtime = Runtime(resources, resources, ["parse"], None, None)  # type: ignore[arg-type]
    runtime.tally.count("parse_v2", "FAILED", 1)
    await tell_ended(runtime)
    runtime.tally.count("parse_v2", "FAILED", 2)
    async with resources.unit_of_work() as paused:
        await paused.session.execute(text("SELECT 1 FROM tallies FOR UPDATE"))
        async with asyncio.timeout(5):
            with pytest.raises(Exception, match="lock timeout"):
                await tell_ended(runtime)
    await tell_ended(runtime)
    async with resources.unit_of_work() as uow:
        (row,) = (await uow.session.execute(text("SELECT jobs, seconds FROM tallies"))).all()
    assert tuple(row) == (2, 3)


def test_counts_that_did_not_arrive_are_kept() -> None:
    tally = Tally()
    tally.count("parse_v2", "FAILED", 1)
    taken = tally.take()
    tally.count("parse_v2", "FAILED", 2)
    tally.put_back(taken)
    (kept,) = tally.take()
    assert (kept.jobs, kept.seconds) == (2, 3)
    assert tally.take() == []


async def test_a_scrape_is_never_a_load(resources: Resources) -> None:
    numbers = metrics.Numbers(resources.unit_of_work)
    first, *others = await asyncio.gather(*(numbers.read() for _ in range(5)))
    assert first is not None
    assert all(other is first for other in others)


@pytest.fixture
async def no_database(settings: Settings) -> AsyncIterator[metrics.Numbers]:
    from shared.wiring import open_resources

    away = settings.model_copy(
        update={"database": settings.database.model_validate({"url": "postgresql+asyncpg://x@127.0.0.1:1/x"})}
    )
    opened = open_resources(away, name="tests")
    yield metrics.Numbers(opened.unit_of_work)
    await opened.close()


async def test_without_a_database_it_says_so(no_database: metrics.Numbers) -> None:
    requests = metrics.HttpRequests()
    requests.note("BREW", "/ready", 503, 0.1)
    samples = samples_of(metrics.text_of(await no_database.read(), requests.registry).decode())
    assert value(samples, "batchmill_database_up") == 0
    assert value(samples, "batchmill_http_requests_total", method="other", route="/ready", status="503") == 1


async def test_upkeep_serves_the_same(resources: Resources, busy: None) -> None:
    await make_tenant(resources, "another")
    with exposition.serve(resources.unit_of_work, "127.0.0.1", 0) as port:
        async with httpx.AsyncClient(timeout=20) as client:
            found = await client.get(f"http://127.0.0.1:{port}/metrics")
    samples = samples_of(found.text)
    assert value(samples, "batchmill_chunks", queue="parse", state="taken") == 2
    assert ("batchmill_http_requests_total", frozenset()) not in samples
