"""The parts of the product's stack, each a command line: neither the API nor the worker is imported here."""

import asyncio
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

from services.local.data_dir import DataDir
from services.local.processes import Part
from services.local.stale import READY_FILE

MIGRATE_TIMEOUT_S = 600.0
WORKER_STOP = ((signal.SIGTERM, 10.0),)
"""More than a worker needs to give back what it runs; one that is killed leaves it to the leases instead."""


@dataclass(frozen=True)
class Site:
    """What the parts need to know. `env` is whole: a part gets it and nothing else."""

    data: DataDir
    host: str
    port: int
    base_url: str
    concurrency: int
    env: Mapping[str, str]


@dataclass(frozen=True)
class StackParts:
    """`migrate` runs to its end first; then the others start side by side."""

    migrate: Part | None
    services: tuple[Part, ...]


def product_parts(site: Site) -> StackParts:
    """Migrations, then api, orchestrate, worker and upkeep."""
    worker = ("worker", "--queues")
    return StackParts(
        migrate=_part(site, "migrate", "migrate", ready_timeout_s=MIGRATE_TIMEOUT_S),
        services=(
            api_part(site, _part(site, "api", "api", "--host", site.host, "--port", str(site.port))),
            ready_by_file(site, _part(site, "orchestrate", *worker, "orchestrate", "--concurrency", "1")),
            ready_by_file(
                site, _part(site, "worker", *worker, "parse,extract", "--concurrency", str(site.concurrency))
            ),
            ready_by_file(site, _part(site, "upkeep", "upkeep")),
        ),
    )


def ready_by_file(site: Site, part: Part) -> Part:
    """The part, told by BATCHMILL_READY_FILE to touch a file when it serves."""
    path = site.data.path / "ready" / part.name

    async def prepare() -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)

    async def ready() -> bool:
        return path.exists()

    env = {**site.env, READY_FILE: str(path)}
    return replace(part, env=env, prepare=prepare, ready=ready, stop_steps=WORKER_STOP)


def api_part(site: Site, part: Part) -> Part:
    """The part, ready when GET /health answers 200."""

    async def ready() -> bool:
        return await is_healthy(site.base_url)

    return replace(part, ready=ready)


async def is_healthy(base_url: str) -> bool:
    """Whether GET /health answers 200 within 2 s. Never asks a proxy."""
    return await asyncio.to_thread(_is_healthy, base_url)


def _is_healthy(base_url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{base_url}/health", timeout=2) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def _part(site: Site, name: str, *arguments: str, ready_timeout_s: float = 60.0) -> Part:
    return Part(
        name=name,
        argv=(sys.executable, "-m", "services.cli", *arguments),
        log_file=site.data.log_file(name),
        env=site.env,
        cwd=Path.cwd(),
        ready_timeout_s=ready_timeout_s,
    )


def environment(
    data: DataDir, *, database_url: str, broker_url: str, base_url: str, roots: Sequence[str] = ()
) -> dict[str, str]:
    """This process's environment with the stack's addresses, and `roots` if there are any.

    What the caller chose (storage, public URL, key) stays.
    """
    chosen = {
        "BATCHMILL_STORAGE__URL": (data.path.resolve() / "storage").as_uri(),
        "BATCHMILL_API__PUBLIC_URL": base_url,
        "BATCHMILL_SECRET_KEY": "",
        # Logs are read while they are written; and a folder `shared` of the caller must not shadow ours.
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
    }
    chosen.update((name, value) for name, value in os.environ.items() if value or name not in chosen)
    chosen["BATCHMILL_SECRET_KEY"] = chosen["BATCHMILL_SECRET_KEY"] or data.secret_key()
    chosen["BATCHMILL_DATA_DIR"] = str(data.path)
    chosen["BATCHMILL_DATABASE__URL"] = database_url
    chosen["BATCHMILL_BROKER__URL"] = broker_url
    if roots:
        chosen["BATCHMILL_STORAGE__ROOTS"] = json.dumps(list(roots))
    return chosen
