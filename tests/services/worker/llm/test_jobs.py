"""Extract jobs from their row to their result, with the real sandbox and a real model."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from services.worker.engines.sandbox import Sandbox
from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.jobs import service as job_service
from shared.jobs.lifecycle import JobType
from shared.wiring import Resources
from tests.conftest import Tenant
from tests.endpoint.server import ModelServer
from tests.services.worker.llm.conftest import INVOICE, MODEL, SCHEMA, model_of
from tests.services.worker.test_extraction import open_job


@pytest.fixture
async def runtime(resources: Resources, server: ModelServer, tmp_path: Path) -> AsyncIterator[Runtime]:
    """A process for extraction alone, with a model."""
    model = model_of(server)
    runtime = Runtime(resources, resources, ["extract"], Sandbox(folder=tmp_path), tmp_path, model)
    yield runtime
    await runtime.sandbox.close()
    await model.close()


async def test_jobs_side_by_side_become_results(runtime: Runtime, tenant: Tenant) -> None:
    jobs = [
        await open_job(runtime, tenant, f"{n}.txt", INVOICE.encode(), data_schema=SCHEMA) for n in range(4)
    ]
    await work(runtime, "extract", slice_s=5)
    for job in jobs:
        async with runtime.unit_of_work() as uow:
            view = await job_service.get_job(uow, tenant.project_id, JobType.EXTRACT, job)
        assert (view.status, view.engine, view.pages) == ("COMPLETED", f"openai {MODEL}", 1)
        document = await job_service.read_result(runtime.resources.storage, view)
        assert document is not None
        assert document.extraction is not None
        assert document.extraction.data.keys() == SCHEMA["properties"].keys()


async def test_an_endpoint_that_is_away_holds_the_lane_and_blames_no_job(
    runtime: Runtime, tenant: Tenant, mortal: ModelServer
) -> None:
    assert runtime.extractor is not None
    good, runtime.extractor = runtime.extractor, model_of(mortal)
    job = await open_job(runtime, tenant, data_schema=SCHEMA)
    await work(runtime, "extract", slice_s=5)
    async with runtime.unit_of_work() as uow:
        view = await job_service.get_job(uow, tenant.project_id, JobType.EXTRACT, job)
        (chunk,) = (await uow.session.execute(text("SELECT state, losses, reason FROM chunks"))).all()
        held = await uow.session.execute(text("SELECT hold_reason FROM lanes WHERE hold_until > now()"))
        assert held.scalar_one() == chunk.reason
    assert view.status == "THROTTLED"
    assert (chunk.state, chunk.losses) == ("WAITING", 0), "it fills no place while the lane is on hold"
    assert chunk.reason.startswith("UPSTREAM_DOWN")
    await runtime.extractor.close()
    runtime.extractor = good
