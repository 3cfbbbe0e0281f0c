"""What a GET costs, in things that can be counted."""

from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from asyncpg.transaction import Transaction
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import text
from starlette.requests import Request

from services.api.app import create_app
from services.api.batch_shape import BatchOut
from services.api.paging import PageOf
from shared.config import Settings
from shared.wiring import Resources
from tests.conftest import Tenant

DIRECTORIES = "/api/v1/beta/directories"
BATCHES = "/api/v2/batches"
CONFIG = {"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What goes to the database, by all connections of this process: statements, and transactions."""
    found: list[str] = []
    run, begin = asyncpg.prepared_stmt.PreparedStatement.fetch, Transaction.start
    directly = asyncpg.Connection._execute

    async def fetch(self: Any, *args: Any, **kwargs: Any) -> Any:
        found.append(self.get_query())
        return await run(self, *args, **kwargs)

    async def execute(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        found.append(query)
        return await directly(self, query, *args, **kwargs)

    async def start(self: Any) -> Any:
        found.append("BEGIN")
        return await begin(self)

    monkeypatch.setattr(asyncpg.prepared_stmt.PreparedStatement, "fetch", fetch)
    monkeypatch.setattr(asyncpg.Connection, "_execute", execute)
    monkeypatch.setattr(Transaction, "start", start)
    return found


async def a_batch(http: httpx.AsyncClient) -> str:
    directory = (await http.post(DIRECTORIES, json={"name": "d"})).json()["id"]
    body = {"source_directory_id": directory, "config": CONFIG}
    return str((await http.post(BATCHES, json=body)).json()["id"])


async def again(http: httpx.AsyncClient, path: str, asked: list[str]) -> httpx.Response:
    """The answer to a request whose key was looked up less than a second ago."""
    while True:
        await http.get(path)
        asked.clear()
        found = await http.get(path)
        # On a machine that does other things, more than a second may lie between the two.
        if not any("api_keys" in one for one in asked):
            return found


@pytest.mark.parametrize("query", ["", "?page_size=1", "?status=", "?page_size=2000"])
async def test_one_statement_answers_a_list(http: httpx.AsyncClient, asked: list[str], query: str) -> None:
    first, second = await a_batch(http), await a_batch(http)
    found = await again(http, BATCHES + query, asked)
    assert [("FROM batches" in one) for one in asked] == [True]
    ids = [item["id"] for item in found.json()["items"]]
    assert ids == ([second] if query == "?page_size=1" else [second, first])


async def test_one_statement_answers_a_get(http: httpx.AsyncClient, asked: list[str]) -> None:
    batch = await a_batch(http)
    found = await again(http, f"{BATCHES}/{batch}", asked)
    assert [("FROM batches" in one) for one in asked] == [True]
    assert found.json()["id"] == batch


# Each means the same as the plain request and is left to the page.
LONG_WAYS = ("?expand=nothing", "?project_id={project}", "?include_total=false", "?unknown=1")


@pytest.mark.parametrize("way", LONG_WAYS)
async def test_a_short_cut_says_what_its_page_says(
    http: httpx.AsyncClient, tenant: Tenant, asked: list[str], way: str
) -> None:
    batch = [await a_batch(http) for _ in range(3)][1]
    for path in (f"{BATCHES}/{batch}", BATCHES):
        short = await again(http, path, asked)
        assert len(asked) == 1
        long = await http.get(path + way.format(project=tenant.project_id))
        assert (short.status_code, short.content) == (long.status_code, long.content)
        assert short.headers["content-type"] == long.headers["content-type"]


async def a_job(http: httpx.AsyncClient, content: str) -> None:
    form = {"configuration": '{"tier": "fast", "version": "latest", "user_metadata": {"a": "b"}}'}
    files = {"file": ("n.txt", content.encode())}
    (await http.post("/api/v2/parse/upload", data=form, files=files)).raise_for_status()


ENDS = {
    "new": "UPDATE jobs SET pages = 1",
    "running": "UPDATE chunks SET state = 'TAKEN', token = gen_random_uuid()",
    "failed": "UPDATE jobs SET status = 'FAILED', error_code = 'TIMEOUT', error_message = 'm',"
    " finished_at = now() + interval '1 min'",
    "done": "UPDATE jobs SET status = 'COMPLETED', result_key = 'r', finished_at = now()",
    "purged": "UPDATE jobs SET status = 'COMPLETED', result_key = 'r', finished_at = now(),"
    " purged_at = now()",
    "of a batch": "WITH b AS (INSERT INTO batches (project_id, source_directory_id, job_type,"
    "  configuration_id, config, last_pos) SELECT d.project_id, d.id, 'parse_v2', 'cfg-PARSE_FAST',"
    """  '{"parameters": {"tier": "agentic", "user_metadata": {"c": "d"}}}', 0 FROM directories d"""
    "  RETURNING id)"
    " INSERT INTO jobs (project_id, job_type, file_id, name, size_bytes, batch_id, seq)"
    "  SELECT project_id, job_type, file_id, name, size_bytes, b.id, 1 FROM jobs, b",
}


@pytest.mark.parametrize("end", ENDS)
async def test_a_parse_job_by_the_short_cut_is_the_pages(
    http: httpx.AsyncClient, resources: Resources, asked: list[str], end: str
) -> None:
    await http.post(DIRECTORIES, json={"name": "d"})
    await a_job(http, f"the short cut of one that is {end}")
    async with resources.unit_of_work() as uow:
        assert (await uow.session.execute(text(ENDS[end]))).rowcount >= 1  # type: ignore[attr-defined]
        latest = text("SELECT id FROM jobs ORDER BY created_at DESC LIMIT 1")
        job = f"pjb-{(await uow.session.execute(latest)).scalar_one()}"
        await uow.commit()
    path = f"/api/v2/parse/{job}"
    short = await again(http, path, asked)
    assert [("FROM jobs" in one) for one in asked] == [True]
    long = await http.get(path + "?expand=nothing")
    assert (short.status_code, short.content) == (long.status_code, long.content)
    assert short.json()["job"]["id"] == job
    await http.delete(path, params={"force": "true"})
    assert (await again(http, path, asked)).status_code == 404


async def test_tokens_of_both_ways_are_the_same(http: httpx.AsyncClient) -> None:
    batches = [await a_batch(http) for _ in range(4)][::-1]
    params: dict[str, str] = {"page_size": "1"}
    found: list[str] = []
    for way in ({}, {"expand": "x"}, {}, {"expand": "x"}):
        page = (await http.get(BATCHES, params={**params, **way})).json()
        found += [item["id"] for item in page["items"]]
        params["page_token"] = page["next_page_token"]
    assert found == batches
    assert params["page_token"] is None


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{BATCHES}/bat-x", 404),
        (f"{BATCHES}/00000000-0000-7000-8000-000000000000", 404),
        (f"{BATCHES}?page_size=x", 422),
        (f"{BATCHES}?page_size={'9' * 30}", 200),
        (f"{BATCHES}?page_size=0", 200),
        (f"{BATCHES}?page_token=x", 400),
    ],
)
async def test_refusals_are_the_pages(http: httpx.AsyncClient, path: str, status: int) -> None:
    await http.get(BATCHES)
    assert (await http.get(path)).status_code == status


async def test_a_foreign_batch_is_unknown_by_the_short_cut_too(
    http: httpx.AsyncClient, anonymous: httpx.AsyncClient, neighbour: Tenant
) -> None:
    batch = await a_batch(http)
    headers = {"authorization": f"Bearer {neighbour.key}"}
    for _ in range(3):
        assert (await anonymous.get(f"{BATCHES}/{batch}", headers=headers)).status_code == 404
        assert (await anonymous.get(BATCHES, headers=headers)).json()["items"] == []


def statements(asked: list[str]) -> list[str]:
    """Without what asks a connection that rested whether it lives."""
    return [one for one in asked if one not in {"BEGIN", ";"}]


async def test_the_first_get_looks_the_key_up(http: httpx.AsyncClient, asked: list[str]) -> None:
    await http.get(BATCHES)
    found = [("api_keys" in one, "batches" in one) for one in statements(asked)]
    assert found == [(True, False), (False, True)]


async def test_who_writes_is_looked_up_each_time(http: httpx.AsyncClient, asked: list[str]) -> None:
    for _ in range(2):
        asked.clear()
        await http.post(DIRECTORIES, json={"name": "d"})
        assert "BEGIN" in asked
        assert "api_keys" in statements(asked)[0]


async def test_the_bytes_are_what_the_models_say(http: httpx.AsyncClient) -> None:
    batch = await a_batch(http)
    for path, model in ((f"{BATCHES}/{batch}", BatchOut), (BATCHES, PageOf[BatchOut])):
        found = await http.get(path)
        assert found.headers["content-type"] == "application/json"
        assert model.model_validate_json(found.content).model_dump_json().encode() == found.content


def test_every_dependency_is_a_coroutine() -> None:
    """FastAPI sends a plain function to a thread: dearer than all that most of them do."""
    app = create_app(Settings(secret_key="x"))  # type: ignore[arg-type]
    plain = {_name(call) for call in _dependencies(app) if not _waits(call)}
    assert not plain


def _dependencies(app: FastAPI) -> Iterator[Any]:
    seen = 0
    for context in iter_route_contexts(app.routes):
        route = getattr(context, "route", context)
        if not isinstance(route, APIRoute):
            continue
        waiting = list(route.dependant.dependencies)
        while waiting:
            one = waiting.pop()
            waiting += one.dependencies
            seen += 1
            yield one.call
    assert seen > 200


def _waits(call: Any) -> bool:
    code = getattr(call, "__code__", None) or getattr(type(call).__call__, "__code__", None)
    return code is not None and bool(code.co_flags & (0x80 | 0x200))  # a coroutine, or an async generator


def _name(call: Any) -> str:
    return f"{getattr(call, '__module__', '')}.{getattr(call, '__qualname__', call)}"


def test_the_check_of_dependencies_can_fail() -> None:
    def plain(request: Request) -> None: ...

    assert not _waits(plain)
