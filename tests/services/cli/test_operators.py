"""The operator's commands against a running API and its database."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from shared.config import Settings
from shared.errors import Unauthenticated
from shared.projects import service as project_service
from shared.wiring import Resources
from shared.workers import service as worker_service
from tests.conftest import Tenant
from tests.patience import GIVES_UP_S

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def batchmill(settings: Settings, api_url: str, operator_key: str, tenant: Tenant, tmp_path: Path) -> Run:
    """Runs `batchmill` against this test's server and database."""
    outside = ("BATCHMILL_", "LLAMA_CLOUD_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(outside)} | {
        "BATCHMILL_DATABASE__URL": settings.database_url(),
        "BATCHMILL_STORAGE__URL": settings.storage_url(),
        "LLAMA_CLOUD_BASE_URL": api_url,
        "LLAMA_CLOUD_API_KEY": tenant.key,
        "BATCHMILL_OPERATOR_KEY": operator_key,
        "COLUMNS": "200",
    }

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.cli", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=GIVES_UP_S, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def read(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


async def events(resources: Resources) -> list[Any]:
    async with resources.unit_of_work() as uow:
        return list((await uow.session.execute(text("SELECT * FROM audit_events ORDER BY id"))).all())


async def opens(resources: Resources, token: str) -> bool:
    async with resources.unit_of_work() as uow:
        with suppress(Unauthenticated):
            await project_service.authenticate(uow, token)
            return True
    return False


async def test_only_named_limits_change(batchmill: Run, tenant: Tenant, resources: Resources) -> None:
    lane = ("--project", f"prj-{tenant.project_id}", "--json")
    first = read(batchmill("limits", "set", "--jobs-per-minute", "120", "--burst", "2", *lane))
    assert (first["jobs_per_minute"], first["burst"], first["max_jobs"]) == (120, 2, None)
    second = read(batchmill("limits", "set", "--max-jobs", "9", *lane))
    assert second == {**first, "max_jobs": 9}
    held = read(batchmill("limits", "hold", "new disk", "--for", "2h", *lane))
    assert held["hold"]["reason"] == "new disk"
    assert {**held, "hold": None} == second
    third = read(batchmill("limits", "set", "--jobs-per-minute", "off", "--burst", "off", *lane))
    assert third == {**held, "jobs_per_minute": None, "burst": 1}, "a hold is no limit that was named"
    assert read(batchmill("limits", "release", *lane))["hold"] is None
    shown = batchmill("limits", "get", "--project", lane[1]).stdout
    assert ["jobs", "per", "minute:", "off"] in [line.split() for line in shown.splitlines()]
    assert ["max", "jobs:", "9"] in [line.split() for line in shown.splitlines()]
    assert [event.action for event in await events(resources)] == ["lane.set"] * 5


def test_a_refusal_is_told_in_the_servers_words(batchmill: Run, tenant: Tenant) -> None:
    project = ("--project", f"prj-{tenant.project_id}")
    zero = batchmill("limits", "set", "--max-jobs", "0", *project, code=1)
    assert "refused (422): body.max_jobs" in zero.stderr
    assert "refused (404)" in batchmill("limits", "get", "--project", "prj-none", code=1).stderr
    assert "refused (404)" in batchmill("limits", "get", *project, "--type", "poem", code=1).stderr
    assert "no default project" in batchmill("limits", "get", code=1).stderr
    wrong = batchmill("workers", "list", "--operator-key", tenant.key, code=1)
    assert "refused (403)" in wrong.stderr
    away = batchmill("workers", "list", "--base-url", "http://127.0.0.1:1", code=4)
    assert "does not answer" in away.stderr


def test_a_key_that_opens_nothing_is_named_by_where_it_came_from(batchmill: Run, tenant: Tenant) -> None:
    wrong = batchmill("batches", "list", "--api-key", "bmk_wrong", code=1).stderr
    assert "refused (401)" in wrong
    assert "project-key" in wrong
    batchmill("keys", "revoke", tenant.key[:12])
    assert "It is the one in LLAMA_CLOUD_API_KEY." in batchmill("batches", "list", code=1).stderr


async def test_workers_are_listed_and_drained(batchmill: Run, resources: Resources) -> None:
    worker = uuid4()
    async with resources.unit_of_work() as uow:
        await worker_service.enlist(uow, worker, queues=["parse"], slots=1)
    table = batchmill("workers", "list").stdout
    assert f"wrk-{worker}" in table
    assert "alive" in table
    drained = batchmill("workers", "drain", f"wrk-{worker}").stdout.split()
    assert drained == [
        "id:",
        f"wrk-{worker}",
        "alive:",
        "yes",
        "drain:",
        "yes",
        "queues:",
        "parse",
        "holds:",
        "0",
    ]
    assert read(batchmill("workers", "drain", f"wrk-{worker}", "--json"))["drain"] is True
    assert "draining" in batchmill("workers", "list").stdout
    (row,) = read(batchmill("workers", "list", "--json"))
    assert (row["id"], row["alive"], row["drain"]) == (f"wrk-{worker}", True, True)
    assert read(batchmill("workers", "drain", f"wrk-{worker}", "--undo", "--json"))["drain"] is False
    assert read(batchmill("workers", "list", "--queue", "extract", "--json")) == []


def test_a_batch_is_explained_and_cancelled(batchmill: Run, client: Any) -> None:
    directory = client.beta.directories.create(name="d")
    job = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}
    batch = client.batches.create(source_directory_id=directory.id, config={"job": job})
    explained = read(batchmill("batches", "explain", batch.id, "--json"))
    assert explained["state"] == "PENDING"
    assert {"directory", "workers", "broker"} <= {check["name"] for check in explained["checks"]}
    table = batchmill("batches", "explain", batch.id).stdout
    assert re.search(r"next look at: +\S+Z \((in \d+ s|\d+ s ago)\)", table), table
    assert "no living worker" in table.lower() or "being read" in table
    assert batchmill("batches", "cancel", batch.id).stdout.startswith(f"{batch.id} is ")
    assert read(batchmill("batches", "cancel", batch.id, "--json"))["id"] == batch.id
    assert client.batches.get(batch.id).status in {"PENDING", "CANCELLED"}
    assert "refused (404)" in batchmill("batches", "cancel", "bat-none", code=1).stderr


def test_a_batch_is_steered(batchmill: Run, client: Any) -> None:
    directory = client.beta.directories.create(name="d")
    job = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}
    batch = client.batches.create(source_directory_id=directory.id, config={"job": job})
    assert batchmill("batches", "pause", batch.id).stdout == f"{batch.id} is paused\n"
    assert read(batchmill("batches", "pause", batch.id, "--json"))["paused_at"] is not None
    checks = read(batchmill("batches", "explain", batch.id, "--json"))["checks"]
    (paused,) = [check["detail"] for check in checks if check["name"] == "pause"]
    assert "by the key bmk_" in paused
    assert batchmill("batches", "resume", batch.id).stdout == f"{batch.id} goes on\n"
    said = batchmill("batches", "threshold", batch.id, "--count", "9", "--percent", "12.5").stdout
    assert said == f"{batch.id} has the threshold 9 failed or 12.5 % failed of 100 or more\n"
    shown = read(batchmill("batches", "get", batch.id, "--json"))
    assert shown["failure_threshold"] == {"count": 9, "percent": 12.5, "after": 100}
    assert batchmill("batches", "threshold", batch.id, "--off").stdout.endswith("threshold none\n")
    for odd in ((), ("--off", "--count", "1")):
        assert "--off alone" in batchmill("batches", "threshold", batch.id, *odd, code=2).stderr
    assert "needs a count" in batchmill("batches", "threshold", batch.id, "--after", "5", code=1).stderr
    assert "refused (409)" in batchmill("batches", "redrive", batch.id, "--changed", code=1).stderr


async def test_keys_are_rotated_and_revoked_on_the_database(
    batchmill: Run, resources: Resources, tenant: Tenant
) -> None:
    token = batchmill("keys", "create", "--role", "operator", "--name", "mine", "--for", "9d").stdout.strip()
    listed = {key["name"]: key for key in read(batchmill("keys", "list", "--json"))}
    assert listed["mine"]["expires_at"] is not None
    key = listed["mine"]["id"]
    assert token[:12] in batchmill("keys", "list").stdout
    assert "say when" in batchmill("keys", "rotate", key, code=1).stderr
    rotated = read(batchmill("keys", "rotate", key, "--overlap", "1h", "--for", "ever", "--json"))
    new = rotated["token"]
    assert (rotated["role"], rotated["replaces"]["id"], rotated["expires_at"]) == ("operator", key, None)
    assert new.startswith("bmo_")
    assert await opens(resources, token)
    assert await opens(resources, new)
    assert key in batchmill("keys", "revoke", token[:12]).stdout
    assert "No key starts with" in batchmill("keys", "revoke", "bmk_nobody", code=1).stderr
    assert "of the keys start with bmo_" in batchmill("keys", "revoke", "bmo_", code=1).stderr
    assert not await opens(resources, token)
    assert await opens(resources, new)
    assert "revoked or has expired" in batchmill("keys", "rotate", key, code=1).stderr
    assert "No api key" in batchmill("keys", "revoke", "key-none", code=1).stderr
    found = await events(resources)
    assert [event.action for event in found] == ["key.create", "key.rotate", "key.revoke"]
    assert {event.key_id for event in found} == {None}
    assert {event.target for event in found} == {key}
    assert token not in str(found)
    assert new not in str(found)


async def test_doctor_looks_at_the_server(batchmill: Run, resources: Resources) -> None:
    found = {one["name"]: one for one in read(batchmill("doctor", "--json", code=1))}
    assert "start upkeep" in found["sweep"]["advice"]
    assert found["replicas"]["ok"]
    assert "no synchronous standby" in found["replicas"]["detail"]
    assert found["connections"]["ok"]
    assert "the server gives" in found["connections"]["detail"]
    assert found["workers"]["detail"] == "0 alive, 0 draining; no queue is served"
    async with resources.unit_of_work() as uow:
        await uow.session.execute(
            text("INSERT INTO sweeps (name, last_ok_at) VALUES ('chunks', now() + interval '1 h')")
        )
        await uow.session.execute(
            text(
                "INSERT INTO chunks (project_id, job_type, queue, job_id, size, rank, due_at) VALUES"
                " (gen_random_uuid(), 'parse_v2', 'parse', gen_random_uuid(), 1, 0, now() - interval '30 s')"
            )
        )
        await uow.commit()
    found = {one["name"]: one for one in read(batchmill("doctor", "--json", code=1))}
    assert found["sweep"]["ok"]
    assert "Nobody serves the queue parse" in found["workers"]["advice"]


async def test_an_adopted_storage_is_in_the_audit(batchmill: Run, resources: Resources) -> None:
    assert "The storage is the folder" in batchmill("storage", "adopt", "--yes").stdout
    async with resources.unit_of_work() as uow:
        found = (await uow.session.execute(text("SELECT action, key_id, detail FROM audit_events"))).one()
    assert (found.action, found.key_id) == ("storage.adopt", None)
    assert found.detail["place"].startswith("the folder ")


async def test_retention_is_set_for_what_is_named(batchmill: Run, tenant: Tenant) -> None:
    project = ("--project", f"prj-{tenant.project_id}")
    first = read(batchmill("retention", "set", "--results", "30", "--files", "7d", *project, "--json"))
    assert first == {"results_days": 30, "jobs_days": None, "batches_days": None, "files_days": 7}
    second = read(batchmill("retention", "set", "--files", "ever", *project, "--json"))
    assert second == {**first, "files_days": None}
    assert batchmill("retention", "get", *project).stdout.split() == [
        *("results:", "30", "d", "jobs:", "for", "ever"),
        *("batches:", "for", "ever", "files:", "for", "ever"),
    ]
    assert "refused (422)" in batchmill("retention", "set", "--jobs", "0", *project, code=1).stderr
    batchmill("retention", "set", "--jobs", "soon", *project, code=2)
    batchmill("retention", "set", *project, code=2)


async def test_gc_tells_what_would_go_and_removes_it(
    batchmill: Run, tenant: Tenant, client: Any, settings: Settings, resources: Resources
) -> None:
    kept = client.files.create(file=("a.txt", b"12345"), purpose="parse")
    orphan = f"p/{tenant.project_id}/f/{uuid4()}"
    await resources.storage.put(orphan, b"1234567")
    path = Path(settings.storage_url().removeprefix("file://")) / orphan
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 25 * 3600))
    dry = read(batchmill("gc", "--dry-run", "--json"))
    assert (dry["dry_run"], dry["found"]["orphans"]) == (True, {"blobs": 1, "size_bytes": 7})
    assert dry["found"]["kept"] == {"blobs": 1, "size_bytes": 5}
    assert "Nothing was removed." in batchmill("gc", "--dry-run").stdout
    assert path.is_file()
    client.files.delete(kept.id)
    async with resources.unit_of_work() as uow:
        await uow.session.execute(text("UPDATE files SET deleted_at = now() - interval '2 hours'"))
        await uow.commit()
    done = read(batchmill("gc", "--json"))
    assert done["removed"] == {"blobs": 1, "size_bytes": 7}
    assert (done["rows"], done["waiting"]) == ({"files": 1}, 1), "its bytes follow"
    assert not path.exists()
    (event,) = await events(resources)
    assert (event.action, event.detail["rows"]) == ("gc.run", {"files": 1}), "a dry run leaves none"


async def test_a_project_is_purged_after_a_question(
    batchmill: Run, tenant: Tenant, resources: Resources
) -> None:
    project = f"prj-{tenant.project_id}"
    batchmill("projects", "purge", project, code=130)
    assert project in batchmill("projects", "list").stdout
    asked = read(batchmill("projects", "purge", project, "--yes", "--json"))
    assert (asked["project_id"], asked["state"]) == (project, "ROWS")
    assert project not in batchmill("projects", "list").stdout
    assert not await opens(resources, tenant.key)
    assert [event.action for event in await events(resources)] == ["project.purge"]
