"""A batch over a folder, and one over a bucket, that are read in place, by a worker's real means."""

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import obstore
import pytest
from sqlalchemy import text

from services.worker.engines.sandbox import Sandbox
from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.batches import advance as batch_advance
from shared.batches import dispatch as lane_dispatch
from shared.batches import explain as batch_explain
from shared.batches import repository as batch_repository
from shared.config import Settings
from shared.directories import syncing
from shared.directories.model import Directory
from shared.jobs.result import decode, text_full
from shared.lanes import service as lane_service
from shared.storage import by_reference
from shared.wiring import Resources
from shared.workers import service as worker_service
from tests.conftest import Tenant
from tests.s3_server import S3Server, put, serve_s3

KIND = "parse_v2"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(settings: Settings, root: Path) -> Settings:
    settings.storage.roots = [str(root), "s3://papers/in"]
    return settings


@pytest.fixture
async def runtime(resources: Resources, tmp_path: Path) -> AsyncIterator[Runtime]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    runtime = Runtime(resources, resources, ["parse"], Sandbox(), scratch)
    async with resources.unit_of_work() as uow:
        await worker_service.enlist(uow, runtime.worker_id, queues=["parse"], slots=1)
    yield runtime
    await runtime.sandbox.close()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with serve_s3() as server:
        yield server


async def sql(runtime: Runtime, statement: str, **values: Any) -> list[Any]:
    async with runtime.unit_of_work() as uow:
        found = await uow.session.execute(text(statement), values)
        rows = list(found.all()) if found.returns_rows else []  # type: ignore[attr-defined]
        await uow.commit()
        return rows


async def add(runtime: Runtime, tenant: Tenant, url: str) -> Directory:
    directory, _ = await syncing.add(
        runtime.unit_of_work, runtime.resources.sources, project_id=tenant.project_id, name="d", url=url
    )
    return directory


async def sync(runtime: Runtime, tenant: Tenant, directory: Directory) -> syncing.Reading:
    return await syncing.sync(
        runtime.unit_of_work,
        runtime.resources.sources,
        project_id=tenant.project_id,
        directory_id=directory.id,
    )


async def open_batch(runtime: Runtime, directory: Directory) -> UUID:
    async with runtime.unit_of_work() as uow:
        await lane_service.open_lane(uow, directory.project_id, KIND)
        batch = await batch_repository.add(
            uow.session,
            project_id=directory.project_id,
            directory_id=directory.id,
            job_type=KIND,
            configuration_id="cfg-PARSE_FAST",
            parameters={"tier": "fast"},
        )
        await uow.commit()
    return batch.id


async def turn(runtime: Runtime, batch_id: UUID, tenant: Tenant) -> bool:
    """One look of everybody; answers whether the batch has ended."""
    ended = await batch_advance.advance(runtime.unit_of_work, batch_id) is batch_advance.Step.ENDED
    await lane_dispatch.dispatch(runtime.unit_of_work, tenant.project_id, KIND)
    await work(runtime, "parse", slice_s=5)
    return ended


async def run(runtime: Runtime, batch_id: UUID, tenant: Tenant) -> dict[str, Any]:
    """The jobs of the batch by their file's path, when it has ended."""
    for _ in range(50):
        if await turn(runtime, batch_id, tenant):
            break
    rows = await sql(
        runtime,
        "SELECT d.unique_id, j.*, f.sha256 AS of_file, d.sha256 AS of_place FROM jobs j"
        " JOIN directory_files d ON d.id = j.directory_file_id JOIN files f ON f.id = j.file_id"
        " WHERE j.batch_id = :b",
        b=batch_id,
    )
    assert all(row.status != "PENDING" for row in rows)
    return {row.unique_id: row for row in rows}


async def words_of(runtime: Runtime, job: Any) -> str:
    return text_full(decode(await runtime.resources.storage.read(job.result_key)))


async def test_each_file_of_a_folder_has_its_own_end(
    runtime: Runtime, tenant: Tenant, root: Path, tmp_path: Path
) -> None:
    for name in ("good.txt", "changed.txt", "vanished.txt", "linked.txt", "huge.txt"):
        (root / name).write_text(f"words of {name}")
    (tmp_path / "secret").write_text("not yours")
    (root / "leaves.txt").symlink_to(tmp_path / "secret")
    directory = await add(runtime, tenant, str(root))
    batch = await open_batch(runtime, directory)
    (root / "changed.txt").write_text("other words")
    (root / "vanished.txt").unlink()
    (root / "linked.txt").unlink()
    (root / "linked.txt").symlink_to(tmp_path / "secret")
    await sql(runtime, "UPDATE directory_files SET size_bytes = 1 << 30 WHERE unique_id = 'huge.txt'")

    jobs = await run(runtime, batch, tenant)
    assert set(jobs) == {"good.txt", "changed.txt", "vanished.txt", "linked.txt", "huge.txt"}
    good = jobs["good.txt"]
    assert good.status == "COMPLETED"
    assert "words of good" in await words_of(runtime, good)
    digest = hashlib.sha256(b"words of good.txt").digest()
    assert (good.sha256, good.of_file, good.of_place) == (digest, digest, digest)
    ends = {name: (job.status, job.error_code, job.retryable) for name, job in jobs.items()}
    assert ends["changed.txt"] == ("FAILED", "ENGINE_ERROR", False)
    assert ends["vanished.txt"] == ends["linked.txt"] == ("FAILED", "ENGINE_ERROR", True)
    assert ends["huge.txt"] == ("FAILED", "DOCUMENT_TOO_LARGE", False)
    assert "Sync its directory" in jobs["changed.txt"].error_message
    assert "no longer where" in jobs["vanished.txt"].error_message
    assert "link" in jobs["linked.txt"].error_message
    assert jobs["changed.txt"].of_file is None
    assert list(runtime.scratch.iterdir()) == [], "no copy stays behind"


async def test_after_a_sync_what_changed_is_parsed_and_the_rest_is_known(
    runtime: Runtime, tenant: Tenant, root: Path
) -> None:
    for name in ("a.txt", "b.txt"):
        (root / name).write_text(f"words of {name}")
    directory = await add(runtime, tenant, str(root))
    await run(runtime, await open_batch(runtime, directory), tenant)
    frozen = await open_batch(runtime, directory)
    (root / "b.txt").write_text("other words of b")
    assert (await sync(runtime, tenant, directory)).changed == 1
    second = await open_batch(runtime, directory)
    await batch_advance.advance(runtime.unit_of_work, second)
    known = await sql(runtime, "SELECT name, sha256 FROM jobs WHERE batch_id = :b", b=second)
    assert dict(map(tuple, known)) == {
        "a.txt": hashlib.sha256(b"words of a.txt").digest(),
        "b.txt": None,
    }
    jobs = await run(runtime, second, tenant)
    assert "other words" in await words_of(runtime, jobs["b.txt"])
    old = await run(runtime, frozen, tenant)
    assert {name: job.status for name, job in old.items()} == {"a.txt": "COMPLETED", "b.txt": "UNMAPPED"}


@pytest.mark.parametrize("left_behind", [True, False])
async def test_a_folder_that_is_not_mounted_is_waited_for_and_blames_nobody(
    runtime: Runtime, tenant: Tenant, root: Path, tmp_path: Path, left_behind: bool
) -> None:
    (root / "a.txt").write_text("words")
    batch = await open_batch(runtime, await add(runtime, tenant, str(root)))
    root.rename(tmp_path / "away")
    if left_behind:
        root.mkdir()
    for _ in range(4):
        assert not await turn(runtime, batch, tenant)
        ((state, losses, reason),) = await sql(runtime, "SELECT state, losses, reason FROM chunks")
        assert (state, losses) == ("READY", 0)
        assert reason.startswith("STORAGE_DOWN")
        assert await runtime.is_fit(), "other work goes on"
        async with runtime.unit_of_work() as uow:
            row = await batch_repository.get(uow.session, tenant.project_id, batch)
            assert row is not None
            waiting = (await batch_explain.explain(uow, row)).waiting
        assert waiting is not None
        assert waiting["code"] == "STORAGE_DOWN"
        assert str(root) in waiting["message"]
        await sql(runtime, "UPDATE chunks SET due_at = now()")
    root.rmdir() if left_behind else None
    (tmp_path / "away").rename(root)
    jobs = await run(runtime, batch, tenant)
    assert jobs["a.txt"].status == "COMPLETED"


async def test_deleting_and_expiring_touch_no_byte_of_the_owner(
    runtime: Runtime, tenant: Tenant, root: Path
) -> None:
    (root / "a.txt").write_text("words")
    directory = await add(runtime, tenant, str(root))
    batch = await open_batch(runtime, directory)
    await sql(runtime, "UPDATE directories SET deleted_at = now(), expires_at = now()")
    await sql(runtime, "UPDATE files SET deleted_at = now(), expires_at = now()")
    for (key,) in await sql(runtime, "SELECT storage_key FROM files"):
        with pytest.raises(ValueError, match="not a blob of ours"):
            await runtime.resources.storage.delete(key)
    assert (root / "a.txt").read_text() == "words"
    await run(runtime, batch, tenant)
    assert (root / "a.txt").read_text() == "words"


async def test_a_bucket_is_read_in_place_over_the_s3_api(
    runtime: Runtime, tenant: Tenant, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    bucket = s3.bucket("papers")
    names = ["good.txt", "deep/er/a b+c#1.txt", "caf\u00e9.txt", "50%.txt", "changed.txt", "vanished.txt"]
    for name in names:
        put(bucket, f"in/{name}", f"words of {name}".encode())
    for name in (".hidden/x.txt", "deep/.dot", "../secret"):
        put(bucket, f"in/{name}" if ".." not in name else "secret", b"not yours")
    directory = await add(runtime, tenant, "s3://papers/in/")
    assert directory.source_url == "s3://papers/in"
    batch = await open_batch(runtime, directory)
    put(bucket, "in/changed.txt", b"other words")
    obstore.delete(bucket, "in/vanished.txt")
    jobs = await run(runtime, batch, tenant)
    assert set(jobs) == set(names)
    for name in names[:4]:
        assert jobs[name].status == "COMPLETED", jobs[name].error_message
        assert f"words of {name}" in await words_of(runtime, jobs[name])
        assert jobs[name].of_file == hashlib.sha256(f"words of {name}".encode()).digest()
    assert "changed" in jobs["changed.txt"].error_message
    assert "no longer where" in jobs["vanished.txt"].error_message
    put(bucket, "in/new.txt", b"new")
    found = await sync(runtime, tenant, directory)
    assert (found.new, found.changed, found.removed, found.same) == (1, 1, 1, 4)
    assert found.left_out == {"hidden": 2}
    ((kept,),) = await sql(runtime, "SELECT string_agg(row_to_json(f)::text, '') FROM files f")
    assert "AWS" not in kept
    assert os.environ["AWS_ENDPOINT_URL"] not in kept


async def test_a_bucket_out_of_reach_blames_nobody(
    runtime: Runtime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_reference, "ANSWERS_WITHIN_S", 2.0)
    with serve_s3() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        put(server.bucket("papers"), "in/a.txt", b"words")
        batch = await open_batch(runtime, await add(runtime, tenant, "s3://papers/in"))
    assert not await turn(runtime, batch, tenant)
    ((state, losses, reason),) = await sql(runtime, "SELECT state, losses, reason FROM chunks")
    assert (state, losses) == ("READY", 0)
    assert reason.startswith("STORAGE_DOWN")
