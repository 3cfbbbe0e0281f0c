"""What a child is asked, and what it was asked ahead of its turn.

A child answers in the order in which it is asked, so what was sent and has no answer yet is a queue. Only
small PDFs are sent ahead: nothing of them is written into the child's folder by us, and none has to be
copied.
"""

import json
import os
import secrets
import stat
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from services.worker.engines.port import MOST_BEHIND_A_REQUEST, ParseRequest
from shared.jobs.result import SUFFIX

MOST_AHEAD: Final = 16
MOST_BYTES_AHEAD: Final = 256 * 1024
"""Documents, and bytes of them with their questions, that a child has before their turn."""
_FEW: Final = MOST_AHEAD // 2
"""More are sent when no more than these are left: many at a time, in one write."""
MOST_UNSWEPT: Final = 64
"""Documents until the child's folder is emptied, which must wait until the child has nothing to do."""
WORTH_GATHERING: Final = 4
"""So many must be ahead: fewer answers are not worth waiting for."""
LONGEST_GATHERING_S: Final = 0.1
_PDF: Final = b"%PDF-"


@dataclass(frozen=True, slots=True)
class Question:
    """One document as the child is asked about it. `token` stands in its answer, `made` is where a large
    result goes, `size` are the bytes on the pipe, `made_at` is by `time.perf_counter`."""

    request: ParseRequest
    token: str
    made: str
    size: int
    made_at: float


def question(
    folder: Path, request: ParseRequest, path: Path, content: bytes | None
) -> tuple[Question, bytes]:
    """The question, and its bytes on the pipe with `content` behind them."""
    token = secrets.token_hex(8)
    made = f"{folder}/{token}{SUFFIX}"
    asked = {
        "id": token,
        "path": str(path.absolute()),
        "given": None if content is None else len(content),
        "name": request.name,
        "options": dict(request.options),
        "parsed": request.parsed,
        "extract": None if request.extract is None else dict(request.extract),
        "result": made,
    }
    packed = b"%s\n%s" % (json.dumps(asked).encode(), content or b"")
    return Question(request, token, made, len(packed), time.perf_counter()), packed


class Ahead:
    """What one child was sent before its turn. `unswept` are the documents since its folder was emptied."""

    def __init__(self, folder: Path) -> None:
        self.unswept = 0
        self._folder = folder
        self._pace: float | None = None
        self._sent: deque[Question] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._sent)

    def is_next(self, request: ParseRequest) -> bool:
        """Whether the next answer will be about this."""
        return bool(self._sent) and self._sent[0].request == request

    def take(self) -> Question:
        """The question whose turn it is; what remains stays in its order."""
        taken = self._sent.popleft()
        self._bytes -= taken.size
        return taken

    def took(self, seconds: float) -> None:
        """One more document was read. The pace follows a shorter one at once: a child that has nothing left
        to do costs more than a look too many."""
        pace = seconds if self._pace is None else self._pace
        self._pace = min(seconds, pace + (seconds - pace) / 4)

    @property
    def gather_s(self) -> float:
        """For how long answers may gather, until the child is about half through what it has; 0 for few."""
        if self._pace is None or len(self._sent) < WORTH_GATHERING:
            return 0.0
        return min(self._pace * len(self._sent) / 2, LONGEST_GATHERING_S)

    @property
    def wants_more(self) -> bool:
        """Whether `more` may find something to send."""
        return len(self._sent) <= _FEW and self.unswept + len(self._sent) < MOST_UNSWEPT

    def more(self, following: Iterable[ParseRequest]) -> bytes:
        """The bytes to send of what is `following`, as far as there is room, up to the first that must wait
        for its turn. Nothing when `following` begins with something else than what was sent already."""
        coming = iter(following)
        if any(question.request != next(coming, None) for question in self._sent):
            return b""
        room = min(MOST_AHEAD, MOST_UNSWEPT - self.unswept) - len(self._sent)
        pieces: list[bytes] = []
        for request in islice(coming, room):
            content = None if request.parsed else _small_pdf(request.path, MOST_BYTES_AHEAD - self._bytes)
            if content is None:
                break
            asked, packed = question(self._folder, request, request.path, content)
            if self._bytes + asked.size > MOST_BYTES_AHEAD:
                break
            self._sent.append(asked)
            self._bytes += asked.size
            pieces.append(packed)
        return b"".join(pieces)


def content_of(path: Path, *, most: int = MOST_BEHIND_A_REQUEST, begin: bytes = b"") -> bytes | None:
    """The bytes of a document that go through the pipe; None when it has more than `most`, does not `begin`
    so, or cannot be read, of which more is said elsewhere. Sooner read than a thread is asked to."""
    try:
        # Not blocking: a named pipe would hold up everything of this process, the renewal of leases too.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (PermissionError, FileNotFoundError):
        return None
    try:
        found = os.fstat(handle)
        size = found.st_size
        if not stat.S_ISREG(found.st_mode) or size > most:
            return None
        if begin and os.pread(handle, len(begin), 0) != begin:
            return None
        # Whole at once, or it is a file that grows, or lies where reads come in parts.
        content = os.read(handle, size + 1)
        return content if len(content) == size else None
    finally:
        os.close(handle)


def _small_pdf(path: Path, most: int) -> bytes | None:
    try:
        return content_of(path, most=min(most, MOST_BEHIND_A_REQUEST), begin=_PDF)
    except OSError:
        # It is asked for again at its turn; what is wrong with it is said there.
        return None
