"""The embedded stack: PostgreSQL, Valkey, migrations, then api, orchestrate, worker and upkeep.

Stopped in reverse.
"""

import asyncio
import os
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from signal import Signals
from types import TracebackType
from typing import Self

from services.local.data_dir import DataDir, PartRecord, StackRecord
from services.local.errors import StackError, StackStopped, SystemRefused
from services.local.parts import Site, StackParts, environment, is_healthy, product_parts
from services.local.ports import base_url_of, claim_port
from services.local.postgres import EmbeddedPostgres
from services.local.processes import Process
from services.local.signals import heard
from services.local.stale import create_time, end_stale_parts
from services.local.supervisor import Supervisor
from services.local.valkey import EmbeddedValkey

Bootstrap = Callable[[str], Awaitable[tuple[str, str]]]
"""Given the database URL, makes the first keys: (project key, operator key)."""

KEYS = ("project-key", "operator-key")
ATTACH_POLL_S = 0.2
OF_ONE_LIFE = ("stack.json", "database-url", "broker-url")


@dataclass(frozen=True)
class LiveStack:
    """A stack that another process runs."""

    base_url: str
    project_key: str
    operator_key: str


class Stack:
    """`async with Stack(...) as stack:` runs everything for the length of the block.

    A part that ends the stack, or a signal (SIGINT, SIGTERM, SIGHUP), cancels the task that entered it;
    when everything is stopped, leaving it raises StackFailed or StackStopped. A second signal ends the parts
    without patience. Entering raises StackAlreadyRunning, PortTaken, PostgresRefused, DataFolderRefused,
    BinaryMissing, SystemRefused, or one of those two. Given URLs are used as they are: nothing embedded
    starts for them. `port=0` takes any free one. `roots` are folders it may read in place. `bootstrap` is
    called after the migrations when a key file is missing.
    """

    def __init__(  # noqa: PLR0913 - all but the first are choices with a default, taken by name
        self,
        data_dir: Path | str,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        concurrency: int | None = None,
        database_url: str | None = None,
        broker_url: str | None = None,
        bootstrap: Bootstrap | None = None,
        log: Callable[[str], None] = lambda _: None,
        roots: Sequence[str] = (),
        parts: Callable[[Site], StackParts] = product_parts,
    ) -> None:
        self.data = DataDir(data_dir)
        self.host = host
        self.port = port
        self.database_url = database_url or ""
        self.broker_url = broker_url or ""
        self._concurrency = concurrency or os.cpu_count() or 1
        self._bootstrap = bootstrap
        self._roots = roots
        self._make_parts = parts
        self._say = log
        self._supervisor = Supervisor(say=log, changed=self._record, failed=self._interrupt)
        self._undo = AsyncExitStack()
        self._task: asyncio.Task[object] | None = None
        self._reason: StackError | None = None
        self._started_at = ""
        self._ready = False
        self._stopping = False

    @property
    def base_url(self) -> str:
        """How to reach the API from this machine."""
        return base_url_of(self.host, self.port)

    @property
    def project_key(self) -> str:
        """The first project's key; empty if none was ever made."""
        return self.data.read("project-key") or ""

    @property
    def operator_key(self) -> str:
        """The operator's key; empty if none was ever made."""
        return self.data.read("operator-key") or ""

    def parts(self) -> list[PartRecord]:
        """The processes that run now."""
        return [_record_of(process) for process in self._supervisor.living()]

    async def wait(self) -> None:
        """Waits for ever; a signal or a failed part ends it by cancelling the block."""
        await asyncio.Event().wait()

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        try:
            await self._start()
        except BaseException as error:
            await self._unwind()
            self._tell_reason(error)
            if isinstance(error, OSError):
                raise SystemRefused(error) from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._unwind()
        self._tell_reason(error)

    async def _start(self) -> None:
        self._undo.enter_context(heard(self._on_signal))
        self.data.make()
        self._undo.enter_context(self.data.held())
        await self._end_stale()  # first: one of them may still hold the port
        self.port = claim_port(self.host, self.port)
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._undo.callback(self.data.remove, *OF_ONE_LIFE)
        await self._start_servers()
        env = environment(
            self.data,
            database_url=self.database_url,
            broker_url=self.broker_url,
            base_url=self.base_url,
            roots=self._roots,
        )
        site = Site(self.data, self.host, self.port, self.base_url, self._concurrency, env)
        parts = self._make_parts(site)
        if parts.migrate is not None:
            await self._supervisor.run_once(parts.migrate)
        await self._make_keys()
        await self._supervisor.start(*parts.services)
        self._ready = True
        self._record(self._supervisor.living())

    async def _end_stale(self) -> None:
        record = self.data.record()
        await asyncio.to_thread(end_stale_parts, record.parts if record else (), self.data.path)
        self.data.remove(*OF_ONE_LIFE)

    async def _start_servers(self) -> None:
        servers = []
        postgres = EmbeddedPostgres(self.data.path / "postgres", log_file=self.data.log_file("postgres"))
        valkey = EmbeddedValkey(self.data.path / "valkey", log_file=self.data.log_file("valkey"))
        if not self.database_url:
            self._undo.callback(postgres.forget)
            await postgres.prepare()
            servers.append(postgres.part())
            self.database_url = postgres.url()
            self.data.write("database-url", self.database_url)
        if not self.broker_url:
            self._undo.callback(valkey.forget)
            valkey.prepare()
            servers.append(valkey.part())
            self.broker_url = valkey.url
            self.data.write("broker-url", self.broker_url)
        self._undo.push_async_callback(self._supervisor.stop)
        await self._supervisor.start(*servers)

    async def _make_keys(self) -> None:
        if self._bootstrap is None or all(self.data.read(name) for name in KEYS):
            return
        for name, key in zip(KEYS, await self._bootstrap(self.database_url), strict=True):
            self.data.write(name, key)

    async def _unwind(self) -> None:
        self._stopping = True
        ending = asyncio.ensure_future(self._undo.aclose())
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                continue  # a stop that is cut half way would leave processes behind
        ending.result()

    def _tell_reason(self, error: BaseException | None) -> None:
        """Raises the reason of the end, if the block was ended from here."""
        if self._reason is None:
            return
        if self._task is not None:
            self._task.uncancel()
        raise self._reason from (None if isinstance(error, asyncio.CancelledError | StackError) else error)

    def _on_signal(self, signum: Signals) -> None:
        if self._stopping or self._reason is not None:
            self._supervisor.hurry()
        else:
            self._interrupt(StackStopped(signum))

    def _interrupt(self, reason: StackError) -> None:
        if self._reason is None and not self._stopping and self._task is not None:
            self._reason = reason
            self._task.cancel()

    def _record(self, processes: Sequence[Process]) -> None:
        manager = PartRecord("manager", os.getpid(), create_time(os.getpid()), "batchmill")
        parts = tuple(_record_of(process) for process in processes)
        try:
            self.data.write_record(StackRecord(self.base_url, self._started_at, self._ready, manager, parts))
        except OSError as error:
            if not self._ready:
                raise
            # A disk that fills is no reason to end parts that serve; the next start finds them without it.
            self._say(f"stack.json cannot be written: {error.strerror or error}; the stack goes on")


def _record_of(process: Process) -> PartRecord:
    part = process.part
    stop_signal = part.stop_steps[0][0].name if part.stop_steps else "SIGKILL"
    return PartRecord(part.name, process.pid, process.started, shlex.join(part.argv), stop_signal)


async def attach(
    data_dir: Path | str, *, patience_s: float = 0.0, waiting: Callable[[], None] = lambda: None
) -> LiveStack | None:
    """The stack that lives on the folder now, if it serves; None if there is none.

    One that starts or stops is waited for `patience_s` seconds, `waiting` is called once before; None if it
    ends meanwhile, or still does not serve.
    """
    data = DataDir(data_dir)
    deadline, told = time.monotonic() + patience_s, False
    while data.lock.is_taken():
        record = data.record()
        if record is not None and record.ready and await is_healthy(record.base_url):
            return LiveStack(record.base_url, *(data.read(name) or "" for name in KEYS))
        if time.monotonic() >= deadline:
            return None
        if not told:
            waiting()
            told = True
        await asyncio.sleep(ATTACH_POLL_S)
    return None
