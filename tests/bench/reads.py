"""What a GET costs when a million batches are in the table, beside the same SELECT by asyncpg behind FastAPI.

    python -m tests.bench.reads --batches 1000000 --rounds 7 --seconds 3

One PostgreSQL, and two servers of one process each with the same options of uvicorn: ours, and `bare`. For
each question the rounds are interleaved (bare, ours, bare, ours ...), so that a slow minute of the machine
meets both alike; a ratio is of the two rounds beside each other, and what is told is the median of the
ratios with the least and the greatest. `--folder` keeps the database for the next time; `--json` names a file
for the figures.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr
from sqlalchemy import text

from services.local.postgres import EmbeddedPostgres
from shared.config import Settings
from shared.db import migrations
from shared.ids import Kind, show
from shared.wiring import open_resources
from tests.bench.load import Measured, measure, request
from tests.bench.many_batches import Tenants, fill

NO_BROKER: Final = "redis://127.0.0.1:1/0"
TARGET: Final = 0.5
PAGE: Final = 50
ASKED_AT_RANDOM: Final = 5_000

OURS: Final = (
    "import uvicorn; from services.api.listening import OPTIONS;"
    " uvicorn.run('services.api.app:create_app', factory=True, port={port}, **OPTIONS)"
)
BARE: Final = (
    "import uvicorn; from services.api.listening import OPTIONS;"
    " uvicorn.run('tests.bench.bare:create_app', factory=True, port={port}, **OPTIONS)"
)


Servers = tuple[tuple[int, int], tuple[int, int]]
"""Ours and bare: the port and the process."""


@dataclass(frozen=True, slots=True)
class Question:
    """The same asked of both: requests as bytes, taken in turn."""

    name: str
    ours: Sequence[bytes]
    bare: Sequence[bytes]
    target: float | None = None


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def serving(program: str, port: int, env: dict[str, str]) -> Iterator[int]:
    """A server of one process, which is told, until the end of the block."""
    process = subprocess.Popen([sys.executable, "-c", program.format(port=port)], env=env)
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("a server did not start")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def settings_for(folder: Path, url: str) -> Settings:
    """Of our server; no broker is behind it, for nothing is created."""
    return Settings.model_validate(
        {
            "data_dir": folder / "server",
            "secret_key": "a key of the bench",
            "database": {"url": SecretStr(url)},
            "broker": {"url": NO_BROKER},
            "storage": {"url": (folder / "blobs").as_uri()},
        }
    )


async def filled(folder: Path, url: str, batches: int) -> tuple[Tenants, list[str]]:
    """The tenants, and ids of batches drawn at random. What a kept folder holds already is used again."""
    note = folder / f"tenants-{batches}.json"
    resources = open_resources(settings_for(folder, url), name="bench")
    try:
        await migrations.upgrade(resources.engine)
        if not note.exists():
            started = time.monotonic()
            tenants = await fill(resources, batches)
            print(f"{batches:,} batches were put there in {time.monotonic() - started:.0f} s", flush=True)
            note.write_text(json.dumps(asdict(tenants), default=str))
        tenants = Tenants(**json.loads(note.read_text()))
        async with resources.engine.connect() as connection:
            found = await connection.execute(
                text("SELECT id FROM batches WHERE project_id = :p"), {"p": tenants.projects[0]}
            )
            drawn = random.Random(7).choices(list(found.scalars()), k=ASKED_AT_RANDOM)
    finally:
        await resources.close()
    return tenants, [str(one) for one in drawn]


def page_before(client: httpx.Client, depth: int) -> tuple[str | None, str | None]:
    """Our token for the page after `depth` rows of the list, and the id of the row before that page. Read as
    a client reads it, page after page of 1,000."""
    token, last, left = None, None, depth
    while left > 0:
        size = min(1_000, left)
        params = {"page_size": str(size), **({"page_token": token} if token else {})}
        page = client.get("/api/v2/batches", params=params).raise_for_status().json()
        token, last, left = page["next_page_token"], page["items"][-1]["id"], left - size
        if token is None:
            raise SystemExit(f"the list ends before {depth:,} rows")
    return token, last


def questions(client: httpx.Client, tenants: Tenants, drawn: list[str], deep: int) -> list[Question]:
    """What is asked: GET by id, the first page, and page `deep`."""
    key, project = tenants.key, tenants.projects[0]
    token, last = page_before(client, (deep - 1) * PAGE)
    first = f"/batches?project_id={project}&size={PAGE}"
    bare_id = "" if last is None else f"&after={last.removeprefix('bat-')}"
    ours_token = "" if token is None else f"&page_token={token}"
    return [
        Question(
            "GET by id",
            [request(f"/api/v2/batches/{show(Kind.BATCH, one)}", key) for one in drawn],  # type: ignore[arg-type]
            [request(f"/batches/{one}", None) for one in drawn],
            TARGET,
        ),
        Question("page 1", [request(f"/api/v2/batches?page_size={PAGE}", key)], [request(first, None)]),
        Question(
            f"page {deep:,}",
            [request(f"/api/v2/batches?page_size={PAGE}{ours_token}", key)],
            [request(first + bare_id, None)],
        ),
    ]


def ask(question: Question, servers: Servers, options: argparse.Namespace) -> dict[str, Any]:
    """All rounds of one question, and what they say."""
    ours: list[Measured] = []
    bare: list[Measured] = []
    for _ in range(options.rounds):
        for (port, server), requests, into in (
            (servers[1], question.bare, bare),
            (servers[0], question.ours, ours),
        ):
            one = measure(
                port, requests, server=server, connections=options.connections, seconds=options.seconds
            )
            into.append(one)
    ratios = [mine.per_second / other.per_second for mine, other in zip(ours, bare, strict=True)]
    value = statistics.median(ratios)
    told = {
        "name": f"reads: {question.name}, requests/s as a part of bare",
        "value": round(value, 3),
        "unit": "ratio",
        "target": question.target,
        "met": None if question.target is None else value >= question.target,
        "runs": [round(one, 3) for one in ratios],
        "conditions": {
            "ours": [asdict(one) for one in ours],
            "bare": [asdict(one) for one in bare],
            "batches": options.batches,
            "connections": options.connections,
            "seconds": options.seconds,
            "cores": os.cpu_count(),
        },
    }
    print(f"{question.name}: ratio {value:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    for name, runs in (("bare", bare), ("ours", ours)):
        print("  " + _line(name, runs), flush=True)
    return told


def _line(name: str, runs: Sequence[Measured]) -> str:
    rates = [one.per_second for one in runs]
    p50, p95, client, server = (
        statistics.median(pick)
        for pick in zip(*((m.p50_ms, m.p95_ms, m.client_share, m.server_us) for m in runs), strict=True)
    )
    return (
        f"{name}: {statistics.median(rates):,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f}),"
        f" p50 {p50:.1f} ms, p95 {p95:.1f} ms, {server:,.0f} us of the server an answer,"
        f" client {client:.0%} of a core"
    )


def run(folder: Path, host: str, url: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Fill, serve, ask."""
    tenants, drawn = asyncio.run(filled(folder, url, options.batches))
    ports = free_port(), free_port()
    env = {**os.environ, "BENCH_POOL": str(options.pool)}
    env["BENCH_DATABASE"] = json.dumps({"host": host, "user": "postgres", "database": "batchmill"})
    env |= {
        "BATCHMILL_DATABASE__URL": url,
        "BATCHMILL_DATABASE__POOL_SIZE": str(options.pool),
        "BATCHMILL_BROKER__URL": NO_BROKER,
        "BATCHMILL_STORAGE__URL": (folder / "blobs").as_uri(),
        "BATCHMILL_DATA_DIR": str(folder / "server"),
        "BATCHMILL_SECRET_KEY": "a key of the bench",
    }
    with serving(OURS, ports[0], env) as ours, serving(BARE, ports[1], env) as bare:
        headers = {"authorization": f"Bearer {tenants.key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{ports[0]}", headers=headers, timeout=60) as client:
            every = questions(client, tenants, drawn, options.page)
        print(
            f"{options.batches:,} batches, {options.connections} connections, a pool of {options.pool},"
            f" {options.rounds} rounds of {options.seconds} s, {os.cpu_count()} cores, which the servers,"
            " PostgreSQL and the client share; median (least to greatest)"
        )
        servers = (ports[0], ours), (ports[1], bare)
        return [ask(one, servers, options) for one in every]


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Measure, print, and write the figures where they are wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batches", type=int, default=1_000_000)
    parser.add_argument("--page", type=int, default=10_000, help="which page of 50 is the deep one")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--pool", type=int, default=10, help="connections to PostgreSQL of each server")
    parser.add_argument("--folder", type=Path, help="where the database is kept")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="batchmill-bench-") as fresh:
        folder: Path = options.folder or Path(fresh)
        folder.mkdir(parents=True, exist_ok=True)
        server = EmbeddedPostgres(folder / "postgres")
        asyncio.run(server.start())
        try:
            found = run(folder, server.host, server.url(), options)
        finally:
            asyncio.run(server.stop())
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return found


if __name__ == "__main__":
    main()
