"""The sandboxed child: `python -m services.worker.engines.child SETTINGS`. It reads documents and trusts
none.

One JSON line in on the first stdin is one document; one JSON line out on the first stdout is its answer. The
end of stdin is the end of the child. Results go to a file in its working folder, never through the pipe.
"""

import errno
import importlib
import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from services.worker.engines import limits as limiting
from services.worker.engines.port import Engine, Refused, Source
from services.worker.engines.sniff import HEAD_BYTES, PAGED, Kind, kind_of
from shared.jobs.codes import FailureCode
from shared.jobs.result import ResultDocument, ResultTooLarge, encode

_TROUBLE_OF_OURS: Final = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)
)


def main(settings: dict[str, Any]) -> None:
    """Serve until stdin ends. `settings`: `parent`, `limits`, `engines` (family to module name or file
    path)."""
    requests, answers = _take_pipes()
    limits = limiting.SandboxLimits(**settings["limits"])
    isolated = limiting.confine(limits, parent_pid=settings["parent"])
    _answer(answers, {"ready": True, "isolated": isolated})
    engines = _Engines(settings["engines"])
    for line in requests:
        request = json.loads(line)
        limiting.start_of_file(limits)
        answer = _serve(request, engines, limits)
        limiting.end_of_file()
        _answer(answers, {"id": request["id"], **answer})


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    # A parser that prints to descriptor 1, or reads from 0, must not be able to touch the protocol.
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return os.fdopen(requests, "rb"), cast(BinaryIO, os.fdopen(answers, "wb", buffering=0))


def _answer(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")


class _Engines:
    """Engine modules, imported when the first document needs them."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._loaded: dict[str, Engine] = {}

    def of(self, kind: Kind) -> Engine:
        family = "paged" if kind in PAGED else "text"
        if family not in self._loaded:
            self._loaded[family] = cast(Engine, _import(self._names[family]))
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


def _serve(request: dict[str, Any], engines: _Engines, limits: limiting.SandboxLimits) -> dict[str, Any]:
    """The answer for one document. Whatever goes wrong, there is one, or the process dies and the parent
    knows."""
    try:
        path = Path(request["path"])
        head = _head(path, limits.document_bytes)
        if isinstance(head, dict):
            return head
        kind = kind_of(head, request["name"])
        source = Source(path, request["name"], kind, Path.cwd(), limits.pages, limits.written_bytes)
        return _parse(source, request, engines)
    except Refused as refused:
        return _failed(refused.code, refused.message, retryable=refused.retryable)
    except (KeyboardInterrupt, SystemExit):
        raise
    # Wider than Exception: a panic of a native parser is none.
    except BaseException as error:  # noqa: BLE001
        traceback.print_exc()
        return _explained(error)


def _explained(error: BaseException) -> dict[str, Any]:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return _failed(FailureCode.OUT_OF_MEMORY, "The document needs more memory than one file may use.")
    if isinstance(error, ImportError):
        return {"infra": f"an engine cannot be imported: {error.name or error}"}
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return _written_too_much(None)
    if isinstance(error, OSError) and error.errno in _TROUBLE_OF_OURS:
        return {"infra": f"the sandbox's folder: {error.strerror}"}
    return _failed(FailureCode.ENGINE_ERROR, f"The engine failed on this document ({type(error).__name__}).")


def _parse(source: Source, request: dict[str, Any], engines: _Engines) -> dict[str, Any]:
    doc: ResultDocument = engines.of(Kind(source.kind)).parse(source, request["options"])
    try:
        packed = encode(doc, max_bytes=source.max_result_bytes)
    except ResultTooLarge:
        return _written_too_much(source.max_result_bytes)
    Path(request["result"]).write_bytes(packed)
    return {"code": None, "message": None, "retryable": False, "pages": len(doc.pages), "engine": doc.engine}


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


def _written_too_much(most: int | None) -> dict[str, Any]:
    size = f" of {most // 2**20} MB" if most and most >= 2**20 else ""
    return _failed(
        FailureCode.DOCUMENT_TOO_LARGE, f"What is in the document is over the limit{size} of one result."
    )


def _failed(code: FailureCode, message: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"code": code, "message": message, "retryable": retryable, "pages": 0, "engine": ""}


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
