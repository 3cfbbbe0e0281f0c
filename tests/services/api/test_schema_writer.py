"""Schemas that a model writes: asked over real HTTP, of an endpoint whose words these tests choose."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from shared.config import Extract, Settings
from shared.jobs.result import Page, ResultDocument, encode
from shared.wiring import Resources
from tests.conftest import Tenant

GENERATE = "/api/v2/extract/schema/generate"
CONFIGURATIONS = "/api/v1/beta/configurations"
GOOD = {"type": "object", "properties": {"total": {"type": "number", "description": "amount to pay"}}}
UNUSABLE = {"type": "object", "properties": {"total": {"type": "no such type"}}}


def says(schema: Any, name: str = "invoice") -> tuple[int, dict[str, Any]]:
    """A model that writes this schema."""
    content = json.dumps({"name": name, "data_schema": schema})
    return 200, {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}


class Model:
    """An endpoint that gives the answers in their order, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = [says(GOOD)]
        self.asked: list[dict[str, Any]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                model.asked.append(json.loads(body))
                assert model.may_answer.wait(30)
                status, answer = model.answers.pop(0) if len(model.answers) > 1 else model.answers[0]
                sent = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: Any) -> None:
                """Not to the output of the tests."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def words(self) -> str:
        """All that it was told last."""
        return "\n".join(message["content"] for message in self.asked[-1]["messages"])


@pytest.fixture
def model() -> Iterator[Model]:
    made = Model()
    yield made
    made.may_answer.set()
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def settings(settings: Settings, model: Model) -> Settings:
    """An installation with a model."""
    url = f"http://127.0.0.1:{model.server.server_address[1]}/v1"
    return settings.model_copy(update={"extract": Extract(base_url=url, model="m", side_by_side=1)})


async def test_a_schema_is_written_and_can_be_saved(http: httpx.AsyncClient, model: Model) -> None:
    made = await http.post(GENERATE, json={"prompt": "the total of an invoice"})
    assert made.json() == {
        "name": "invoice",
        "parameters": {"product_type": "extract_v2", "data_schema": GOOD},
    }
    assert (await http.post(CONFIGURATIONS, json=made.json())).status_code == 201
    assert "the total of an invoice" in model.words
    named = await http.post(GENERATE, json={"prompt": "p", "name": "mine", "data_schema": GOOD})
    assert named.json()["name"] == "mine"
    assert "amount to pay" in model.words, "the schema that is to be refined is told"


async def test_one_that_cannot_be_used_is_written_again_with_the_reason(
    http: httpx.AsyncClient, model: Model
) -> None:
    model.answers = [says(UNUSABLE), says(GOOD)]
    made = await http.post(GENERATE, json={"prompt": "p"})
    assert made.json()["parameters"]["data_schema"] == GOOD
    assert (len(model.asked), "no such type" in model.words) == (2, True)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (says(UNUSABLE), 503),
        (says([]), 503),
        (says({"type": "object", "properties": {}}), 503),
        ((200, {"choices": [{"message": {"content": "no JSON"}, "finish_reason": "stop"}]}), 503),
        ((200, {"choices": [{"message": {"content": "{"}, "finish_reason": "length"}]}), 503),
        ((500, {}), 503),
        ((429, {}), 503),
        ((401, {}), 503),
        ((400, {"error": {"message": "maximum context length is 4096 tokens"}}), 400),
        ((400, {"error": {"message": "that is not allowed"}}), 400),
    ],
)
async def test_what_a_model_cannot_do_is_said(
    http: httpx.AsyncClient, model: Model, answer: tuple[int, Any], status: int
) -> None:
    model.answers = [answer]
    refused = await http.post(GENERATE, json={"prompt": "p"})
    assert (refused.status_code, bool(refused.json()["detail"])) == (status, True)


async def test_a_file_is_read_by_the_parse_that_there_is_of_it(
    http: httpx.AsyncClient, model: Model, resources: Resources, tenant: Tenant
) -> None:
    file = (
        await http.post(
            "/api/v1/beta/files", files={"file": ("a.txt", b"Total due: 12.50")}, data={"purpose": "parse"}
        )
    ).json()["id"]
    not_yet = await http.post(GENERATE, json={"file_id": file})
    assert (not_yet.status_code, "not parsed yet" in not_yet.json()["detail"]) == (400, True)
    await a_parse_of_all(resources, tenant, "Total due: 12.50")
    made = await http.post(GENERATE, json={"file_id": file})
    assert (made.status_code, "Total due: 12.50" in model.words) == (200, True)


async def a_parse_of_all(resources: Resources, tenant: Tenant, words: str) -> None:
    """Each file of the project was parsed, and this is in it."""
    key = f"p/{tenant.project_id}/r/one/x.json.zst"
    await resources.storage.put(key, encode(ResultDocument("test", (Page(1, words),))))
    async with resources.unit_of_work() as uow:
        await uow.session.execute(
            text(
                "WITH j AS (INSERT INTO jobs"
                " (project_id, job_type, file_id, name, size_bytes, sha256, config, status,"
                "  finished_at, result_key)"
                " SELECT project_id, 'parse_v2', id, name, size_bytes, sha256, '{}', 'COMPLETED', now(), :k"
                " FROM files WHERE project_id = :p RETURNING id, project_id, sha256)"
                " INSERT INTO reusable_results (project_id, sha256, recipe, kind, job_id)"
                " SELECT project_id, sha256, '\\x00', 'txt', id FROM j"
            ),
            {"p": tenant.project_id, "k": key},
        )
        await uow.commit()


async def test_a_file_of_another_project_is_404(
    http: httpx.AsyncClient, api_url: str, neighbour: Tenant, model: Model
) -> None:
    file = (
        await http.post("/api/v1/beta/files", files={"file": ("a.txt", b"ours")}, data={"purpose": "parse"})
    ).json()["id"]
    theirs = {"authorization": f"Bearer {neighbour.key}"}
    async with httpx.AsyncClient(base_url=api_url, headers=theirs) as stranger:
        refused = await stranger.post(GENERATE, json={"file_id": file})
    assert (refused.status_code, model.asked) == (404, [])


async def test_more_at_once_than_are_allowed_are_429_and_no_transaction_waits(
    http: httpx.AsyncClient, model: Model, resources: Resources
) -> None:
    model.may_answer.clear()
    first = asyncio.create_task(http.post(GENERATE, json={"prompt": "p"}))
    async with asyncio.timeout(20):
        while not model.asked:
            await asyncio.sleep(0.02)
    refused = await http.post(GENERATE, json={"prompt": "q"})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    async with resources.unit_of_work() as uow:
        waiting = await uow.session.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND state = 'idle in transaction'"
            )
        )
        assert waiting.scalar_one() == 0
    model.may_answer.set()
    assert (await first).status_code == 200


async def test_nothing_to_write_from_is_refused(http: httpx.AsyncClient, model: Model) -> None:
    for body in ({}, {"prompt": ""}, {"name": "n"}):
        assert (await http.post(GENERATE, json=body)).status_code == 400
    assert model.asked == []
