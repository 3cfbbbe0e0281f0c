"""What the worker asks of a parser and what it gets back; and what a parser promises to the sandbox that runs
it.

Two sides meet here. Outside, the worker sees `Sandboxed`: a request in, an outcome out, nothing raised for a
bad document. Inside the sandboxed child, each engine module is an `Engine`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from shared.jobs.codes import FailureCode
from shared.jobs.result import Extraction, ResultDocument

MOST_BEHIND_A_REQUEST: Final = 256 * 1024
"""Bytes of a document that go to the child through its pipe. A larger one is a file."""
MOST_BEHIND_AN_ANSWER: Final = 64 * 1024
"""Bytes of a result that come back the same way."""


@dataclass(frozen=True, slots=True)
class ParseRequest:
    """One document to read. `path` may be read-only and need have no extension; `name` is what its owner
    calls it. `options` are the parameters of a `parse_v2` configuration; those that no engine knows are
    ignored. `parsed`: the path holds a result object, and only its pages are chosen anew. `extract`: take
    values out of it too, by rules; the parameters of an `extract_v2` configuration."""

    path: Path
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    parsed: bool = False
    extract: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The document has its end: `code` None is success. `message` is safe to show. `retryable` says that
    the same document might end otherwise another time. `result` is what a `.json.zst` file holds: the bytes
    of a small one, else a file that the receiver moves or uploads and then deletes; it stays valid until the
    sandbox is closed. `seconds` is wall time, of the reader alone when it read ahead."""

    code: FailureCode | None
    message: str | None
    retryable: bool
    pages: int
    engine: str
    result: Path | bytes | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Again:
    """The document has no end yet and is not to blame: run it again, not before `after` seconds."""

    after: float
    reason: str


@dataclass(frozen=True, slots=True)
class Infra:
    """We are broken, not the document: disk full, a child that cannot start. Test yourself before going
    on."""

    reason: str


Outcome = Done | Again | Infra


class Sandboxed(Protocol):
    """Reads untrusted documents, one at a time."""

    async def run(
        self, request: ParseRequest, *, project_id: str, ahead: Iterable[ParseRequest] = ()
    ) -> Outcome:
        """Read one document. Raises nothing for what a document can do. Cancelling it kills the reader; the
        next `run` works.

        `ahead` are the requests that will probably follow, in their order, taken only as far as they are
        wanted. Some may be read before they are asked for; each has its outcome from its own `run`."""
        ...

    async def kill(self) -> None:
        """End the document in progress, if any: its `run` answers `Again`. The next `run` works."""
        ...

    async def close(self) -> None:
        """End everything and delete every file, results not yet taken included."""
        ...


class Extractor(Protocol):
    """Takes the values of a schema out of a document that was read, by asking somebody outside the
    sandbox."""

    async def extract(
        self, document: ResultDocument, parameters: Mapping[str, Any]
    ) -> "Extraction | Done | Again | Infra":
        """The values, or how the document ends instead, or when to ask again. Raises nothing for what an
        endpoint can do."""
        ...

    def not_now(self) -> "Again | Infra | None":
        """Why no question would be sent now; None when one would. Told before a document is read for it."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A document as an engine gets it: sniffed, and with a folder of its own to write in. `kind` is a word
    of `sniff.Kind`; `max_pages` and `max_result_bytes` are limits of the installation, not wishes of the
    caller. `content` are the bytes of a small PDF: then there is nothing at `path`."""

    path: Path
    name: str
    kind: str
    folder: Path
    max_pages: int
    max_result_bytes: int
    content: bytes | None = None


class Refused(Exception):
    """The document cannot be read, and this is why; `message` is safe to show."""

    def __init__(self, code: FailureCode, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable


class Engine(Protocol):
    """The shape of an engine module. It is imported in the child when the first document needs it."""

    def parse(self, source: Source, options: Mapping[str, Any]) -> ResultDocument:
        """Read the document. Raises `Refused`; `OSError` for trouble with the disk; anything else is a
        defect and ends the document as ENGINE_ERROR."""
        ...


class Rules(Protocol):
    """The shape of the module that takes values out by rules. It runs in the child, on untrusted text."""

    def extract(self, document: ResultDocument, parameters: Mapping[str, Any]) -> Extraction:
        """The values of `data_schema`; null where the document gives none. Raises `Refused`
        (SCHEMA_INVALID); anything else is a defect and ends the document as ENGINE_ERROR."""
        ...
