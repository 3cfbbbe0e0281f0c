"""A worker that is to drain takes nothing more, and takes chunks again when told so."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.worker.engines.sandbox import Sandbox
from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.db.unit_of_work import UnitOfWork
from shared.wiring import Resources
from shared.workers import operating, repository, service
from tests.conftest import Tenant


@pytest.fixture
async def runtime(resources: Resources, tmp_path: Path) -> AsyncIterator[Runtime]:
    runtime = Runtime(resources, resources, ["parse"], Sandbox(), tmp_path)
    async with resources.unit_of_work() as uow:
        await service.enlist(uow, runtime.worker_id, queues=["parse"], slots=1)
    yield runtime
    await runtime.sandbox.close()


async def tell(runtime: Runtime, *, drain: bool) -> None:
    """An operator's word, and the heartbeat that carries it."""
    async with runtime.unit_of_work() as uow:
        await operating.set_drain(uow, runtime.worker_id, drain=drain)
        await uow.commit()
    async with runtime.unit_of_work() as uow:
        runtime.drained = bool(await service.report(uow, runtime.worker_id))


async def test_a_draining_worker_takes_nothing(runtime: Runtime, tenant: Tenant) -> None:
    key = "p/x/f/y"
    await runtime.resources.storage.put(key, b"words")
    async with runtime.unit_of_work() as uow:
        await uow.session.execute(
            text(
                "WITH f AS (INSERT INTO files (project_id, name, size_bytes, sha256, storage_key)"
                " VALUES (:p, 'a.txt', 5, '', :k) RETURNING id),"
                " j AS (INSERT INTO jobs (project_id, job_type, file_id, name, size_bytes, sha256, config)"
                " SELECT :p, 'parse_v2', id, 'a.txt', 5, '', '{\"tier\"\\: \"fast\"}' FROM f RETURNING id)"
                " INSERT INTO chunks (project_id, job_type, queue, job_id, size, rank)"
                " SELECT :p, 'parse_v2', 'parse', id, 1, 0 FROM j"
            ),
            {"p": tenant.project_id, "k": key},
        )
        await uow.commit()

    async def status() -> str:
        async with runtime.unit_of_work() as uow:
            return str((await uow.session.execute(text("SELECT status FROM jobs"))).scalar_one())

    await tell(runtime, drain=True)
    async with runtime.unit_of_work() as uow:
        assert await operating.slots_by_queue(uow) == {}
        assert await operating.count_alive(uow) == (1, 1)
    await work(runtime, "parse", slice_s=5)
    assert await status() == "PENDING"
    await tell(runtime, drain=False)
    await work(runtime, "parse", slice_s=5)
    assert await status() == "COMPLETED"
    (ended,) = runtime.tally.take()
    assert (ended.job_type, ended.status, ended.jobs) == ("parse_v2", "COMPLETED", 1)
    assert ended.seconds > 0


async def test_a_heartbeat_waits_for_no_disk_and_what_follows_it_does(runtime: Runtime) -> None:
    async def waits(uow: UnitOfWork) -> str:
        return str((await uow.session.execute(text("SHOW synchronous_commit"))).scalar_one())

    async with runtime.unit_of_work() as uow:
        assert await repository.seen(uow.session, runtime.worker_id) is False
        assert await waits(uow) == "off"
        await uow.commit()
        assert await waits(uow) == "on"
    async with runtime.unit_of_work() as uow:
        assert await repository.seen(uow.session, uuid4()) is None
