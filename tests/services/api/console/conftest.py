"""The console as a browser meets it, without the browser."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from shared.batches import service as batch_service
from shared.directories import service as directory_service
from shared.wiring import Resources
from tests.conftest import Tenant
from tests.services.api.console.rows_read import Statement

CONSOLE = "/console"
COOKIE = "batchmill_console"

SignIn = Callable[[str], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def browser(api_url: str) -> AsyncIterator[Callable[[], httpx.AsyncClient]]:
    """Browsers that nobody has signed in with; what they send says where it comes from."""
    async with AsyncExitStack() as opened:
        made: list[httpx.AsyncClient] = []

        def make() -> httpx.AsyncClient:
            made.append(httpx.AsyncClient(base_url=api_url, headers={"origin": api_url}, timeout=60))
            return made[-1]

        yield make
        for one in made:
            opened.push_async_callback(one.aclose)


@pytest.fixture
def sign_in(browser: Callable[[], httpx.AsyncClient]) -> SignIn:
    """A browser in which somebody signed in with a key."""

    async def run(key: str) -> httpx.AsyncClient:
        made = browser()
        answer = await made.post(f"{CONSOLE}/login", data={"key": key})
        assert answer.status_code == 303, answer.text
        return made

    return run


@pytest.fixture
async def ours(sign_in: SignIn, tenant: Tenant) -> httpx.AsyncClient:
    return await sign_in(tenant.key)


@pytest.fixture
async def theirs(sign_in: SignIn, neighbour: Tenant) -> httpx.AsyncClient:
    return await sign_in(neighbour.key)


@dataclass(frozen=True)
class File:
    """A file of a batch as a test wants it."""

    name: str = "a.pdf"
    status: str = "COMPLETED"
    code: str | None = None
    message: str | None = None


FillBatch = Callable[..., Awaitable[str]]


@pytest.fixture
def filled(resources: Resources, tenant: Tenant) -> FillBatch:
    """Makes a RUNNING batch with these files, as a worker would have left them."""

    async def run(files: Sequence[File], *, directory: str = "papers") -> str:
        async with resources.unit_of_work() as uow:
            where = await directory_service.open_directory(uow, project_id=tenant.project_id, name=directory)
            batch = await batch_service.open_batch(
                uow,
                project_id=tenant.project_id,
                source_directory_id=where.id,
                job_type="parse_v2",
                configuration_id="cfg-PARSE_FAST",
            )
            for seq, file in enumerate(files, 1):
                await uow.session.execute(
                    text(
                        "INSERT INTO jobs (project_id, job_type, batch_id, seq, directory_file_id, file_id,"
                        " name, size_bytes, status, error_code, error_message, finished_at, result_key)"
                        " VALUES (:p, 'parse_v2', :b, :s, :f, :f, :n, 1, :st, :c, :m,"
                        "  CASE WHEN :st <> 'PENDING' THEN now() END,"
                        "  CASE WHEN :st = 'COMPLETED' THEN 'p/x/r/y/z.json.zst' END)"
                    ),
                    {
                        "p": tenant.project_id,
                        "b": batch.id,
                        "s": seq,
                        "f": uuid4(),
                        "n": file.name,
                        "st": file.status,
                        "c": file.code,
                        "m": file.message,
                    },
                )
            await _count(uow.session, batch.id)
            await uow.commit()
        return f"bat-{batch.id}"

    return run


async def _count(session: object, batch_id: UUID) -> None:
    await session.execute(  # type: ignore[attr-defined]
        text(
            "UPDATE batches SET status = 'RUNNING', started_at = now(), spread_done = true,"
            " total = n.total, fed_seq = n.total, ok = n.ok, failed = n.failed, cancelled = n.cancelled,"
            " unmapped = n.unmapped FROM (SELECT count(*) AS total,"
            "  count(*) FILTER (WHERE status = 'COMPLETED') AS ok,"
            "  count(*) FILTER (WHERE status = 'FAILED') AS failed,"
            "  count(*) FILTER (WHERE status = 'CANCELLED') AS cancelled,"
            "  count(*) FILTER (WHERE status = 'UNMAPPED') AS unmapped FROM jobs WHERE batch_id = :b) n"
            " WHERE id = :b"
        ),
        {"b": batch_id},
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Statement]:
    """What goes to the database, by all connections of this process."""
    found: list[Statement] = []
    run = asyncpg.prepared_stmt.PreparedStatement.fetch

    async def fetch(self: Any, *values: Any, **kwargs: Any) -> Any:
        found.append((self.get_query(), values))
        return await run(self, *values, **kwargs)

    monkeypatch.setattr(asyncpg.prepared_stmt.PreparedStatement, "fetch", fetch)
    return found
