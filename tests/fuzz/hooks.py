"""What the fuzzing program is taught: which things it must not end, and which findings are none.

It is loaded by `st`, in a process of its own (`sessions`).
"""

import atexit
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import EnsureResourceAvailability, IgnoredAuth, UndefinedContentType

from tests.fuzz.stage import Stage

STAGE: Final = Stage.load(Path(os.environ["FUZZ_STAGE"]))
KEPT: Final = frozenset(one for several in STAGE.kept.values() for one in several)
SPENT: Final = {name: list(several) for name, several in STAGE.spent.items()}
ENDINGS: Final = ("/revoke", "/rotate", "/purge", "/drain")
NOTHING: Final = "00000000-0000-0000-0000-000000000000"
TOO_MANY: Final = 429
WAITS: Final = frozenset({"true", "1", "1.0", "on", "t", "y", "yes", ""})
answers: Counter[str] = Counter()
"""By status."""


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Whoever wants to end a thing that is kept gets another one."""
    path = case.operation.path
    if path.endswith("/events") and str((case.query or {}).get("wait", True)).lower() in WAITS:
        # A stream of events has no end before its batch has.
        case.query = {**(case.query or {}), "wait": "false"}
    ends = case.method == "DELETE" or (case.method == "POST" and path.endswith(ENDINGS))
    moves = case.method == "PATCH" and "directory_file_id" in path
    if not (ends or moves):
        return
    for name, value in list((case.path_parameters or {}).items()):
        if value in KEPT and not (name == "directory_id" and "directory_file_id" in path):
            case.path_parameters[name] = _another(name, path)


def _another(name: str, path: str) -> str:
    if name == "job_id":
        name = "extract_job_id" if "/extract/" in path else "parse_job_id"
    left = SPENT.get(name)
    return left.pop() if left else NOTHING


@schemathesis.hook
def after_call(_context: HookContext, _case: Case[Any], response: Response) -> None:
    """Every answer is counted."""
    answers[str(response.status_code)] += 1


@schemathesis.hook
def filter_failure(_context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Findings that are none are dropped, each with its reason."""
    return not any(excuse(failure, case, response) for excuse in EXCUSES)


def empty_query_value(failure: Failure, _case: Case[Any], response: Response) -> bool:
    """`name=` is as good as no `name` (contract 3): clients send null that way."""
    query = (response.request.url or "").partition("?")[2]
    return isinstance(failure, AcceptedNegativeData) and any(
        not part.partition("=")[2] for part in query.split("&")
    )


def in_another_project(failure: Failure, case: Case[Any], _response: Response) -> bool:
    """What was made is not there for somebody who asks in a project that is not the key's."""
    project = (case.query or {}).get("project_id")
    return isinstance(failure, EnsureResourceAvailability) and project not in {
        None,
        *STAGE.kept["project_id"],
    }


def free_expand(failure: Failure, case: Case[Any], _response: Response) -> bool:
    """What to expand is read as text, and what nobody knows is left in peace (contract 2.5)."""
    return isinstance(failure, AcceptedNegativeData) and "expand" in (case.query or {})


def many_wrong_keys(failure: Failure, _case: Case[Any], _response: Response) -> bool:
    """Who sent many wrong keys is told so by 429 instead of 401 (decision 21). The response at hand is that
    to the right key; what the wrong one was told stands in the message."""
    return isinstance(failure, IgnoredAuth) and f"`{TOO_MANY} " in failure.message


def not_http(failure: Failure, _case: Case[Any], response: Response) -> bool:
    """What is no HTTP is answered before there is a request, in plain text."""
    return isinstance(failure, UndefinedContentType) and response.text == "Invalid HTTP request received."


EXCUSES: Final = (empty_query_value, in_another_project, free_expand, many_wrong_keys, not_http)


def _tell() -> None:
    Path(os.environ["FUZZ_TALLY"]).write_text(json.dumps(answers))


atexit.register(_tell)
