"""Runs a peer on the servers of a bench: the same PostgreSQL with the same settings, and the same broker."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.house import House

PYTHON: Final = Path("build/peers/bin/python")
RUN: Final = Path(__file__).parent / "peers" / "run.py"
DATABASE: Final = "bench_peers"
WITHIN_S: Final = 300


@dataclass(frozen=True, slots=True)
class Peer:
    """What people would use instead; `files` are what one run of it gets, `quick` what it gets in a hurry."""

    name: str
    module: str
    kind: str
    files: int
    quick: int


PEERS: Final = (
    Peer("plain Celery", "with_celery", "plain", 5_000, 2_000),
    Peer("durable Celery", "with_celery", "durable", 3_000, 1_000),
    Peer("Dramatiq", "with_dramatiq", "actor", 10_000, 4_000),
    Peer("Procrastinate", "with_procrastinate", "task", 3_000, 1_500),
)


def files_of(peer: Peer, house: House) -> int:
    """How many one run of it gets."""
    return house.sized(peer.quick if house.quick else peer.files)


def is_there() -> bool:
    """Whether the peers' own environment was made."""
    return PYTHON.exists()


def make_database(house: House) -> None:
    """One for them, beside ours."""
    if not house.rows.value("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
        house.rows.do(f"CREATE DATABASE {DATABASE}")


def rate_of(peer: Peer, house: House, *, processes: int) -> tuple[float, float]:
    """Files a second from the first message to the last end, and of these seconds the part that went into
    sending."""
    files = files_of(peer, house)
    host = house.stack.database_url.partition("host=")[2]
    env = {
        **os.environ,
        "BENCH_BROKER": house.stack.broker_url,
        "BENCH_REDIS": house.redis_url,
        "BENCH_DATABASE": f"host={host} user=postgres dbname={DATABASE}",
        "BENCH_LOG": str((house.folder / f"{peer.module}-{peer.kind}.log").absolute()),
    }
    # The link of a virtual environment, not the program that it leads to: by the link it knows its packages.
    command = [str(PYTHON.absolute()), str(RUN.absolute()), peer.module, peer.kind]
    ended = subprocess.run(
        [*command, "--files", str(files), "--processes", str(processes)],
        env=env,
        cwd=RUN.parent,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    if ended.returncode != 0:
        raise RuntimeError(f"{peer.name} failed: {ended.stderr[-2_000:]}")
    told = json.loads(ended.stdout.splitlines()[-1])
    return files / told["seconds"], told["send_seconds"] / told["seconds"]
