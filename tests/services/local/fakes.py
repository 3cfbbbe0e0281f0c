"""Parts that stand for the product's, and a way to see what is left of them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil

from services.local.parts import Site, StackParts, api_part, ready_by_file
from services.local.processes import Part
from services.local.stack import Stack

ROOT = Path(__file__).parents[3]

API = """
import http.server, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'{}')
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Health).serve_forever()
"""

# Like a prefork worker: a child that only its main process ends. The signal of a parent's death comes once
# for each thread that the parent had, and two waits for the child inside each other would never end.
WORKER = """
import os, pathlib, signal, subprocess, sys, time
deaf = 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(999)'
child = subprocess.Popen([sys.executable, '-c', deaf])
def end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN); child.kill(); child.wait(); sys.exit(0)
signal.signal(signal.SIGTERM, end)
print('working', flush=True)
if 'BATCHMILL_READY_FILE' in os.environ:
    pathlib.Path(os.environ['BATCHMILL_READY_FILE']).touch()
while True: time.sleep(1)
"""

MIGRATE = "import os, pathlib; pathlib.Path(os.environ['BATCHMILL_DATA_DIR'], 'migrated').touch()"


def python(name: str, code: str, *arguments: str, logs: Path) -> Part:
    return Part(name=name, argv=(sys.executable, "-c", code, *arguments), log_file=logs / f"{name}.log")


def fake_parts(site: Site) -> StackParts:
    def part(name: str, code: str, *arguments: str) -> Part:
        return replace(python(name, code, *arguments, logs=site.data.logs), env=site.env)

    return StackParts(
        migrate=part("migrate", MIGRATE),
        services=(
            api_part(site, part("api", API, site.host, str(site.port))),
            ready_by_file(site, part("worker", WORKER)),
        ),
    )


MANAGER = """
import asyncio, importlib, sys
from pathlib import Path
from services.local.errors import StackStopped
from tests.services.local.fakes import fake_stack
async def main():
    parts = getattr(importlib.import_module(sys.argv[2]), sys.argv[3])
    async with fake_stack(Path(sys.argv[1]), parts=parts) as stack:
        print(stack.base_url, flush=True)
        await stack.wait()
try:
    asyncio.run(main())
except StackStopped as stopped:
    print(stopped.message, flush=True)
"""


def manager(folder: Path, parts: Callable[[Site], StackParts] = fake_parts) -> "subprocess.Popen[str]":
    """A process of its own that keeps a stack of these parts. It says its address (`address_of`), and in the
    end why the stack stopped."""
    command = [sys.executable, "-c", MANAGER, str(folder), parts.__module__, parts.__name__]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def address_of(started: "subprocess.Popen[str]") -> str:
    """The address that a manager says once its stack serves."""
    assert started.stdout is not None
    said = started.stdout.readline().strip()
    assert said.startswith("http://127.0.0.1:"), said
    return said


async def until(holds: Callable[[], bool], *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


async def fake_keys(database_url: str) -> tuple[str, str]:
    return "project", f"operator of {database_url}"


def fake_stack(folder: Path, **choices: object) -> Stack:
    return Stack(folder, **{"port": 0, "parts": fake_parts, "bootstrap": fake_keys, **choices})  # type: ignore[arg-type]


def lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def recorded(folder: Path) -> dict[str, int]:
    parts = json.loads((folder / "stack.json").read_text())["parts"]
    return {part["name"]: part["pid"] for part in parts}


def traces_of(folder: Path) -> list[psutil.Process]:
    """Every living process that knows this data folder by its environment, command line or working folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd(), process.environ().get("BATCHMILL_DATA_DIR", "")]
        except psutil.Error:
            continue
        inside = any(str(folder) in word for word in words)
        if inside and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def socket_folders(folder: Path) -> list[Path]:
    notes = [folder / "postgres" / "socket-folder", folder / "valkey" / "socket-folder"]
    return [Path(note.read_text()) for note in notes if note.exists()]
