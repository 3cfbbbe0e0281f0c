"""The sandboxed child: `python -m services.worker.engines.child SETTINGS`. It reads documents and trusts
none.

One JSON line in on the first stdin is one document; one JSON line out on the first stdout is its answer. The
bytes of a small document come behind its line; those of a small result go behind its answer, which begins
with their number. Larger ones are files in the working folder. The end of stdin is the end of the child.

More documents may wait in stdin. Each is answered before the next is looked at, so an answer never waits for
a document that hangs, and whoever finds this process dead knows by the answers at which one it was.
"""

import errno
import importlib
import importlib.util
import json
import mimetypes
import os
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from services.worker.engines import limits as limiting
from services.worker.engines.options import select_pages
from services.worker.engines.port import MOST_BEHIND_AN_ANSWER, Engine, Refused, Rules, Source
from services.worker.engines.sniff import HEAD_BYTES, OFFICE, PAGED, Kind, kind_of
from shared.jobs.codes import FailureCode
from shared.jobs.result import ResultDocument, ResultTooLarge, ResultUnreadable, decode, encode

_TROUBLE_OF_OURS: Final = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)
)
_PDF: Final = b"%PDF-"
_READ_AT_ONCE: Final = 64 * 1024
_BY_RULES: Final = (
    "Values were found by rules: labels, layout, tables and patterns of the text. No model looked at it; "
    "what the rules do not find is null."
)


def main(settings: dict[str, Any]) -> None:
    """Serve until stdin ends. `settings`: `parent`, `limits`, `engines` (family to module name or file
    path), `version` (of the engines, as results say it)."""
    requests, answers = _take_pipes()
    limits = limiting.SandboxLimits(**settings["limits"])
    isolated = limiting.confine(
        limits, parent_pid=settings["parent"], folder=_own_folder(), readable=_own_code(settings["engines"])
    )
    # Libraries ask for the system's types of files when they are imported; the files with them lie outside.
    mimetypes.knownfiles.clear()
    _answer(answers, {"ready": True, "isolated": isolated})
    engines = _Engines(settings["engines"], settings["version"])
    while line := requests.readline():
        request = json.loads(line)
        given = request["given"]
        content = None if given is None else requests.read(given)
        began = time.perf_counter()
        limiting.start_of_file(limits)
        answer, packed = _serve(request, content, engines, limits)
        limiting.end_of_file()
        _answer(answers, {"id": request["id"], "seconds": time.perf_counter() - began, **answer}, packed)


def _own_code(engines: Mapping[str, str]) -> list[str]:
    """Where the program lies. Not the folder above it, which may hold the data folder of a stack."""
    root = Path(__file__).resolve().parents[3]
    named = [name for name in engines.values() if name.endswith(".py")]
    return [sys.prefix, sys.base_prefix, str(root / "services"), str(root / "shared"), *named]


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    # A parser that prints to descriptor 1, or reads from 0, must not be able to touch the protocol.
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    # Several small documents may wait in the pipe: they are taken at once.
    return os.fdopen(requests, "rb", _READ_AT_ONCE), os.fdopen(answers, "wb")


def _answer(answers: BinaryIO, answer: dict[str, Any], packed: bytes = b"") -> None:
    answers.write(b"%d %s\n%s" % (len(packed), json.dumps(answer).encode(), packed))
    answers.flush()


class _Engines:
    """Engine modules, imported when the first document needs them; `version` is of all of them."""

    def __init__(self, names: dict[str, str], version: str) -> None:
        self.version = version
        self._names = names
        self._loaded: dict[str, object] = {}

    def of(self, kind: Kind) -> Engine:
        return cast(Engine, self._load("paged" if kind in PAGED else "office" if kind in OFFICE else "text"))

    def rules(self) -> Rules:
        return cast(Rules, self._load("rules"))

    def _load(self, family: str) -> object:
        if family not in self._loaded:
            self._loaded[family] = _import(self._names[family])
        return self._loaded[family]


def _import(name: str) -> object:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(Path(name).stem, name)
    if spec is None or spec.loader is None:
        raise ImportError(f"no engine at {name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _serve(
    request: dict[str, Any], content: bytes | None, engines: _Engines, limits: limiting.SandboxLimits
) -> tuple[dict[str, Any], bytes]:
    """The answer for one document, and its result when that is small. Whatever goes wrong, there is an
    answer, or the process dies and the parent knows."""
    try:
        source = _source(request, content, limits)
        if isinstance(source, dict):
            return source, b""
        doc = replace(_document(source, request, engines), version=engines.version)
        return _store(doc, source, request)
    except Refused as refused:
        return _failed(refused.code, refused.message, retryable=refused.retryable), b""
    except (KeyboardInterrupt, SystemExit):
        raise
    # Wider than Exception: a panic of a native parser is none.
    except BaseException as error:  # noqa: BLE001
        traceback.print_exc()
        return _explained(error, limits), b""


def _source(
    request: dict[str, Any], content: bytes | None, limits: limiting.SandboxLimits
) -> Source | dict[str, Any]:
    """The document as an engine gets it, or the answer when it cannot be opened."""
    path = Path(request["path"])
    head = _head(path, limits.document_bytes) if content is None else content[:HEAD_BYTES]
    if isinstance(head, dict):
        return head
    kind = "" if request["parsed"] else kind_of(head, request["name"])
    if content is not None and not (kind == Kind.PDF and content.startswith(_PDF)):
        # Only the reader of PDFs takes bytes, and junk before their mark confuses it.
        path = _own_folder() / "document"
        path.write_bytes(content)
        content = None
    return Source(path, request["name"], kind, _own_folder(), limits.pages, limits.written_bytes, content)


@cache
def _own_folder() -> Path:
    """Where this process was started, and may write."""
    return Path.cwd()


def _explained(error: BaseException, limits: limiting.SandboxLimits) -> dict[str, Any]:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        size = f"{limits.memory_bytes // 2**20} MB"
        return _failed(
            FailureCode.OUT_OF_MEMORY, f"The document needs more memory than one file may use ({size})."
        )
    if isinstance(error, ImportError):
        return {"infra": f"an engine cannot be imported: {error.name or error}"}
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return _written_too_much(limits.written_bytes)
    if isinstance(error, OSError) and error.errno in _TROUBLE_OF_OURS:
        return {"infra": f"the sandbox's folder: {error.strerror}"}
    return _failed(FailureCode.ENGINE_ERROR, f"The engine failed on this document ({type(error).__name__}).")


def _document(source: Source, request: dict[str, Any], engines: _Engines) -> ResultDocument:
    """The document as the request wants it: read, or chosen out of what was read before; and its values."""
    if request["parsed"]:
        doc = _read_before(source, request["options"])
    else:
        doc = engines.of(Kind(source.kind)).parse(source, request["options"])
    if (wanted := request["extract"]) is None:
        return doc
    found = engines.rules().extract(doc, wanted)
    said = {"extract_engine": found.engine, "extract_note": _BY_RULES}
    return replace(doc, extraction=found, job_metadata={**doc.job_metadata, **said})


def _read_before(source: Source, options: Mapping[str, Any]) -> ResultDocument:
    try:
        doc = decode(source.path.read_bytes(), max_bytes=source.max_result_bytes)
    except ResultUnreadable as error:
        raise Refused(FailureCode.ENGINE_ERROR, "What the parse job stored cannot be read.") from error
    last = max((page.page_number for page in doc.pages), default=1)
    wanted = frozenset(select_pages(options, total=last, limit=source.max_pages))
    pages = tuple(page for page in doc.pages if page.page_number in wanted)
    if not pages:
        raise Refused(FailureCode.NO_DATA_FOUND_IN_FILE, "The parse job read none of the pages asked for.")
    return replace(doc, pages=pages)


def _store(doc: ResultDocument, source: Source, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    try:
        packed = encode(doc, max_bytes=source.max_result_bytes)
    except ResultTooLarge:
        return _written_too_much(source.max_result_bytes), b""
    if len(packed) > MOST_BEHIND_AN_ANSWER:
        Path(request["result"]).write_bytes(packed)
        packed = b""
    engine = doc.engine if doc.extraction is None else doc.extraction.engine
    said = {"code": None, "message": None, "retryable": False, "pages": len(doc.pages), "engine": engine}
    return said, packed


def _head(path: Path, most_bytes: int) -> bytes | dict[str, Any]:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES)
    except PermissionError:
        return {"unreadable": True}
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return _failed(FailureCode.ENGINE_ERROR, "The document is not where it should be.", retryable=True)
    if size > most_bytes:
        megabytes = most_bytes // 2**20
        return _failed(FailureCode.DOCUMENT_TOO_LARGE, f"The document is larger than {megabytes} MB.")
    return head


def _written_too_much(most: int) -> dict[str, Any]:
    size = f" of {most // 2**20} MB" if most >= 2**20 else ""
    return _failed(
        FailureCode.DOCUMENT_TOO_LARGE, f"What is in the document is over the limit{size} of one result."
    )


def _failed(code: FailureCode, message: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"code": code, "message": message, "retryable": retryable, "pages": 0, "engine": ""}


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
