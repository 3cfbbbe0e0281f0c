"""One sandboxed child as its parent holds it: start, one exchange at a time under watch, end."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self, cast

from services.worker.engines import scratch
from services.worker.engines.limits import Resident, SandboxLimits
from services.worker.engines.port import MOST_BEHIND_AN_ANSWER
from services.worker.engines.version import engine_version

_MODULE: Final = "services.worker.engines.child"
_ROOT: Final = Path(__file__).resolve().parents[3]
_LOOK_EVERY_S: Final = 0.25
_LONGEST_ANSWER: Final = 64 * 1024
_LONGEST_SIZE: Final = 9
_STDERR_KEPT: Final = 8 * 1024
_END_WITHIN_S: Final = 10.0


class StartFailed(Exception):
    """The child did not come up: our trouble, not the document's."""


class Cause(StrEnum):
    """Why the parent killed a child."""

    WALL = "wall"
    MEMORY = "memory"
    WRITTEN = "written"
    STOPPED = "stopped"
    BABBLE = "babble"


@dataclass(frozen=True, slots=True)
class Ended:
    """A child that died instead of answering. `returncode` is negative for a signal; `cause` None when the
    parent did not kill it."""

    cause: Cause | None
    returncode: int | None
    peak_bytes: int
    stderr: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A line, and what came behind it: a packed result, or nothing."""

    line: bytes
    packed: bytes


class Child:
    """Use `start`. Not safe for two exchanges at once."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, project_id: str) -> None:
        self.folder = folder
        self.project_id = project_id
        self.served = 0
        """Documents it was given; counted by whoever gives them."""
        self.worked_s = 0.0
        """Seconds for which it had a document; counted by whoever gives them."""
        self.given_bytes = 0
        """What we put into its folder ourselves: not counted as written."""
        self.wants_copies = False
        """It could not open a document where it lies, so it gets copies; noted by whoever gives them."""
        self._process = process
        self._resident = Resident(process.pid)
        # Pipes were asked for, so they are there.
        self._in = cast(asyncio.StreamWriter, process.stdin)
        self._out = cast(asyncio.StreamReader, process.stdout)
        self._err = cast(asyncio.StreamReader, process.stderr)
        self._stderr = bytearray()
        self._cause: Cause | None = None
        self._peak = 0
        self._pump = asyncio.create_task(self._keep_stderr())

    @classmethod
    async def start(
        cls, folder: Path, *, project_id: str, limits: SandboxLimits, engines: Mapping[str, str]
    ) -> Self:
        """A child that is ready for its first document. Raises `StartFailed`, or `OSError` from the
        system."""
        settings = {
            "parent": os.getpid(),
            "limits": limits.as_json(),
            "engines": dict(engines),
            "version": engine_version(),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-s", "-P", "-m", _MODULE, json.dumps(settings)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,
            limit=_LONGEST_ANSWER,
        )
        child = cls(process, folder, project_id)
        try:
            async with asyncio.timeout(limits.start_s):
                hello = await child._line()
        except TimeoutError:
            hello = b""
        except BaseException:
            await asyncio.shield(child.end())
            raise
        if b'"ready": true' not in hello:
            await child.end()
            raise StartFailed(f"the sandbox child did not start: {child.stderr[-500:] or 'no reason given'}")
        return child

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.returncode is None and self._cause is None

    @property
    def stderr(self) -> str:
        """The last of what it said on stderr since its last document began."""
        return self._stderr.decode("utf-8", "replace").strip()

    def resident(self) -> int:
        """Bytes of memory it holds now."""
        return self._resident.bytes()

    async def ask(
        self, request: Mapping[str, Any], limits: SandboxLimits, content: bytes = b""
    ) -> Answer | Ended:
        """Its answer to one request, behind which `content` is sent, or how it ended. Kills it when it goes
        over a limit."""
        self._stderr.clear()
        self._peak = 0
        # A timer and not a task that waits beside this one: most documents are read before the first look.
        watch = _Watch(lambda late: self._look(limits, late=late), limits.wall_s)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._in.write(b"%s\n%s" % (json.dumps(request).encode(), content))
                await self._in.drain()
            answer = await self._answer()
        finally:
            watch.cancel()
        return answer or await self._death()

    def kill(self, cause: Cause) -> None:
        """End it and whatever it started, now; the first cause is remembered."""
        self._cause = self._cause or cause
        self._kill_group()

    async def end(self) -> None:
        """Kill it, wait for it, delete its folder."""
        self.kill(Cause.STOPPED)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_WITHIN_S):
                await self._process.wait()
        self._pump.cancel()
        self._resident.close()
        # Private, but the only way to give the pipes back while a stray grandchild still holds them.
        self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
        scratch.remove(self.folder)

    def _look(self, limits: SandboxLimits, *, late: bool) -> None:
        self._peak = max(self._peak, self.resident())
        if late:
            self.kill(Cause.WALL)
        elif self._peak > limits.memory_bytes:
            self.kill(Cause.MEMORY)
        elif scratch.size_of(self.folder) > limits.written_bytes + self.given_bytes:
            self.kill(Cause.WRITTEN)
        if not self.alive:
            self._kill_group()

    def _kill_group(self) -> None:
        # Its group outlives it when it has left something behind, so its own death is no reason to stop.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _line(self) -> bytes:
        """One whole line; empty when there is none to come."""
        try:
            line = await self._out.readline()
        except ValueError:
            self.kill(Cause.BABBLE)
            return b""
        return line if line.endswith(b"\n") else b""

    async def _answer(self) -> Answer | None:
        """One whole answer; None when there is none to come. What is no answer is handed on as it is: whoever
        judges it finds no sense in it."""
        size, space, line = (whole := await self._line()).partition(b" ")
        if not whole or not space or not size.isdigit() or len(size) > _LONGEST_SIZE:
            return Answer(whole, b"") if whole else None
        if int(size) > MOST_BEHIND_AN_ANSWER:
            self.kill(Cause.BABBLE)
            return None
        try:
            return Answer(line, await self._out.readexactly(int(size)) if int(size) else b"")
        except asyncio.IncompleteReadError:
            return None

    async def _death(self) -> Ended:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._process.wait()
                await asyncio.shield(self._pump)
        return Ended(self._cause, self._process.returncode, self._peak, self.stderr)

    async def _keep_stderr(self) -> None:
        while piece := await self._err.read(_STDERR_KEPT):
            self._stderr += piece
            del self._stderr[:-_STDERR_KEPT]


class _Watch:
    """Looks four times a second, and at the moment when the time is over, until it is cancelled."""

    def __init__(self, look: Callable[[bool], None], within_s: float) -> None:
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + within_s
        self._timer = self._loop.call_later(min(_LOOK_EVERY_S, within_s), self._on_time)

    def cancel(self) -> None:
        """No further look."""
        self._timer.cancel()

    def _on_time(self) -> None:
        left = self._deadline - self._loop.time()
        # Set before the look: whatever becomes of it, there is a next one.
        self._timer = self._loop.call_later(
            min(_LOOK_EVERY_S, left) if left > 0 else _LOOK_EVERY_S, self._on_time
        )
        self._look(left <= 0)


def _environment(folder: Path) -> dict[str, str]:
    """All that a child gets to know: no credentials, no settings of ours."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(_ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        # One document is one core: the slots of the worker are how many documents run at once.
        "OMP_THREAD_LIMIT": "1",
        "MALLOC_ARENA_MAX": "2",
    }
