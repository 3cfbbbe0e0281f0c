"""The operator's door, one of each thing behind it, and its audit."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from shared import ids
from shared.config import Settings
from shared.directories import syncing
from shared.wiring import Resources
from shared.workers import service as worker_service
from tests.conftest import Tenant

ADMIN = "/api/v1/admin"
DOCUMENTS = Path(__file__).parents[4] / "deploy" / "samples" / "documents"


class Rows:
    """Statements on this test's database, each committed."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def all(self, statement: str, **values: Any) -> list[Any]:
        async with self._resources.unit_of_work() as uow:
            found = await uow.session.execute(text(statement), values)
            rows = list(found.all()) if found.returns_rows else []  # type: ignore[attr-defined]
            await uow.commit()
            return rows

    async def one(self, statement: str, **values: Any) -> Any:
        """The first value of the first row."""
        return (await self.all(statement, **values))[0][0]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With one folder that may be read in place."""
    settings.storage.roots = [str(DOCUMENTS)]
    return settings


@pytest.fixture
def rows(resources: Resources) -> Rows:
    return Rows(resources)


@pytest.fixture
async def admin(api_url: str, operator_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """With an operator's key; paths are below /api/v1/admin."""
    headers = {"authorization": f"Bearer {operator_key}"}
    async with httpx.AsyncClient(base_url=api_url + ADMIN, headers=headers, timeout=60) as made:
        yield made


@pytest.fixture
async def made(rows: Rows, tenant: Tenant, http: httpx.AsyncClient, resources: Resources) -> dict[str, str]:
    """The public id of one of each thing, in the state that its writes are meant for."""
    directory = (await http.post("/api/v1/beta/directories", json={"name": "d"})).json()["id"]
    job = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}
    batch = await http.post(
        "/api/v2/batches",
        json={
            "source_directory_id": directory,
            "config": {"job": job},
            "webhook_configurations": [{"webhook_url": "https://hooks.test/"}],
        },
    )
    delivery = await rows.one(
        "UPDATE webhook_deliveries SET status = 'DEAD', due_at = NULL, finished_at = now(),"
        " last_error = 'the receiver answered 500', last_code = 500, attempts = 8 RETURNING id"
    )
    file = await http.post("/api/v1/beta/files", files={"file": ("f", b"x")}, data={"purpose": "parse"})
    parse = await http.post(
        "/api/v2/parse", json={"file_id": file.json()["id"], "tier": "fast", "version": "latest"}
    )
    failed = UUID(parse.json()["id"].removeprefix("pjb-"))
    await rows.all("DELETE FROM chunks")
    await rows.all(
        "UPDATE jobs SET status = 'FAILED', error_code = 'TIMEOUT', finished_at = now() WHERE id = :j",
        j=failed,
    )
    worker = uuid4()
    async with resources.unit_of_work() as uow:
        await worker_service.enlist(uow, worker, queues=["parse"], slots=1)
    chunk = await rows.one(
        "INSERT INTO chunks (project_id, job_type, queue, job_id, size, rank, state, token, worker_id,"
        " due_at) VALUES (:p, 'parse_v2', 'parse', gen_random_uuid(), 1, 0, 'TAKEN', gen_random_uuid(), :w,"
        " now() + interval '15 s') RETURNING id",
        p=tenant.project_id,
        w=worker,
    )
    read, _ = await syncing.add(
        resources.unit_of_work,
        resources.sources,
        project_id=tenant.project_id,
        name="in place",
        url=str(DOCUMENTS),
    )
    key = await rows.one("SELECT id FROM api_keys WHERE project_id = :p", p=tenant.project_id)
    organization = await rows.one("SELECT organization_id FROM projects WHERE id = :p", p=tenant.project_id)
    return {
        "organization_id": ids.show(ids.Kind.ORGANIZATION, organization),
        "project_id": ids.show(ids.Kind.PROJECT, tenant.project_id),
        "key_id": ids.show(ids.Kind.API_KEY, key),
        "directory_id": ids.show(ids.Kind.DIRECTORY, read.id),
        "batch_id": batch.json()["id"],
        "job_id": ids.show(ids.Kind.PARSE_JOB, failed),
        "chunk_id": str(chunk),
        "worker_id": ids.show(ids.Kind.WORKER, worker),
        "job_type": "parse_v2",
        "config_id": "cfg-019e8a52-6a3e-7c62-9b1d-3a4a1f0f9e11",
        "delivery_id": ids.show(ids.Kind.DELIVERY, delivery),
    }
