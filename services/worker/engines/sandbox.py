"""Reads untrusted documents in a killable child process (design section 5, protocol rule 26).

One warm child serves many documents of one project, one at a time. It is replaced after it was killed or went
over a cap, when it has had as many documents and worked as long as `SandboxLimits` say, when it has grown,
and when the project changes. A crash or a bomb ends one document with a code, never the worker. A child that
somebody else kills costs its document nothing but time, unless the next one dies the same way.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from services.worker.engines import scratch, verdicts
from services.worker.engines.limits import SandboxLimits
from services.worker.engines.port import MOST_BEHIND_A_REQUEST, Again, Done, Infra, Outcome, ParseRequest
from services.worker.engines.process import Answer, Cause, Child, StartFailed
from services.worker.engines.verdicts import Verdict
from shared.jobs.codes import FailureCode
from shared.jobs.result import SUFFIX
from shared.telemetry import logger

ENGINES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "paged": "services.worker.engines.liteparse",
        "text": "services.worker.engines.text",
        "office": "services.worker.engines.office",
        "rules": "services.worker.engines.rules",
    }
)
"""The engine module of each family: `paged` for PDF and images, `office` for
Office documents and e-mails, `text` for the rest, `rules` to take values
out of what the others read. A name ending in `.py` is a file path."""
_GROWN: Final = 0.5
_UNEXPLAINED_DEATHS: Final = 2
"""Deaths by a signal that no limit explains, of children with one document, until it is to blame."""


log = logger(__name__)


class Sandbox:
    """The `Sandboxed` of the worker. Belongs to the event loop and the thread that first use it: on Linux
    a child dies with the thread that started it."""

    def __init__(
        self,
        *,
        limits: SandboxLimits | None = None,
        folder: Path | None = None,
        engines: Mapping[str, str] = ENGINES,
    ) -> None:
        """`folder` is where the private folder is made, the system's temporary one by default. Starts
        nothing."""
        self._limits = limits or SandboxLimits()
        self._parent_folder = folder
        self._engines = engines
        self._turn = asyncio.Lock()
        self._scratch: scratch.Scratch | None = None
        self._child: Child | None = None
        self._busy = self._stopped = self._closed = False

    async def run(self, request: ParseRequest, *, project_id: str) -> Outcome:
        """Read one document; a second call waits for the first. Never raises for what a document does.
        Cancelling kills the child; the next call starts another."""
        async with self._turn:
            if self._closed:
                return Infra("the sandbox is closed")
            started = time.perf_counter()
            self._busy, self._stopped = True, False
            try:
                return await self._run(request, project_id, started)
            except StartFailed as error:
                return Infra(str(error))
            except OSError as error:
                return Infra(f"the sandbox cannot work: {error}")
            finally:
                self._busy = False

    async def kill(self) -> None:
        """End the document in progress, whose `run` then answers `Again`. Nothing happens when there is
        none."""
        if self._busy:
            self._stopped = True
            if self._child is not None:
                self._child.kill(Cause.STOPPED)

    async def close(self) -> None:
        """End the document in progress, the child, and delete every file. May be called twice."""
        self._closed = True
        await self.kill()
        async with self._turn:
            await self._drop_child()
            if self._scratch is not None:
                self._scratch.close()
                self._scratch = None

    async def _run(self, request: ParseRequest, project_id: str, started: float) -> Outcome:
        unexplained = 0
        while True:
            child = await self._child_for(project_id)
            fresh = child.served == 0
            verdict, result = await self._exchange(child, request)
            unexplained += verdict.unexplained
            if verdict.stopped or self._stopped:
                if isinstance(result, Path):
                    result.unlink()
                return Again(0.0, "the reader was stopped")
            if verdict.infra is not None:
                return Infra(verdict.infra)
            if verdict.suspect and not fresh:
                # A used child may have been damaged or filled by its last document: nobody is blamed for a
                # neighbour.
                continue
            if verdict.unexplained and unexplained < _UNEXPLAINED_DEATHS:
                # Somebody may have killed it. A document that crashes its reader does so once more.
                continue
            return Done(
                code=verdict.code,
                message=verdict.message,
                retryable=verdict.retryable,
                pages=verdict.pages,
                engine=verdict.engine,
                result=result,
                seconds=time.perf_counter() - started,
            )

    async def _exchange(self, child: Child, request: ParseRequest) -> tuple[Verdict, Path | bytes | None]:
        keep = False
        child.served += 1
        began = time.perf_counter()
        try:
            verdict, result = await self._answer_of(child, request)
            keep = not verdict.child_is_lost and child.alive
        finally:
            child.worked_s += time.perf_counter() - began
            # Also when cancelled: what the child is doing now is of no more use to anybody.
            if not keep:
                await asyncio.shield(self._drop_child())
        if keep:
            scratch.empty(str(child.folder))
        return verdict, result

    async def _answer_of(self, child: Child, request: ParseRequest) -> tuple[Verdict, Path | bytes | None]:
        content = _content_of(request.path)
        if content is not None:
            # It may write them down for an engine that wants a file.
            child.given_bytes = len(content)
            return await self._ask(child, request, request.path, content)
        child.given_bytes = 0
        if not child.wants_copies:
            verdict, result = await self._ask(child, request, request.path)
            if not verdict.unreadable:
                return verdict, result
            # Most likely it may open nothing outside its folder: its next documents are copied at once.
            child.wants_copies = True
        return await self._ask_about_copy(child, request)

    async def _ask(
        self, child: Child, request: ParseRequest, path: Path, content: bytes | None = None
    ) -> tuple[Verdict, Path | bytes | None]:
        token = secrets.token_hex(8)
        made = f"{child.folder}/{token}{SUFFIX}"
        question = _question(token, request, path, made, None if content is None else len(content))
        reply = await child.ask(question, self._limits, content or b"")
        if isinstance(reply, Answer):
            verdict = verdicts.of_answer(reply.line, expected_id=token)
        else:
            verdict = verdicts.of_death(reply, self._limits)
        if verdict.code is FailureCode.ENGINE_ERROR or (verdict.child_is_lost and not verdict.stopped):
            log.warning(
                "document failed in the sandbox", code=verdict.code, reply=str(reply)[:300], said=child.stderr
            )
        if not verdict.is_success:
            return verdict, None
        if isinstance(reply, Answer) and reply.packed:
            return verdict, reply.packed
        result = self._folders().take_result(Path(made), most_bytes=self._limits.written_bytes)
        return (verdict, result) if result else (verdicts.nothing_there(), None)

    async def _ask_about_copy(
        self, child: Child, request: ParseRequest
    ) -> tuple[Verdict, Path | bytes | None]:
        """The child has fewer rights than we do (with Landlock it sees its own folder only), so it gets a
        copy; what we cannot read either has a clear end."""
        copy = child.folder / "document"
        try:
            # Before it is copied: a sparse file is large for nothing.
            size = request.path.stat().st_size
            if size > self._limits.document_bytes:
                return verdicts.too_large(self._limits), None
            child.given_bytes = size
            await asyncio.to_thread(shutil.copyfile, request.path, copy)
        except (PermissionError, FileNotFoundError):
            message = "The document may not be read by this server."
            return Verdict(FailureCode.ENGINE_ERROR, message, retryable=True), None
        copy.chmod(0o600)
        return await self._ask(child, request, copy)

    async def _child_for(self, project_id: str) -> Child:
        child = self._child
        if child is not None and self._is_good(child, project_id):
            return child
        await self._drop_child()
        folder = self._folders().work_folder()
        self._child = await Child.start(
            folder, project_id=project_id, limits=self._limits, engines=self._engines
        )
        if self._stopped:
            self._child.kill(Cause.STOPPED)
        return self._child

    def _folders(self) -> scratch.Scratch:
        if self._scratch is None:
            self._scratch = scratch.Scratch(self._parent_folder)
        return self._scratch

    def _is_good(self, child: Child, project_id: str) -> bool:
        return (
            child.alive
            and child.project_id == project_id
            and not self._is_used_up(child)
            and child.resident() < self._limits.memory_bytes * _GROWN
        )

    def _is_used_up(self, child: Child) -> bool:
        # By documents alone a child of short ones would spend a third of its life on starting.
        limits = self._limits
        return child.served >= limits.documents_per_child and child.worked_s >= limits.seconds_per_child

    async def _drop_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(OSError):
                await child.end()


def _content_of(path: Path) -> bytes | None:
    """The bytes of a document that go through the pipe; None when it is too large for that, or cannot be
    read, of which more is said elsewhere. Sooner read than a thread is asked to."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (PermissionError, FileNotFoundError):
        return None
    try:
        size = os.fstat(handle).st_size
        if size > MOST_BEHIND_A_REQUEST:
            return None
        # Whole at once, or it is a file that grows, or lies where reads come in parts.
        found = os.read(handle, size + 1)
        return found if len(found) == size else None
    finally:
        os.close(handle)


def _question(token: str, request: ParseRequest, path: Path, made: str, given: int | None) -> dict[str, Any]:
    return {
        "id": token,
        "path": str(path.absolute()),
        "given": given,
        "name": request.name,
        "options": dict(request.options),
        "parsed": request.parsed,
        "extract": None if request.extract is None else dict(request.extract),
        "result": made,
    }
