"""`batchmill configurations import`: from a server of ours, and from one with the upstream's shapes."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from llama_cloud import LlamaCloud
from sqlalchemy import text

from shared.config import Settings
from shared.wiring import Resources
from tests.conftest import Tenant
from tests.patience import GIVES_UP_S

FAST = {"product_type": "parse_v2", "tier": "fast", "version": "latest"}
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}}
BASE = "/api/v1/beta/configurations"
SOURCE_KEY = "a key that nobody may see"

Run = Callable[..., subprocess.CompletedProcess[str]]


def cfg() -> str:
    return f"cfg-{uuid4()}"


def made(name: str, parameters: dict[str, Any], version: str = "2026-05-01T08:00:00Z", **more: Any) -> Any:
    return {
        "id": cfg(),
        "name": name,
        "product_type": parameters["product_type"],
        "version": version,
        "parameters": parameters,
        "created_at": "2026-04-01T08:00:00Z",
        "updated_at": version,
        **more,
    }


class Upstream:
    """Lists what it is given, two a page, and remembers what it was asked."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.asked: list[dict[str, list[str]]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, answer = outer.answer(self.path, self.headers.get("authorization", ""))
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, authorization: str) -> tuple[int, Any]:
        parts = urlsplit(path)
        query = parse_qs(parts.query)
        self.asked.append(query)
        if self.status != 200:
            return self.status, {"detail": "not now"}
        if authorization != f"Bearer {SOURCE_KEY}":
            return 401, {"detail": "Invalid API key"}
        assert parts.path == BASE
        start = int(query.get("page_token", ["0"])[0])
        named = [one for one in self.items if query.get("name", [one.get("name")]) == [one.get("name")]]
        end = start + 2
        token = str(end) if end < len(named) else None
        return 200, {"items": named[start:end], "next_page_token": token, "total_size": None}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def run(settings: Settings, api_url: str, operator_key: str, tenant: Tenant, tmp_path: Path) -> Run:
    """The import into our tenant's project."""
    outside = ("BATCHMILL_", "LLAMA_CLOUD_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(outside)} | {
        "LLAMA_CLOUD_BASE_URL": api_url,
        "BATCHMILL_OPERATOR_KEY": operator_key,
        "BATCHMILL_IMPORT_KEY": SOURCE_KEY,
    }

    def take(*arguments: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.cli", "configurations", "import", "--json"]
        done = subprocess.run(
            [*command, "--project", f"prj-{tenant.project_id}", *arguments],
            cwd=tmp_path,
            env={**env, **more},
            capture_output=True,
            text=True,
            timeout=GIVES_UP_S,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert SOURCE_KEY not in done.stdout + done.stderr
        return done

    return take


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {one["id"]: one["outcome"] for one in json.loads(done.stdout)}


def reasons(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {one["id"]: one["reason"] for one in json.loads(done.stdout)}


async def test_all_come_over_with_ids_versions_and_what_we_do_not_run(
    upstream: Upstream, run: Run, client: LlamaCloud, resources: Resources
) -> None:
    parse = made("invoices", FAST)
    extract = made(
        "totals",
        {
            "product_type": "extract_v2",
            "data_schema": SCHEMA,
            "parse_config_id": parse["id"],
            "odd": {"kept": 1},
        },
        "2026-04-30T08:00:00+00:00",
    )
    split = made("parts", {"product_type": "split_v1", "categories": [{"name": "a", "description": "b"}]})
    upstream.items = [extract, split, parse]
    tried = run("--from-url", upstream.url, "--dry-run")
    assert set(outcomes(tried).values()) == {"imported"}
    assert client.configurations.list().items == []
    done = run("--from-url", upstream.url)
    assert outcomes(done) == {one["id"]: "imported" for one in upstream.items}
    assert "3 imported" in done.stderr
    assert upstream.asked[0]["latest_only"] == ["false"]
    for one in upstream.items:
        found = client.configurations.retrieve(one["id"])
        assert (found.id, found.name, found.product_type) == (one["id"], one["name"], one["product_type"])
        assert found.version.replace("+00:00", "Z") == one["version"].replace("+00:00", "Z")
        assert found.created_at is not None
        assert found.created_at.isoformat() == "2026-04-01T08:00:00+00:00"
        kept = found.to_dict()["parameters"]
        assert isinstance(kept, dict)
        assert one["parameters"].items() <= kept.items()
    again = run("--from-url", upstream.url)
    assert set(outcomes(again).values()) == {"unchanged"}
    assert len(client.configurations.list().items) == 3
    directory = client.beta.directories.create(name="d")
    batch = client.batches.create(
        source_directory_id=directory.id,
        config={"job": {"type": "extract_v2", "configuration_id": extract["id"]}},
    )
    assert batch.config.job.configuration_id == extract["id"]
    async with resources.unit_of_work() as uow:
        rows = await uow.session.execute(
            text("SELECT target FROM audit_events WHERE action = 'configuration.import'")
        )
        assert set(rows.scalars()) == {one["id"] for one in upstream.items}


async def test_older_versions_are_found_by_id_and_the_name_is_the_newest_one(
    upstream: Upstream, run: Run, client: LlamaCloud
) -> None:
    slow = {**FAST, "tier": "cost_effective"}
    third = made("n", FAST, "2026-03-01T00:00:00Z")
    first = made("n", slow, "2026-01-01T00:00:00Z")
    second = made("n", {**slow, "tier": "agentic"}, "2026-02-01T00:00:00Z")
    upstream.items = [third, second, first]
    assert set(outcomes(run("--from-url", upstream.url)).values()) == {"imported"}
    tiers = [
        client.configurations.retrieve(one["id"]).to_dict()["parameters"] for one in (first, second, third)
    ]
    assert [one["tier"] for one in tiers] == ["cost_effective", "agentic", "fast"]  # type: ignore[index]
    assert [one.id for one in client.configurations.list(latest_only=True).items] == [third["id"]]
    assert len(client.configurations.list().items) == 3
    # Saving under the name means the newest, as before.
    saved = client.configurations.create(name="n", parameters=slow)  # type: ignore[arg-type]
    assert saved.id == third["id"]
    assert client.configurations.retrieve(first["id"]).version.startswith("2026-01-01")
    # A newer one there takes the name over; the one that was changed here keeps what it has, and says so.
    fourth = made("n", FAST, "2030-01-01T00:00:00Z")
    upstream.items.append(fourth)
    done = run("--from-url", upstream.url, code=1)
    assert outcomes(done)[third["id"]] == "kept"
    assert "changed here" in reasons(done)[third["id"]]
    assert outcomes(done)[fourth["id"]] == "refused"
    assert third["id"] in reasons(done)[fourth["id"]]


async def test_a_newer_version_there_updates_and_a_local_end_stays(
    upstream: Upstream, run: Run, client: LlamaCloud
) -> None:
    one, other = made("one", FAST), made("other", FAST)
    upstream.items = [one, other]
    run("--from-url", upstream.url)
    client.configurations.delete(other["id"])
    one |= {"version": "2026-06-01T08:00:00Z", "parameters": {**FAST, "tier": "agentic"}, "name": "renamed"}
    assert outcomes(run("--from-url", upstream.url, "--dry-run"))[one["id"]] == "updated"
    assert client.configurations.retrieve(one["id"]).name == "one"
    done = run("--from-url", upstream.url)
    assert outcomes(done) == {one["id"]: "updated", other["id"]: "kept"}
    found = client.configurations.retrieve(one["id"])
    assert (found.name, found.version) == ("renamed", "2026-06-01T08:00:00+00:00")
    assert set(outcomes(run("--from-url", upstream.url)).values()) == {"unchanged", "kept"}
    # The same id in several versions: its newest counts.
    upstream.items = [{**one, "version": "2026-01-01T00:00:00Z", "name": "old"}, one]
    assert outcomes(run("--from-url", upstream.url)) == {one["id"]: "unchanged"}


async def test_what_is_refused_is_told_and_the_rest_comes(
    upstream: Upstream, run: Run, client: LlamaCloud, stranger: LlamaCloud, operator_key: str
) -> None:
    bad = made("bad", {**FAST, "unheard_of": True})
    schema = made("schema", {"product_type": "extract_v2", "data_schema": {"type": "string"}})
    missing = made("missing", {"product_type": "extract_v2", "data_schema": SCHEMA, "parse_config_id": cfg()})
    named = made("taken", FAST)
    odd = made("odd", FAST, id="cfg-not a uuid/../x")
    good = made("good", FAST)
    nameless = {"id": cfg(), "product_type": "parse_v2"}
    theirs = made("theirs", FAST)
    upstream.items = [bad, schema, missing, named, odd, nameless, good, theirs]
    own = client.configurations.create(name="taken", parameters=FAST)  # type: ignore[arg-type]
    other = stranger.beta.directories.create(name="d").project_id
    assert outcomes(run("--from-url", upstream.url, "--name", "theirs", "--project", str(other))) == {
        theirs["id"]: "imported"
    }
    done = run("--from-url", upstream.url, code=1)
    told = reasons(done)
    assert {key for key, one in outcomes(done).items() if one == "imported"} == {good["id"]}
    assert "unheard_of" in told[bad["id"]]
    assert "schema_validation" in told[schema["id"]]
    assert "configuration" in told[missing["id"]]
    assert own.id in told[named["id"]]
    assert "another project" in told[theirs["id"]]
    assert "UUID" in told[odd["id"]]
    assert "name" in told[nameless["id"]]
    assert "1 imported" in done.stderr
    assert "7 refused" in done.stderr
    assert [one.id for one in stranger.configurations.list().items] == [theirs["id"]]


async def test_a_server_that_refuses_or_is_away(upstream: Upstream, run: Run) -> None:
    refused = run("--from-url", upstream.url, code=1, BATCHMILL_IMPORT_KEY="another")
    assert "--from-url refused (401): Invalid API key" in refused.stderr
    away = run("--from-url", "http://127.0.0.1:1", code=4)
    assert "--from-url does not answer" in away.stderr
    none = run("--from-url", upstream.url)
    assert json.loads(none.stdout) == []


@pytest.fixture
async def second(settings: Settings, tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """Another server of ours: its base URL and the key of a project there."""
    from shared.config import Database, Storage
    from shared.db import migrations
    from shared.db.engine import open_engine
    from shared.wiring import open_resources
    from tests.conftest import Server, at, make_tenant, run_alone
    from tests.twins import HeardBells

    name = f"test_{uuid4().hex}"
    server = settings.database_url()
    await run_alone(server, f"CREATE DATABASE {name}")
    url = at(server, name)
    engine = open_engine(url, name="tests", pooled=False)
    await migrations.upgrade(engine)
    await engine.dispose()
    given = settings.model_copy(
        update={
            "database": Database.model_validate({"url": url, "pool_size": 5}),
            "storage": Storage(url=(tmp_path / "second").as_uri()),
        }
    )
    resources = open_resources(given, name="tests", queue=HeardBells())
    there = await make_tenant(resources, "there")
    await resources.close()
    running = Server(given, HeardBells())
    await running.start()
    yield running.url, there.key
    await running.stop()
    await run_alone(server, f"DROP DATABASE {name} WITH (FORCE)")


async def test_from_a_second_server_of_ours(second: tuple[str, str], run: Run, client: LlamaCloud) -> None:
    url, key = second
    with LlamaCloud(base_url=url, api_key=key, max_retries=0) as there:
        made = [
            there.configurations.create(name=f"n{number}", parameters=parameters)  # type: ignore[arg-type]
            for number, parameters in enumerate(
                [
                    FAST,
                    {"product_type": "extract_v2", "data_schema": SCHEMA, "cite_sources": True},
                    {"product_type": "classify_v2", "rules": [{"type": "a", "description": "b"}]},
                ]
            )
        ]
        source = {one["id"]: one for one in raw(there)}
    done = run("--from-url", url, BATCHMILL_IMPORT_KEY=key)
    assert outcomes(done) == {one.id: "imported" for one in made}
    assert {one["id"]: one for one in raw(client)} == source
    assert set(outcomes(run("--from-url", url, BATCHMILL_IMPORT_KEY=key)).values()) == {"unchanged"}


def raw(client: LlamaCloud) -> list[Any]:
    answer = httpx.get(
        f"{str(client.base_url).rstrip('/')}{BASE}", headers={"authorization": f"Bearer {client.api_key}"}
    )
    return list(answer.json()["items"])
