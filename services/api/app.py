"""The application: the only place of the API that reads Settings."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI

from services.api import (
    admin,
    batch_events,
    batch_export,
    batch_results,
    batch_steering,
    batches,
    configurations,
    console,
    directories,
    directory_files,
    error_handlers,
    extract,
    extract_schemas,
    files,
    health,
    metrics,
    openapi,
    parse,
    projects,
    reference,
    repeats,
    webhook_configs,
)
from services.api.allowances import Allowance, counters_of
from services.api.dependencies import Door
from services.api.event_hub import Hub
from services.api.export.known import KnownExports
from services.api.free_space import FreeSpace
from services.api.known_keys import KnownKeys
from services.api.middleware import (
    BoundedBodies,
    CountedRequests,
    EmptyQueryValues,
    HeadRequests,
    PacedBodies,
    RequestIds,
)
from services.api.plain_text import only_text
from services.api.request_limits import RequestLimits
from services.api.schema_writer import SchemaWriter
from services.api.signing import Signer
from services.api.storage_gate import StorageGate
from services.api.wrong_keys import WrongKeys
from shared import __version__, telemetry
from shared.chat.endpoint import Endpoint
from shared.config import Extract, Settings
from shared.db import migrations
from shared.metrics import HttpRequests, Numbers
from shared.queue.messages import TaskQueue
from shared.wiring import open_gate, open_resources

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
# A request tries them one by one: those that come most often are first.
PAGES = (
    batches,
    parse,
    extract,
    extract_schemas,
    health,
    metrics,
    projects,
    files,
    directories,
    directory_files,
    configurations,
    webhook_configs,
    batch_results,
    batch_events,
    batch_export,
    batch_steering,
    admin,
)


def create_app(settings: Settings | None = None, *, queue: TaskQueue | None = None) -> FastAPI:
    """The API over `settings`, or over the environment's when left out (as a server's factory).

    It starts without its database: requests answer 503 until that is there. It does not start when its
    storage is not the database's (`OtherStorage`). `queue` stands in for the broker in tests.
    """
    if settings is None:
        settings = Settings()
        telemetry.set_up(json=settings.log_json)
        # Its warnings say of a form that a stranger sent what the answer says to the stranger.
        logging.getLogger("python_multipart").setLevel(logging.ERROR)
    app = FastAPI(
        title="Batchmill",
        version=__version__,
        lifespan=_lifespan(settings, queue),
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(only_text)],
    )
    app.state.wrong_keys = WrongKeys()
    app.state.known_keys = KnownKeys()
    app.state.exports = KnownExports()
    app.state.requests = HttpRequests()
    _surround(app, with_console=settings.console.enabled)
    error_handlers.install(app)
    repeats.install(app)
    for page in PAGES:
        app.include_router(page.router)
    if settings.console.enabled:
        console.install(app)
    reference.install(app)
    _describe(app)
    return app


def _surround(app: FastAPI, *, with_console: bool) -> None:
    # The last one added is the outermost.
    app.add_middleware(EmptyQueryValues)
    app.add_middleware(BoundedBodies)
    app.add_middleware(PacedBodies)
    app.add_middleware(RequestIds)
    if with_console:
        app.add_middleware(console.ConsoleAnswers)
    app.add_middleware(CountedRequests, requests=app.state.requests)
    app.add_middleware(HeadRequests)


def _describe(app: FastAPI) -> None:
    """Let the OpenAPI document say what FastAPI does not know of it; made once."""
    made = app.openapi

    def described() -> dict[str, Any]:
        document = made()
        if openapi.PROBLEM not in document["components"]["schemas"]:
            openapi.complete(document)
        return document

    app.openapi = described  # type: ignore[method-assign]


def _lifespan(settings: Settings, queue: TaskQueue | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        resources = open_resources(settings, name="api", queue=queue)
        gate = StorageGate(resources)
        app.state.door = Door(
            resources=resources,
            gate=gate,
            space=FreeSpace(resources.storage.free_bytes, settings.storage.min_free_bytes),
            signer=Signer(settings.signing_key()),
            public_url=settings.api.public_url,
            max_upload_bytes=settings.api.max_upload_bytes,
            webhooks=open_gate(settings),
        )
        app.state.request_limits = limits = _request_limits(settings, app.state.requests)
        app.state.schema_writer = writer = _schema_writer(settings.extract)
        app.state.hub = hub = Hub(
            resources.reader, most=settings.api.listeners, most_per_key=settings.api.listeners_per_key
        )
        app.state.requests.count_listeners(lambda: hub.listeners)
        app.state.revision = migrations.head()
        app.state.numbers = Numbers(resources.unit_of_work)
        try:
            await gate.knock()
            yield
        finally:
            await hub.stop()
            await gate.close()
            await limits.close()
            if writer is not None:
                await writer.close()
            await resources.close()

    return lifespan


def _schema_writer(extract: Extract) -> SchemaWriter | None:
    """None where no model is configured. `MissingSetting` where it is by half."""
    if extract.chosen_engine() != "openai":
        return None
    base_url, model = extract.endpoint()
    key = None if extract.api_key is None else extract.api_key.get_secret_value()
    endpoint = Endpoint(base_url, api_key=key, model=model, timeout_s=extract.timeout_s)
    return SchemaWriter(endpoint, max_tokens=extract.max_tokens, at_once=extract.side_by_side)


def _request_limits(settings: Settings, requests: HttpRequests) -> RequestLimits:
    per_minute = settings.api.requests_per_minute
    default = None if per_minute is None else Allowance(per_minute, settings.api.request_burst or per_minute)
    return RequestLimits(counters_of(settings.broker_url()), default, requests)
