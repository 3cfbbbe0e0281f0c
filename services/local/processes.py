"""One part of the stack: what it is (`Part`) and one life of it (`Process`)."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.local.endings import ended
from services.local.errors import StackFailed
from services.local.stale import create_time

POLL_S = 0.02
ROTATE_BYTES = 10 * 1024 * 1024
_LAUNCHER = Path(__file__).with_name("launch.py")

StopStep = tuple[signal.Signals, float]
"""A signal, and how many seconds it has before the next step."""


async def _always() -> bool:
    return True


async def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Part:
    """A program that the stack keeps running.

    `ready` answers whether the part serves now; it swallows its own errors. `prepare` runs before each start
    and may raise `StackError`. `stop_steps` are tried in turn, then its process group is killed;
    `hurry_steps` replace them when there is no patience left. Parts of a higher `stop_rank` are stopped
    first. A part that is not `critical` is started again for ever and never ends the stack. The part lives in
    a session of its own: Ctrl-C in the terminal does not reach it.
    """

    name: str
    argv: tuple[str, ...]
    log_file: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    ready: Callable[[], Awaitable[bool]] = _always
    prepare: Callable[[], Awaitable[None]] = _nothing
    ready_timeout_s: float = 60.0
    stop_steps: tuple[StopStep, ...] = ((signal.SIGTERM, 4.0),)
    hurry_steps: tuple[StopStep, ...] = ()
    stop_rank: int = 2
    critical: bool = True
    identity: str = "same"


class Process:
    """One life of a part. Bound to no event loop, so it may be started in one loop and stopped in another.

    Promise: when `exit_code` answers or `stop` returns, nothing of the part's process group is left.
    """

    def __init__(self, part: Part) -> None:
        """Starts the program, its output appended to the part's log. Raises OSError."""
        self.part = part
        self._log_offset = rotate(part.log_file)
        with part.log_file.open("ab") as log:
            self._popen = subprocess.Popen(
                _launched(part),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=part.cwd,
                env=None if part.env is None else dict(part.env),
                start_new_session=True,
            )
        self.pid = self._popen.pid
        self.started = create_time(self.pid)

    def exit_code(self) -> int | None:
        """None while the part lives, else its code (minus the signal's number if one ended it)."""
        if self._popen.returncode is None and self._has_ended():
            # Before the zombie is reaped nobody else can get this group's number.
            self._kill_group()
        return self._popen.poll()

    async def exited(self) -> int:
        """Waits for the end of the part; its exit code."""
        while (code := self.exit_code()) is None:
            # Told or not, look again: who is traced has ended for the system before it has for us.
            if not await ended(self.pid) or self.exit_code() is None:
                await asyncio.sleep(POLL_S)
        return code

    async def stop(self, hurry: asyncio.Event | None = None) -> int:
        """Ends the part: its stop steps, then a kill. `hurry`, once set, cuts the patience. Its exit code."""
        hurry = hurry or asyncio.Event()
        for signum, grace_s in self.part.stop_steps:
            if hurry.is_set():
                break
            if await self._ends_after(signum, grace_s, hurry):
                return self._popen.returncode
        if hurry.is_set():
            for signum, grace_s in self.part.hurry_steps:
                if await self._ends_after(signum, grace_s, None):
                    return self._popen.returncode
        self.kill()
        return await self.exited()

    def kill(self) -> None:
        """Kills the whole process group at once; no waiting."""
        if self._popen.returncode is None:
            self._kill_group()

    def last_lines(self, count: int = 20) -> list[str]:
        """The end of what this life wrote to its log, at most `count` lines."""
        try:
            with self.part.log_file.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_offset, end - 200 * count))
                return log.read().decode("utf-8", "replace").splitlines()[-count:]
        except OSError:
            return []

    async def _ends_after(self, signum: signal.Signals, grace_s: float, hurry: asyncio.Event | None) -> bool:
        if self.exit_code() is not None:
            return True
        self._popen.send_signal(signum)
        deadline = time.monotonic() + grace_s
        while self.exit_code() is None:
            if time.monotonic() > deadline or (hurry is not None and hurry.is_set()):
                return False
            await asyncio.sleep(POLL_S)
        return True

    def _has_ended(self) -> bool:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._popen.poll() is not None
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of zombies
            os.killpg(self.pid, signal.SIGKILL)


async def wait_until_up(process: Process) -> None:
    """Returns when the part serves. Raises StackFailed if it dies before or needs too long; stops nothing."""
    part, deadline = process.part, time.monotonic() + process.part.ready_timeout_s
    while not await part.ready():
        code = process.exit_code()
        if code is not None:
            raise StackFailed(
                part.name, code, process.last_lines(), f"ended at its start with exit code {code}"
            )
        if time.monotonic() > deadline:
            why = f"did not come up within {part.ready_timeout_s:g} s"
            raise StackFailed(part.name, None, process.last_lines(), why)
        await asyncio.sleep(POLL_S)


def _launched(part: Part) -> list[str]:
    death_signal = part.stop_steps[0][0] if part.stop_steps else signal.SIGKILL
    launcher = [
        sys.executable,
        "-I",
        "-S",
        str(_LAUNCHER),
        str(os.getpid()),
        str(int(death_signal)),
        part.identity,
    ]
    return [*launcher, *part.argv]


def rotate(log_file: Path) -> int:
    """Moves a log of more than 10 MB aside (one older generation is kept).

    The size of what is there now, in bytes.
    """
    try:
        size = log_file.stat().st_size
    except FileNotFoundError:
        log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return 0
    if size <= ROTATE_BYTES:
        return size
    log_file.replace(log_file.with_name(log_file.name + ".1"))
    return 0
