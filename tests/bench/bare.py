"""What our reads are compared with: the same rows by asyncpg behind FastAPI, and nothing else. No key is
looked at, no project, no filter; there is no middleware. The answer is the contract's."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, HTTPException

from services.api.batch_shape import BatchOut
from services.api.paging import PageOf

COLUMNS = (
    "id, project_id, source_directory_id, job_type, configuration_id, status, created_at, updated_at,"
    " failure_code, failure_message, fail_limit, fail_percent, fail_after, paused_at, redrive_of"
)
ONE = f"SELECT {COLUMNS} FROM batches WHERE id = $1"
PAGE = (
    f"SELECT {COLUMNS} FROM batches WHERE project_id = $1 AND ($2::uuid IS NULL OR id < $2)"
    " ORDER BY id DESC LIMIT $3"
)


def shown(row: asyncpg.Record) -> dict[str, Any]:
    """The row in the contract's words."""
    return {
        "id": f"bat-{row['id']}",
        "project_id": f"prj-{row['project_id']}",
        "source_directory_id": f"dir-{row['source_directory_id']}",
        "config": {"job": {"type": row["job_type"], "configuration_id": row["configuration_id"]}},
        "status": row["status"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "failure_code": row["failure_code"],
        "failure_message": row["failure_message"],
        "paused_at": row["paused_at"],
    }


def create_app() -> FastAPI:
    """Reads the database that `BENCH_DATABASE` names to asyncpg, as JSON."""
    pool: asyncpg.Pool | None = None

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        nonlocal pool
        size = int(os.environ["BENCH_POOL"])
        pool = await asyncpg.create_pool(
            **json.loads(os.environ["BENCH_DATABASE"]), min_size=size, max_size=size
        )
        yield
        await pool.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/batches/{batch_id}", response_model=BatchOut)
    async def get(batch_id: UUID) -> Any:
        assert pool is not None
        row = await pool.fetchrow(ONE, batch_id)
        if row is None:
            raise HTTPException(404)
        return shown(row)

    @app.get("/batches", response_model=PageOf[BatchOut])
    async def page(project_id: UUID, after: UUID | None = None, size: int = 50) -> Any:
        assert pool is not None
        rows = await pool.fetch(PAGE, project_id, after, size)
        return {"items": [shown(row) for row in rows], "next_page_token": None, "total_size": None}

    return app
