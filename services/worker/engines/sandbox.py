"""Reads untrusted documents in a killable child process (design section 5, protocol rule 26).

One warm child serves many documents of one project, one at a time; it may have the next small ones before
their turn (decision 42). It is replaced after it was killed or went over a cap, when it has had as many
documents and worked as long as `SandboxLimits` say, when it has grown, and when the project changes. A crash
or a bomb ends one document with a code, never the worker. A child that somebody else kills costs its document
nothing but time, unless the next one dies the same way.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from services.worker.engines import scratch, verdicts
from services.worker.engines.ahead import Ahead, Question, content_of, question
from services.worker.engines.answers import Answer
from services.worker.engines.limits import SandboxLimits
from services.worker.engines.port import Again, Done, Infra, Outcome, ParseRequest
from services.worker.engines.process import Cause, Child, Ended, StartFailed
from services.worker.engines.verdicts import Verdict
from shared.jobs.codes import FailureCode
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
        self._ahead = Ahead(Path())
        self._alone_for = 0
        """So many runs send nothing ahead: a child was lost with as many documents."""
        self._busy = self._stopped = self._closed = False

    async def run(
        self, request: ParseRequest, *, project_id: str, ahead: Iterable[ParseRequest] = ()
    ) -> Outcome:
        """Read one document; a second call waits for the first. Never raises for what a document does.
        Cancelling kills the child; the next call starts another. What follows is read `ahead` as far as it is
        small PDFs; when something else is asked for then, that was for nothing, and another child starts."""
        async with self._turn:
            if self._closed:
                return Infra("the sandbox is closed")
            started = time.perf_counter()
            self._busy, self._stopped = True, False
            try:
                return await self._run(request, project_id, self._allowed(ahead), started)
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

    def _allowed(self, ahead: Iterable[ParseRequest]) -> Iterable[ParseRequest]:
        if not self._alone_for:
            return ahead
        self._alone_for -= 1
        return ()

    async def _run(
        self, request: ParseRequest, project_id: str, ahead: Iterable[ParseRequest], started: float
    ) -> Outcome:
        unexplained = 0
        while True:
            child = await self._child_for(request, project_id)
            verdict, result = await self._exchange(child, request, ahead)
            # From now on alone: only so it is known whose doing it is.
            ahead = ()
            unexplained += verdict.unexplained
            if verdict.stopped or self._stopped:
                if isinstance(result, Path):
                    result.unlink()
                return Again(0.0, "the reader was stopped")
            if verdict.infra is not None:
                return Infra(verdict.infra)
            if verdict.suspect:
                # A used child may have been damaged or filled by another document: nobody is blamed for a
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
                seconds=max(verdict.seconds, time.perf_counter() - started),
            )

    async def _exchange(
        self, child: Child, request: ParseRequest, ahead: Iterable[ParseRequest]
    ) -> tuple[Verdict, Path | bytes | None]:
        """One turn, and what becomes of the child. `suspect` is cleared where nobody else can be to blame."""
        keep, seconds = False, 0.0
        used = child.served > 0
        child.served += 1
        self._ahead.unswept += 1
        began = time.perf_counter()
        try:
            if self._ahead:
                verdict, result = await self._take_answer(child, ahead)
            else:
                verdict, result = await self._answer_of(child, request, ahead)
            keep, seconds = not verdict.child_is_lost and child.alive, verdict.seconds
            self._ahead.took(seconds)
            used = used or bool(self._ahead)
        finally:
            child.worked_s += max(seconds, time.perf_counter() - began)
            # Also when cancelled: what the child is doing now is of no more use to anybody.
            if not keep:
                await asyncio.shield(self._drop_child())
        if keep and not self._ahead:
            # Only now: the results of what it reads meanwhile may lie there.
            self._ahead.unswept = 0
            try:
                scratch.empty(str(child.folder))
            except OSError:
                # What stays there would be counted against the next document.
                await asyncio.shield(self._drop_child())
        return (verdict if used or not verdict.suspect else replace(verdict, suspect=False)), result

    async def _take_answer(
        self, child: Child, ahead: Iterable[ParseRequest]
    ) -> tuple[Verdict, Path | bytes | None]:
        """Of the document that was sent before its turn. It is exactly the one the child is at, or was at
        when it died: each answer is written before the next document is looked at."""
        asked = self._ahead.take()
        if more := self._more(child, ahead):
            child.send(more)
        reply = await child.answer(self._limits, following=bool(self._ahead), gather_s=self._ahead.gather_s)
        return self._judged(child, asked, reply)

    def _more(self, child: Child, ahead: Iterable[ParseRequest]) -> bytes:
        if not self._ahead.wants_more or self._stopped or not self._is_good(child, child.project_id):
            return b""
        return self._ahead.more(ahead)

    async def _answer_of(
        self, child: Child, request: ParseRequest, ahead: Iterable[ParseRequest]
    ) -> tuple[Verdict, Path | bytes | None]:
        content = content_of(request.path)
        if content is not None:
            # It may write them down for an engine that wants a file.
            child.given_bytes = len(content)
            return await self._ask(child, request, request.path, content, ahead)
        child.given_bytes = 0
        if not child.wants_copies:
            verdict, result = await self._ask(child, request, request.path)
            if not verdict.unreadable:
                return verdict, result
            # Most likely it may open nothing outside its folder: its next documents are copied at once.
            child.wants_copies = True
        return await self._ask_about_copy(child, request)

    async def _ask(
        self,
        child: Child,
        request: ParseRequest,
        path: Path,
        content: bytes | None = None,
        ahead: Iterable[ParseRequest] = (),
    ) -> tuple[Verdict, Path | bytes | None]:
        asked, packed = question(child.folder, request, path, content)
        behind = self._more(child, ahead)
        reply = await child.ask(packed, self._limits, behind=behind, gather_s=self._ahead.gather_s)
        return self._judged(child, asked, reply)

    def _judged(
        self, child: Child, asked: Question, reply: Answer | Ended
    ) -> tuple[Verdict, Path | bytes | None]:
        if isinstance(reply, Answer):
            within_s = time.perf_counter() - asked.made_at
            verdict = verdicts.of_answer(reply.line, expected_id=asked.token, most_seconds=within_s)
        else:
            verdict = verdicts.of_death(reply, self._limits)
            if reply.cause is Cause.WRITTEN and (self._ahead or self._ahead.unswept > 1):
                # The folder was not emptied before this document, and may be filled by the one after it.
                verdict = replace(verdict, suspect=True)
        if verdict.code is FailureCode.ENGINE_ERROR or (verdict.child_is_lost and not verdict.stopped):
            log.warning(
                "document failed in the sandbox", code=verdict.code, reply=str(reply)[:300], said=child.stderr
            )
        if not verdict.is_success:
            return verdict, None
        if isinstance(reply, Answer) and reply.packed:
            return verdict, reply.packed
        result = self._folders().take_result(Path(asked.made), most_bytes=self._limits.written_bytes)
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

    async def _child_for(self, request: ParseRequest, project_id: str) -> Child:
        child = self._child
        if child is not None:
            if not self._ahead and self._is_good(child, project_id):
                return child
            if child.alive and child.project_id == project_id and self._ahead.is_next(request):
                return child
        await self._drop_child()
        folder = self._folders().work_folder()
        self._child = await Child.start(
            folder, project_id=project_id, limits=self._limits, engines=self._engines
        )
        self._ahead = Ahead(folder)
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
        self._alone_for = max(self._alone_for, len(self._ahead))
        self._ahead = Ahead(Path())
        if child is not None:
            with contextlib.suppress(OSError):
                await child.end()
