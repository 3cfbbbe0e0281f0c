"""One sandboxed child as its parent holds it: start, one answer at a time under watch, end."""

import asyncio
import contextlib
import fcntl
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
from services.worker.engines.answers import Answer, Answers, Babble
from services.worker.engines.limits import Resident, SandboxLimits
from services.worker.engines.version import engine_version

_MODULE: Final = "services.worker.engines.child"
_ROOT: Final = Path(__file__).resolve().parents[3]
_LOOK_EVERY_S: Final = 0.25
_READ_AT_ONCE: Final = 256 * 1024
_PIPE_BYTES: Final = 256 * 1024
"""What each of its pipes holds, where the system has a call for it and allows it: a full one stops the child,
or wakes its parent. A system has some 64 MiB for all pipes of a user."""
_UNASKED_S: Final = 5.0
"""How long a child may work on what was sent ahead while nobody waits for an answer."""
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
        self._answers = Answers()
        self._unasked: _Watch | None = None
        self._stderr = bytearray()
        self._cause: Cause | None = None
        self._peak = 0
        self._pump = asyncio.create_task(self._keep_stderr())
        self._widen_pipes()

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
            limit=_READ_AT_ONCE,
        )
        child = cls(process, folder, project_id)
        try:
            async with asyncio.timeout(limits.start_s):
                hello = await child._answer()
        except TimeoutError:
            hello = None
        except BaseException:
            await asyncio.shield(child.end())
            raise
        if hello is None or b'"ready": true' not in hello.line:
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
        self, question: bytes, limits: SandboxLimits, *, behind: bytes = b"", gather_s: float = 0.0
    ) -> Answer | Ended:
        """Its answer to one question, or how it ended. `behind` are the questions of the documents that
        follow, which it may begin at once; their answers are fetched with `answer`, in that order."""
        self._stderr.clear()
        self.send(question + behind)
        return await self.answer(limits, following=bool(behind), gather_s=gather_s)

    def send(self, questions: bytes) -> None:
        """Give it questions whose answers somebody will fetch. Whoever calls bounds what is under way: it is
        never waited for the pipe, so a child that waits until its answer is taken stops nobody."""
        self._in.write(questions)

    async def answer(
        self, limits: SandboxLimits, *, following: bool = False, gather_s: float = 0.0
    ) -> Answer | Ended:
        """The answer to the earliest question without one, or how the child ended. Kills it when it goes over
        a limit. The time counts from here, when the child has begun at the latest. `following`: there are
        more questions; their answers may gather in the pipe for `gather_s`."""
        self._peak = 0
        if following and (ready := self._ready()) is not None:
            # The watch of what nobody waits for goes on: a timer or two would cost more than the answer.
            return ready
        self._stop_unasked()
        # A timer and not a task that waits beside this one: most documents are read before the first look.
        watch = _Watch(lambda late: self._look(limits, Cause.WALL if late else None), limits.wall_s)
        try:
            answer = await self._answer(gather_s)
        finally:
            watch.cancel()
        if following and self.alive:
            # It is at the next one already, and is looked after also when nobody comes for that.
            self._unasked = _Watch(lambda late: self._look_unasked(limits, late=late), _UNASKED_S)
        return answer or await self._death()

    def kill(self, cause: Cause) -> None:
        """End it and whatever it started, now; the first cause is remembered."""
        self._cause = self._cause or cause
        self._kill_group()

    async def end(self) -> None:
        """Kill it, wait for it, delete its folder."""
        self.kill(Cause.STOPPED)
        self._stop_unasked()
        # Nobody takes its answers any more, and the wait for it would be one for the end of this pipe too,
        # which is not seen while more lies there than is taken out of it unasked.
        self._transport().get_pipe_transport(1).close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_WITHIN_S):
                await self._process.wait()
        self._pump.cancel()
        self._resident.close()
        # Also while a stray grandchild still holds them.
        self._transport().close()
        scratch.remove(self.folder)

    def _stop_unasked(self) -> None:
        if self._unasked is not None:
            self._unasked.cancel()
            self._unasked = None

    def _look_unasked(self, limits: SandboxLimits, *, late: bool) -> None:
        self._look(limits, Cause.STOPPED if late else None)
        if not self.alive:
            self._stop_unasked()

    def _look(self, limits: SandboxLimits, too_late: Cause | None) -> None:
        self._peak = max(self._peak, self.resident())
        if too_late is not None:
            self.kill(too_late)
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

    def _ready(self) -> Answer | None:
        """An answer that came with an earlier one. What can be none is seen by who waits for one."""
        with contextlib.suppress(Babble):
            return self._answers.take()
        return None

    async def _answer(self, gather_s: float = 0.0) -> Answer | None:
        """One whole answer; None when there is none to come."""
        try:
            while (answer := self._answers.take()) is None:
                if gather_s and not self._has_come():
                    await self._gather(gather_s)
                gather_s = 0.0
                if not (piece := await self._out.read(_READ_AT_ONCE)):
                    return None
                self._answers.feed(piece)
        except Babble:
            self.kill(Cause.BABBLE)
            return None
        return answer

    async def _gather(self, seconds: float) -> None:
        """Let answers come together in the pipe: being woken costs more than taking one."""
        pipe = self._transport().get_pipe_transport(1)
        pipe.pause_reading()
        try:
            await asyncio.sleep(seconds)
        finally:
            pipe.resume_reading()

    def _widen_pipes(self) -> None:
        if not hasattr(fcntl, "F_SETPIPE_SZ"):
            return
        for descriptor in (0, 1):
            pipe = self._transport().get_pipe_transport(descriptor).get_extra_info("pipe")
            # It is closed already when the child died at once, of which more is said when no answer comes.
            with contextlib.suppress(OSError, ValueError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def _has_come(self) -> bool:
        # Private: nothing else tells without waiting.
        return bool(self._out._buffer)  # type: ignore[attr-defined]  # noqa: SLF001

    def _transport(self) -> Any:
        # Private, but the only way to its pipes.
        return self._process._transport  # type: ignore[attr-defined]  # noqa: SLF001

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
