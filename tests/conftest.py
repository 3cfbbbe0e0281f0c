"""Servers for the session, a database for each test, and the API as a caller meets it.

Which servers: those named by `BATCHMILL_TEST_DATABASE_URL` and `BATCHMILL_TEST_BROKER_URL`; else containers
when Docker answers; else the embedded ones of `services.local`.
"""

import asyncio
import gc
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import hypothesis
import pytest
import uvicorn
from llama_cloud import AsyncLlamaCloud, LlamaCloud
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from uvicorn.config import HTTPProtocolType

from services.api.app import create_app
from services.api.listening import OPTIONS
from services.local.postgres import EmbeddedPostgres
from services.local.valkey import EmbeddedValkey
from shared import telemetry
from shared.config import Database, Settings, Storage
from shared.db import migrations
from shared.db.engine import open_engine
from shared.db.unit_of_work import UnitOfWork
from shared.projects import service as project_service
from shared.tables import metadata
from shared.wiring import Resources, open_resources
from tests.files_at_once import LongOnesAside
from tests.listening_socket import listening_socket
from tests.patience import GIVES_UP_S
from tests.prepared_routes import prepare
from tests.twins import HeardBells

# How long an example may take is a matter of the machine.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

NO_BROKER = "redis://127.0.0.1:1/0"


def pytest_configure() -> None:
    """Log as a process does, and let clients share what they read at their start."""
    # Unset, structlog draws every traceback with all its locals, in seconds.
    telemetry.set_up()
    # A client reads all authorities of the web for it, which takes longer than most of what it is then asked.
    vars(httpx._transports.default)["create_ssl_context"] = cache(httpx.create_ssl_context)


def pytest_collection_finish() -> None:
    """What collecting has made stays to the end: to look through it again and again finds nothing."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LongOnesAside | None:
    """Hand out files in an order of ours, where `--dist loadfile` is asked for."""
    return LongOnesAside(config, log) if config.getvalue("dist") == "loadfile" else None


def docker_answers() -> bool:
    """Is there a Docker daemon to ask for containers?"""
    try:
        return (
            subprocess.run(["docker", "version"], capture_output=True, timeout=5, check=False).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def at(server: str, database: str) -> str:
    """The URL of a database on a server."""
    return make_url(server).set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
async def database_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of a PostgreSQL whose user may make databases."""
    if given := os.environ.get("BATCHMILL_TEST_DATABASE_URL"):
        yield given
        return
    async with AsyncExitStack() as stack:
        if docker_answers():
            from testcontainers.postgres import PostgresContainer

            container = stack.enter_context(PostgresContainer("postgres:18-alpine", driver="asyncpg"))
            url = container.get_connection_url()
        else:
            server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False)
            await server.start()
            stack.push_async_callback(server.stop)
            url = server.url("postgres")
        yield url


@pytest.fixture(scope="session")
async def broker_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of a broker, as Celery wants it."""
    if given := os.environ.get("BATCHMILL_TEST_BROKER_URL"):
        yield given
        return
    async with AsyncExitStack() as stack:
        if docker_answers():
            from testcontainers.redis import RedisContainer

            container = stack.enter_context(RedisContainer("valkey/valkey:8-alpine"))
            url = f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
        else:
            server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
            await server.start()
            stack.push_async_callback(server.stop)
            url = server.url
        yield url


async def run_alone(server: str, statement: str) -> None:
    """A statement on databases, which must stand in no transaction."""
    engine = open_engine(server, name="tests", pooled=False)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text(statement))
    await engine.dispose()


@pytest.fixture
async def unmigrated(database_server: str) -> AsyncIterator[str]:
    """The URL of a database without a table in it."""
    name = f"test_{uuid4().hex}"
    await run_alone(database_server, f"CREATE DATABASE {name}")
    yield at(database_server, name)
    await run_alone(database_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def migrated(database_server: str) -> AsyncIterator[str]:
    """The URL of a migrated database of this session alone."""
    name = f"test_{uuid4().hex}"
    await run_alone(database_server, f"CREATE DATABASE {name}")
    engine = open_engine(at(database_server, name), name="tests", pooled=False)
    await migrations.upgrade(engine)
    await engine.dispose()
    yield at(database_server, name)
    await run_alone(database_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def emptying(migrated: str) -> AsyncIterator[AsyncEngine]:
    """A connection kept for the emptying between two tests."""
    engine = open_engine(migrated, name="emptying", pool_size=1)
    yield engine
    await engine.dispose()


# A database of its own for each test costs half a second on a busy machine, rows to delete a few ms.
EMPTY = f"""
DO $$ BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend';
  {" ".join(f"DELETE FROM {table.name};" for table in reversed(metadata.sorted_tables))}
END $$
"""  # noqa: S608 - the names are those of our tables


@pytest.fixture
async def database_url(migrated: str, emptying: AsyncEngine) -> str:
    """A migrated, empty database; whoever a test before this one left in it is thrown out."""
    async with emptying.connect() as connection:
        await connection.execute(text(EMPTY))
        await connection.commit()
    return migrated


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Over this test's database and folder; there is no broker behind it, `bells` stands in."""
    return Settings.model_validate(
        {
            "data_dir": tmp_path / "data",
            "secret_key": "a key of tests",
            "database": Database.model_validate({"url": database_url, "pool_size": 5}),
            "broker": {"url": NO_BROKER},
            "storage": Storage(url=(tmp_path / "blobs").as_uri()),
        }
    )


@pytest.fixture
def bells() -> HeardBells:
    """What was rung in this test."""
    return HeardBells()


@pytest.fixture
async def resources(settings: Settings, bells: HeardBells) -> AsyncIterator[Resources]:
    """What a process stands on, with `bells` for a broker."""
    opened = open_resources(settings, name="tests", queue=bells)
    yield opened
    await opened.close()


@pytest.fixture
async def uow(resources: Resources) -> AsyncIterator[UnitOfWork]:
    """An open unit of work; what it does not commit is gone after the test."""
    async with resources.unit_of_work() as unit:
        yield unit


@dataclass(frozen=True, slots=True)
class Tenant:
    """A project and a key that opens it."""

    project_id: UUID
    key: str


async def make_tenant(resources: Resources, name: str) -> Tenant:
    """A project of its own organisation, and its key."""
    async with resources.unit_of_work() as unit:
        organization = await project_service.create_organization(unit, name)
        project = await project_service.create_project(unit, organization.id, name)
        key, _ = await project_service.create_key(unit, project_id=project.id, name=name)
        await unit.commit()
    return Tenant(project.id, key)


@pytest.fixture
async def tenant(resources: Resources) -> Tenant:
    """The project that `client` works in."""
    return await make_tenant(resources, "ours")


@pytest.fixture
async def neighbour(resources: Resources) -> Tenant:
    """Somebody else."""
    return await make_tenant(resources, "theirs")


@pytest.fixture
async def operator_key(resources: Resources) -> str:
    """A key that opens every project."""
    async with resources.unit_of_work() as unit:
        key, _ = await project_service.create_key(unit, project_id=None, name="operator")
        await unit.commit()
    return key


class Server:
    """An application on a real port, served by uvicorn from a thread with a loop of its own."""

    def __init__(
        self, settings: Settings, bells: HeardBells, *, http: HTTPProtocolType | None = None
    ) -> None:
        self._socket = listening_socket()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        app = prepare(create_app(settings, queue=bells))
        options = {**OPTIONS, "http": http or OPTIONS["http"]}
        self._server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=2, **options))
        self._thread = threading.Thread(target=self._serve, name="api", daemon=True)

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    async def start(self) -> None:
        """Answers when it serves."""
        self._thread.start()
        async with asyncio.timeout(GIVES_UP_S):
            while not self._server.started:
                if not self._thread.is_alive():
                    raise RuntimeError("the API ended before it served")
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Ends it; a request that still runs gets two seconds."""
        self._server.should_exit = True
        await asyncio.to_thread(self._thread.join, 10)
        self._socket.close()


@pytest.fixture
async def api_url(settings: Settings, bells: HeardBells) -> AsyncIterator[str]:
    """The base URL of a running API over this test's database."""
    server = Server(settings, bells)
    await server.start()
    yield server.url
    await server.stop()


@pytest.fixture
def client(api_url: str, tenant: Tenant) -> Iterator[LlamaCloud]:
    """The official client as it comes, but that it gives up at once: a retry would hide a fault."""
    with LlamaCloud(api_key=tenant.key, base_url=api_url, max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(api_url: str, tenant: Tenant) -> AsyncIterator[AsyncLlamaCloud]:
    """The same, asynchronous."""
    async with AsyncLlamaCloud(api_key=tenant.key, base_url=api_url, max_retries=0) as made:
        yield made


@pytest.fixture
def stranger(api_url: str, neighbour: Tenant) -> Iterator[LlamaCloud]:
    """The client of another project on the same server."""
    with LlamaCloud(api_key=neighbour.key, base_url=api_url, max_retries=0) as made:
        yield made
