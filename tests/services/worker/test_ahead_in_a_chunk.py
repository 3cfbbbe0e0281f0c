"""A chunk of small PDFs goes through a real reader ahead of its turns, and each file has its own end."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from reportlab.pdfgen.canvas import Canvas
from sqlalchemy import text

from services.worker.engines.sandbox import Sandbox
from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.batches import advance as batch_advance
from shared.batches import dispatch as lane_dispatch
from shared.batches import repository as batch_repository
from shared.jobs.result import decode, text_full
from shared.lanes import service as lane_service
from shared.wiring import Resources
from shared.workers import service as worker_service
from tests.conftest import Tenant

KIND = "parse_v2"
COUNT = 40


@pytest.fixture
async def runtime(resources: Resources, tmp_path: Path) -> AsyncIterator[Runtime]:
    runtime = Runtime(resources, resources, ["parse"], Sandbox(), tmp_path)
    async with resources.unit_of_work() as uow:
        await worker_service.enlist(uow, runtime.worker_id, queues=["parse"], slots=1)
    yield runtime
    await runtime.sandbox.close()


def page(words: str) -> bytes:
    out = io.BytesIO()
    sheet = Canvas(out)
    sheet.drawString(72, 700, words)
    sheet.showPage()
    sheet.save()
    return out.getvalue()


async def sql(runtime: Runtime, statement: str, **values: Any) -> list[Any]:
    async with runtime.unit_of_work() as uow:
        found = await uow.session.execute(text(statement), values)
        rows = list(found.all()) if found.returns_rows else []  # type: ignore[attr-defined]
        await uow.commit()
        return rows


async def open_batch(runtime: Runtime, tenant: Tenant, contents: dict[str, bytes]) -> UUID:
    project = tenant.project_id
    ((directory,),) = await sql(
        runtime, "INSERT INTO directories (project_id, name) VALUES (:p, 'd') RETURNING id", p=project
    )
    for name, content in contents.items():
        key = f"p/{project}/f/{uuid4()}"
        await runtime.resources.storage.put(key, content)
        await sql(
            runtime,
            "WITH f AS (INSERT INTO files (project_id, name, size_bytes, sha256, storage_key)"
            " VALUES (:p, :n, :s, '', :k) RETURNING id)"
            " INSERT INTO directory_files"
            " (project_id, directory_id, file_id, display_name, unique_id, size_bytes)"
            " SELECT :p, :d, id, :n, :n, :s FROM f",
            p=project,
            d=directory,
            n=name,
            s=len(content),
            k=key,
        )
    async with runtime.unit_of_work() as uow:
        await lane_service.open_lane(uow, project, KIND)
        batch = await batch_repository.add(
            uow.session,
            project_id=project,
            directory_id=directory,
            job_type=KIND,
            configuration_id="cfg-PARSE_FAST",
            parameters={"tier": "fast"},
        )
        await uow.commit()
    return batch.id


async def run(runtime: Runtime, batch_id: UUID, tenant: Tenant) -> dict[str, Any]:
    """The jobs of the batch by their file's name, when it has ended."""
    for _ in range(50):
        ended = await batch_advance.advance(runtime.unit_of_work, batch_id) is batch_advance.Step.ENDED
        await lane_dispatch.dispatch(runtime.unit_of_work, tenant.project_id, KIND)
        await work(runtime, "parse", slice_s=5)
        if ended:
            break
    rows = await sql(runtime, "SELECT * FROM jobs WHERE batch_id = :b", b=batch_id)
    return {row.name: row for row in rows}


async def words_of(runtime: Runtime, job: Any) -> str:
    return text_full(decode(await runtime.resources.storage.read(job.result_key)))


async def test_each_file_has_its_own_result(runtime: Runtime, tenant: Tenant, asked: list[int]) -> None:
    contents = {f"{number}.pdf": page(f"The words of number {number}.") for number in range(COUNT)}
    contents["7.pdf"] = b"%PDF-1.7 and no more, in the middle of them"
    jobs = await run(runtime, await open_batch(runtime, tenant, contents), tenant)
    assert len(jobs) == COUNT
    bad = jobs.pop("7.pdf")
    assert (bad.status, bad.error_code) == ("FAILED", "PDF_IS_BROKEN")
    for name, job in jobs.items():
        assert job.status == "COMPLETED"
        assert f"number {name.removesuffix('.pdf')}." in await words_of(runtime, job)
        assert job.seconds > 0
    assert len(set(asked)) == 1
    # The first of each chunk, and few are there.
    assert 0 < len(asked) <= COUNT // 4


async def test_a_file_that_vanished_in_the_middle_is_its_own_failure(
    runtime: Runtime, tenant: Tenant
) -> None:
    contents = {f"{number}.pdf": page(f"What stays, number {number}.") for number in range(12)}
    batch = await open_batch(runtime, tenant, contents)
    ((key,),) = await sql(runtime, "SELECT storage_key FROM files WHERE name = '5.pdf'")
    await runtime.resources.storage.delete(key)
    jobs = await run(runtime, batch, tenant)
    gone = jobs.pop("5.pdf")
    assert (gone.status, gone.error_code) == ("FAILED", "ENGINE_ERROR")
    for name, job in jobs.items():
        assert f"number {name.removesuffix('.pdf')}." in await words_of(runtime, job)


async def test_readers_that_are_killed_all_the_time_fail_no_file(
    runtime: Runtime, tenant: Tenant, asked: list[int]
) -> None:
    contents = {f"{number}.pdf": page(f"In spite of all, number {number}.") for number in range(COUNT)}
    batch = await open_batch(runtime, tenant, contents)
    task = asyncio.create_task(run(runtime, batch, tenant))
    killed: set[int] = set()
    while not task.done() and len(killed) < 3:
        await asyncio.sleep(0.02)
        if asked and asked[-1] not in killed and isinstance(runtime.sandbox, Sandbox):
            child = runtime.sandbox._child
            if child is not None and child.served > 1:
                killed.add(child._process.pid)
                child._process.kill()
    jobs = await task
    assert killed
    for name, job in jobs.items():
        assert job.status == "COMPLETED", job
        assert f"number {name.removesuffix('.pdf')}." in await words_of(runtime, job)
