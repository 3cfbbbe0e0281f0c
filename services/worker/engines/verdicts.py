"""What the end of an exchange with a sandboxed child means for its document. Nothing the child says is
believed unchecked: it may have been taken over by the document."""

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.worker.engines.limits import SandboxLimits
from services.worker.engines.process import Cause, Ended
from shared.jobs.codes import FailureCode

_LONGEST_MESSAGE: Final = 1000
_MOST_PAGES: Final = 10_000_000
_MOST_SECONDS: Final = 1e6
_MEMORY_WORDS: Final = (
    "memory allocation of",
    "MemoryError",
    "bad_alloc",
    "Out of memory",
    "Cannot allocate memory",
)
_NEARLY: Final = 0.9
_CPU: Final = "cpu"
_BY_SIGNAL: Final[Mapping[int, str]] = {
    signal.SIGALRM: Cause.WALL,
    signal.SIGXFSZ: Cause.WRITTEN,
    signal.SIGXCPU: _CPU,
}
_REASONS: Final[Mapping[str | None, Callable[[SandboxLimits], tuple[FailureCode, str, bool]]]] = {
    Cause.WALL: lambda limits: (
        FailureCode.TIMEOUT,
        f"The document was not read within {limits.wall_s:g} s.",
        True,
    ),
    _CPU: lambda limits: (
        FailureCode.TIMEOUT,
        f"The document needs more than {limits.cpu_s:g} s of processor time.",
        True,
    ),
    Cause.MEMORY: lambda limits: (
        FailureCode.OUT_OF_MEMORY,
        f"The document needs more memory than one file may use ({limits.memory_bytes // 2**20} MB).",
        False,
    ),
    Cause.WRITTEN: lambda limits: (
        FailureCode.DOCUMENT_TOO_LARGE,
        f"Reading the document wrote more than one file may write ({limits.written_bytes // 2**20} MB).",
        False,
    ),
    Cause.BABBLE: lambda _: (
        FailureCode.ENGINE_ERROR,
        "The engine broke its protocol on this document.",
        False,
    ),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`infra` set: not the document's doing. `unreadable`: the child may not open the file.
    `child_is_lost`: use another one from now on. `suspect`: the child may have been damaged by an earlier
    document. `unexplained`: the child died of a signal that no limit of ours sends; it may have come from
    outside. `seconds`: how long the child says it took."""

    code: FailureCode | None = None
    message: str | None = None
    retryable: bool = False
    pages: int = 0
    engine: str = ""
    seconds: float = 0.0
    infra: str | None = None
    unreadable: bool = False
    stopped: bool = False
    child_is_lost: bool = False
    suspect: bool = False
    unexplained: bool = False

    @property
    def is_success(self) -> bool:
        """Whether there is nothing to say of it but pages and engine."""
        return (
            self.code is None
            and self.message is None
            and self.infra is None
            and not (self.retryable or self.unreadable or self.stopped)
            and not (self.child_is_lost or self.suspect or self.unexplained)
        )


def of_answer(line: bytes, *, expected_id: str, most_seconds: float = _MOST_SECONDS) -> Verdict:
    """The verdict in an answer; ENGINE_ERROR for one that breaks the protocol. It cannot have taken more than
    `most_seconds`, whatever it says."""
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict) or raw.get("id") != expected_id:
        return _nonsense()
    if isinstance(raw.get("infra"), str):
        return Verdict(infra=raw["infra"][:_LONGEST_MESSAGE], child_is_lost=True)
    if raw.get("unreadable") is True:
        return Verdict(unreadable=True)
    return _checked(raw, most_seconds)


def _checked(raw: dict[str, Any], most_seconds: float) -> Verdict:
    code, message, retryable = raw.get("code"), raw.get("message"), raw.get("retryable")
    pages, engine, seconds = raw.get("pages"), raw.get("engine"), raw.get("seconds", 0.0)
    if not (
        (code is None or (isinstance(code, str) and code in FailureCode.__members__))
        and (message is None or isinstance(message, str))
        and isinstance(retryable, bool)
        and isinstance(engine, str)
        and isinstance(pages, int)
        and not isinstance(pages, bool)
        and 0 <= pages <= _MOST_PAGES
        and isinstance(seconds, float)
        # Neither of the words that are no number, NaN and Infinity.
        and 0.0 <= seconds <= _MOST_SECONDS
    ):
        return _nonsense()
    known = None if code is None else FailureCode(code)
    lost = known is FailureCode.OUT_OF_MEMORY
    return Verdict(
        code=known,
        message=_safe(message),
        retryable=retryable,
        pages=pages,
        engine=engine[:100],
        seconds=min(seconds, most_seconds),
        child_is_lost=lost,
        suspect=lost,
    )


def of_death(ended: Ended, limits: SandboxLimits) -> Verdict:
    """The verdict when the child died instead of answering."""
    if ended.cause is Cause.STOPPED:
        return Verdict(stopped=True, child_is_lost=True)
    code, message, retryable = _reason(ended, limits)
    own_fault = code is FailureCode.TIMEOUT or ended.cause is Cause.WRITTEN
    of_a_signal = ended.cause is None and (ended.returncode or 0) < 0
    return Verdict(
        code,
        message,
        retryable,
        child_is_lost=True,
        suspect=not own_fault,
        unexplained=of_a_signal and code is FailureCode.ENGINE_ERROR,
    )


def _reason(ended: Ended, limits: SandboxLimits) -> tuple[FailureCode, str, bool]:
    died_of = -(ended.returncode or 0)
    how = ended.cause or _BY_SIGNAL.get(died_of)
    if how in _REASONS:
        return _REASONS[how](limits)
    said_so = any(words in ended.stderr for words in _MEMORY_WORDS)
    if said_so or ended.peak_bytes > limits.memory_bytes * _NEARLY:
        return _REASONS[Cause.MEMORY](limits)
    if died_of == signal.SIGKILL:
        message = "The engine was killed from outside while it read this document."
        return FailureCode.ENGINE_ERROR, message, True
    if ended.returncode is None:
        return FailureCode.ENGINE_ERROR, "The engine hung up on this document without an answer.", False
    shown = f"signal {died_of}" if died_of > 0 else f"exit code {ended.returncode}"
    return FailureCode.ENGINE_ERROR, f"The engine crashed on this document ({shown}).", False


def too_large(limits: SandboxLimits) -> Verdict:
    """The verdict on a document that is larger than any may be."""
    megabytes = limits.document_bytes // 2**20
    return Verdict(FailureCode.DOCUMENT_TOO_LARGE, f"The document is larger than {megabytes} MB.")


def nothing_there() -> Verdict:
    """The verdict when an answer claims a result that is not there."""
    return _nonsense()


def _nonsense() -> Verdict:
    message = "The engine broke its protocol on this document."
    return Verdict(FailureCode.ENGINE_ERROR, message, child_is_lost=True, suspect=True)


def _safe(message: str | None) -> str | None:
    if message is None:
        return None
    return "".join(char if char.isprintable() else " " for char in message[:_LONGEST_MESSAGE])
