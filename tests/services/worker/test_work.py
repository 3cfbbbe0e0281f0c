"""A work bell with the real sandbox, storage and database: from a READY chunk to rows and blobs."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from services.worker.engines.port import Done, Infra, Outcome, ParseRequest, Sandboxed
from services.worker.heart import Heart
from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.jobs import ledger, running
from shared.jobs.ledger import NewChunk
from shared.jobs.result import decode, text_full
from shared.jobs.running import Hand
from shared.queue.messages import Dispatch

KIND = "parse_v2"


class Slow:
    """A sandbox that takes its time, and says whether it was broken off."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.broken_off = False

    async def run(self, request: ParseRequest, **how: Any) -> Done:
        self.started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.broken_off = True
            raise
        raise AssertionError("nobody broke it off")

    async def kill(self) -> None:
        """Nothing to kill."""

    async def close(self) -> None:
        """Nothing to close."""


class Broken(Slow):
    """A sandbox that cannot start."""

    async def run(self, request: ParseRequest, **how: Any) -> Infra:  # type: ignore[override]
        return Infra("the sandbox cannot start")


async def add_job(
    runtime: Runtime, name: str, content: bytes, *, options: dict[str, Any] | None = None
) -> UUID:
    """A standalone job over a stored file, granted."""
    project = uuid4()
    key = f"p/{project}/f/{uuid4()}"
    await runtime.resources.storage.put(key, content)
    async with runtime.unit_of_work() as uow:

        async def made(statement: str, **values: Any) -> UUID:
            found: UUID = (await uow.session.execute(text(statement), values)).scalar_one()
            return found

        organization = await made("INSERT INTO organizations (name) VALUES ('o') RETURNING id")
        await made(
            "INSERT INTO projects (id, organization_id, name, is_default)"
            " VALUES (:i, :o, 'p', false) RETURNING id",
            i=project,
            o=organization,
        )
        file = await made(
            "INSERT INTO files (project_id, name, size_bytes, sha256, storage_key)"
            " VALUES (:p, :n, :s, '', :k) RETURNING id",
            p=project,
            n=name,
            s=len(content),
            k=key,
        )
        job = await made(
            "INSERT INTO jobs (project_id, job_type, file_id, name, size_bytes, sha256, config)"
            " VALUES (:p, 'parse_v2', :f, :n, :s, '', CAST(:c AS jsonb)) RETURNING id",
            p=project,
            f=file,
            n=name,
            s=len(content),
            c='{"tier": "cost_effective"}' if options is None else str(options),
        )
        chunk = NewChunk(project_id=project, job_type=KIND, queue="parse", job_id=job, size=1, rank=0.0)
        await ledger.grant(uow.session, [chunk])
        await uow.commit()
    return job


async def run_sql(runtime: Runtime, statement: str) -> None:
    async with runtime.unit_of_work() as uow:
        await uow.session.execute(text(statement))
        await uow.commit()


async def job_row(runtime: Runtime, job: UUID) -> Any:
    async with runtime.unit_of_work() as uow:
        return (await uow.session.execute(text("SELECT * FROM jobs WHERE id = :j"), {"j": job})).one()


async def chunk_row(runtime: Runtime) -> Any:
    async with runtime.unit_of_work() as uow:
        return (await uow.session.execute(text("SELECT * FROM chunks"))).one_or_none()


async def test_a_file_becomes_a_row_and_a_blob_under_the_token(runtime: Runtime) -> None:
    job = await add_job(runtime, "a.md", b"# Title\n\nwords")
    await work(runtime, "parse", slice_s=5)
    row = await job_row(runtime, job)
    assert (row.status, row.pages) == ("COMPLETED", 1)
    assert row.result_key == f"p/{row.project_id}/r/{job}/{row.token}.json.zst"
    assert "words" in text_full(decode(await runtime.resources.storage.read(row.result_key)))
    assert await chunk_row(runtime) is None


async def test_a_bad_file_is_its_own_failure(runtime: Runtime) -> None:
    bad = await add_job(runtime, "a.pdf", b"%PDF-1.7 and no more")
    good = await add_job(runtime, "b.txt", b"words")
    await work(runtime, "parse", slice_s=5)
    row = await job_row(runtime, bad)
    assert (row.status, row.error_code, row.result_key) == ("FAILED", "PDF_IS_BROKEN", None)
    assert (await job_row(runtime, good)).status == "COMPLETED"


async def test_bytes_that_vanished_are_a_failure_of_that_file(runtime: Runtime) -> None:
    job = await add_job(runtime, "a.txt", b"words")
    async with runtime.unit_of_work() as uow:
        key = (await uow.session.execute(text("SELECT storage_key FROM files"))).scalar_one()
    await runtime.resources.storage.delete(key)
    await work(runtime, "parse", slice_s=5)
    row = await job_row(runtime, job)
    assert (row.status, row.error_code) == ("FAILED", "ENGINE_ERROR")
    assert "storage" in row.error_message


class Picky(Slow):
    """A sandbox that fails under one document and works under all others."""

    def __init__(self, good: Sandboxed, bad: str) -> None:
        super().__init__()
        self._good = good
        self._bad = bad

    async def run(self, request: ParseRequest, **how: Any) -> Outcome:  # type: ignore[override]
        if request.name == self._bad:
            return Infra("no space left")
        return await self._good.run(request, **how)


async def test_a_document_that_breaks_working_means_is_charged_and_fails_alone(runtime: Runtime) -> None:
    job = await add_job(runtime, "a.txt", b"words")
    good, runtime.sandbox = runtime.sandbox, Picky(runtime.sandbox, "a.txt")
    for losses in (1, 2):
        await work(runtime, "parse", slice_s=5)
        chunk = await chunk_row(runtime)
        assert (chunk.state, chunk.losses, chunk.reason) == ("READY", losses, "no space left")
        await run_sql(runtime, "UPDATE chunks SET due_at = now()")
    await work(runtime, "parse", slice_s=5)
    runtime.sandbox = good
    row = await job_row(runtime, job)
    assert (row.status, row.error_code) == ("FAILED", "ENGINE_ERROR")
    assert "no space left" in row.error_message
    assert await runtime.is_fit(), "the process itself is not to blame"


async def test_a_lane_held_by_a_paused_process_costs_the_chunk_nothing(runtime: Runtime) -> None:
    job = await add_job(runtime, "a.txt", b"words")
    await run_sql(runtime, "INSERT INTO lanes (project_id, job_type) SELECT id, 'parse_v2' FROM projects")
    async with runtime.unit_of_work() as paused:
        await paused.session.execute(text("SELECT 1 FROM lanes FOR UPDATE"))
        async with asyncio.timeout(5):
            await work(runtime, "parse", slice_s=5)
    assert (await job_row(runtime, job)).status == "COMPLETED"


async def test_a_file_whose_row_is_gone_fails_and_does_not_spin(runtime: Runtime) -> None:
    job = await add_job(runtime, "a.txt", b"words")
    await run_sql(runtime, "DELETE FROM files")
    await work(runtime, "parse", slice_s=5)
    assert (await job_row(runtime, job)).error_code == "ENGINE_ERROR"


async def test_a_storage_folder_that_is_gone_blames_no_document(runtime: Runtime) -> None:
    job = await add_job(runtime, "a.txt", b"words")
    folder = Path(unquote(urlsplit(runtime.resources.settings.storage_url()).path))
    away = folder.with_name("away")
    folder.rename(away)
    folder.write_text("in the way, so that nobody makes it again")
    await work(runtime, "parse", slice_s=5)
    assert (await job_row(runtime, job)).status == "PENDING"
    assert not await runtime.is_fit()
    folder.unlink()
    away.rename(folder)


async def test_a_storage_that_is_not_mounted_blames_no_document(runtime: Runtime) -> None:
    await runtime.resources.hold_to_storage()
    job = await add_job(runtime, "a.txt", b"words")
    folder = Path(unquote(urlsplit(runtime.resources.settings.storage_url()).path))
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    await work(runtime, "parse", slice_s=5)
    assert (await job_row(runtime, job)).status == "PENDING"
    chunk = await chunk_row(runtime)
    assert (chunk.state, chunk.losses) == ("READY", 0)
    assert chunk.reason.startswith("STORAGE_DOWN: ")
    assert not await runtime.is_fit()


class Unmounting(Slow):
    """A sandbox under which the storage vanishes between the fetch and the reading."""

    def __init__(self, good: Sandboxed, folder: Path) -> None:
        super().__init__()
        self._good = good
        self._folder = folder

    async def run(self, request: ParseRequest, **how: Any) -> Outcome:  # type: ignore[override]
        if self._folder.exists():
            self._folder.rename(self._folder.with_name("away"))
        return await self._good.run(request, **how)


async def test_a_storage_that_vanishes_under_a_document_blames_it_not(runtime: Runtime) -> None:
    await runtime.resources.hold_to_storage()
    job = await add_job(runtime, "a.txt", b"words")
    folder = Path(unquote(urlsplit(runtime.resources.settings.storage_url()).path))
    good, runtime.sandbox = runtime.sandbox, Unmounting(runtime.sandbox, folder)
    await work(runtime, "parse", slice_s=5)
    runtime.sandbox = good
    assert (await job_row(runtime, job)).status == "PENDING"
    chunk = await chunk_row(runtime)
    assert (chunk.state, chunk.losses) == ("READY", 0)
    assert chunk.reason.startswith("STORAGE_DOWN: ")


class OutOfMemory(Broken):
    """A sandbox under which this process itself runs out of memory."""

    async def run(self, request: ParseRequest, **how: Any) -> Infra:  # type: ignore[override]
        if request.name == "a.txt":
            raise MemoryError
        return await super().run(request, **how)


async def test_a_worker_without_memory_blames_no_document(runtime: Runtime) -> None:
    job = await add_job(runtime, "a.txt", b"words")
    good, runtime.sandbox = runtime.sandbox, OutOfMemory()
    await work(runtime, "parse", slice_s=5)
    runtime.sandbox = good
    assert (await job_row(runtime, job)).status == "PENDING"
    chunk = await chunk_row(runtime)
    assert (chunk.state, chunk.losses) == ("READY", 0)
    assert chunk.reason.startswith("MEMORY: ")


async def test_a_broken_sandbox_blames_no_document_and_leaves_the_queue(runtime: Runtime) -> None:
    job = await add_job(runtime, "a.txt", b"words")
    good, runtime.sandbox = runtime.sandbox, Broken()
    await work(runtime, "parse", slice_s=5)
    assert (await job_row(runtime, job)).status == "PENDING"
    chunk = await chunk_row(runtime)
    assert (chunk.state, chunk.losses) == ("READY", 0)
    assert "sandbox" in chunk.reason
    assert not await runtime.is_fit()
    runtime.sandbox = good
    async with asyncio.timeout(10):
        while not await runtime.is_fit():
            await asyncio.sleep(0.1)
    await run_sql(runtime, "UPDATE chunks SET due_at = now()")
    await work(runtime, "parse", slice_s=5)
    assert (await job_row(runtime, job)).status == "COMPLETED"


async def test_a_worker_asked_to_leave_gives_the_work_back_without_a_loss(runtime: Runtime) -> None:
    job = await add_job(runtime, "a.txt", b"words")
    good, slow = runtime.sandbox, Slow()
    runtime.sandbox = slow
    task = asyncio.create_task(work(runtime, "parse", slice_s=5))
    await slow.started.wait()
    runtime.stopping.set()
    async with asyncio.timeout(10):
        await task
    runtime.sandbox = good
    assert slow.broken_off
    chunk = await chunk_row(runtime)
    assert (chunk.state, chunk.losses, chunk.token) == ("READY", 0, None)
    assert (await job_row(runtime, job)).status == "PENDING"


async def test_a_fenced_worker_breaks_off_and_changes_nothing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.worker.heart.BEAT_EVERY_S", 0.1)
    job = await add_job(runtime, "a.txt", b"words")
    good, slow = runtime.sandbox, Slow()
    runtime.sandbox = slow
    task = asyncio.create_task(work(runtime, "parse", slice_s=0))
    await slow.started.wait()
    owner = uuid4()
    async with runtime.unit_of_work() as uow:
        await uow.session.execute(text("UPDATE chunks SET token = :t"), {"t": owner})
        await uow.commit()
    async with asyncio.timeout(10):
        await task
    runtime.sandbox = good
    assert slow.broken_off
    chunk = await chunk_row(runtime)
    assert (chunk.state, chunk.token) == ("TAKEN", owner)
    assert (await job_row(runtime, job)).status == "PENDING"


async def test_a_stop_heard_at_the_heartbeat_cancels_what_runs(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.worker.heart.BEAT_EVERY_S", 0.1)
    job = await add_job(runtime, "a.txt", b"words")
    good, slow = runtime.sandbox, Slow()
    runtime.sandbox = slow
    task = asyncio.create_task(work(runtime, "parse", slice_s=0))
    await slow.started.wait()
    async with runtime.unit_of_work() as uow:
        await uow.session.execute(text("UPDATE chunks SET stop = true"))
        await uow.commit()
    async with asyncio.timeout(10):
        await task
    runtime.sandbox = good
    assert (await job_row(runtime, job)).status == "CANCELLED"
    assert await chunk_row(runtime) is None


async def test_a_heart_that_cannot_renew_starts_no_other_file(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_job(runtime, "a.txt", b"words")
    async with runtime.unit_of_work() as uow:
        held = await running.take(uow, "parse", runtime.worker_id)
    assert held is not None
    monkeypatch.setattr("services.worker.heart.LEASE_S", 0.0)
    monkeypatch.setattr("services.worker.heart.BEAT_EVERY_S", 0.3)
    async with Heart(runtime.unit_of_work, held.chunk) as heart:
        waiting = asyncio.create_task(heart.until_renewed())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        monkeypatch.setattr("services.worker.heart.LEASE_S", 15.0)
        async with asyncio.timeout(5):
            await waiting
        assert heart.hand is Hand.GO_ON


async def test_a_chunk_that_is_due_in_a_moment_is_waited_for_and_not_started_early(runtime: Runtime) -> None:
    job = await add_job(runtime, "a.txt", b"text")
    await run_sql(runtime, "UPDATE chunks SET due_at = now() + interval '700 ms'")
    due = (await chunk_row(runtime)).due_at
    await work(runtime, "parse", slice_s=5)
    row = await job_row(runtime, job)
    assert row.status == "COMPLETED"
    assert row.finished_at >= due


async def test_a_chunk_that_is_due_much_later_is_left_to_a_later_bell(runtime: Runtime) -> None:
    job = await add_job(runtime, "a.txt", b"text")
    await run_sql(runtime, "UPDATE chunks SET due_at = now() + interval '1 hour'")
    async with asyncio.timeout(2):
        await work(runtime, "parse", slice_s=5)
    assert (await job_row(runtime, job)).status == "PENDING"


async def test_the_end_of_a_job_rings_a_lane_that_refused_something(runtime: Runtime, bells: Any) -> None:
    await add_job(runtime, "a.txt", b"text")
    await run_sql(
        runtime,
        "INSERT INTO lanes (project_id, job_type, max_jobs, wait)"
        " SELECT project_id, job_type, 1, '{}' FROM chunks",
    )
    await work(runtime, "parse", slice_s=5)
    assert len(bells.heard(Dispatch)) == 1
