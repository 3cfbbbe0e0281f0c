"""What FastAPI cannot see of the OpenAPI document: names of operations, the errors they answer, examples.

The errors follow from what an operation takes: a key, an id in its path, a body, a page. What follows from
nothing of it, a conflict or a full disk, stands in a table here.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.api.openapi_examples import ANSWERS, BODIES

ABOUT: Final = (
    "One document job over every file of a directory. It speaks the Batches API v2 of LlamaCloud: "
    "[what is the same and what differs](/docs/compatibility)."
)
PROBLEM: Final = "Problem"
INVALID: Final = "InvalidRequest"
SCHEMAS: Final[Mapping[str, Any]] = {
    PROBLEM: {
        "type": "object",
        "description": "Why a request is refused, for people.",
        "required": ["detail"],
        "properties": {"detail": {"type": "string"}},
    },
    INVALID: {
        "type": "object",
        "description": "What is wrong with the shape of a request, place by place.",
        "required": ["detail"],
        "properties": {
            "detail": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["type", "loc", "msg", "input"],
                    "properties": {
                        "type": {"type": "string"},
                        "loc": {
                            "type": "array",
                            "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                        },
                        "msg": {"type": "string"},
                        "input": {},
                    },
                },
            }
        },
    },
}
MEANING: Final[Mapping[int, str]] = {
    400: "It is well-formed, and cannot be done as asked.",
    401: "No key, or one that is unknown, revoked or expired.",
    403: "The key's role, or the link, is not enough.",
    404: "Unknown, deleted, or another project's.",
    408: "The body came too slowly.",
    409: "The state forbids it.",
    413: "The body, or a part of it, is too large.",
    422: "The shape is wrong.",
    429: "Too many requests; `Retry-After` says when the next is welcome.",
    503: "The database or the storage cannot be reached now.",
    507: "There is no room for an upload now; `Retry-After` says when to try again.",
}
UPLOADS: Final = frozenset(
    {
        "POST /api/v1/beta/files",
        "POST /api/v1/beta/directories/{directory_id}/files/upload",
        "POST /api/v2/parse/upload",
    }
)
CONFLICTS: Final[Mapping[str, str]] = {
    "POST /api/v1/beta/directories/{directory_id}/files": "Other bytes have this unique_id.",
    "POST /api/v1/beta/directories/{directory_id}/files/upload": "Other bytes have this unique_id.",
    "PATCH /api/v1/beta/directories/{directory_id}/files/{directory_file_id}": (
        "The unique_id is taken, or a batch reads the directory that the file would leave."
    ),
    "POST /api/v1/beta/configurations": "Somebody saved the same name at the same time; send it again.",
    "PUT /api/v1/beta/configurations/{config_id}": "Another configuration has the name.",
    "POST /api/v2/batches/{batch_id}/cancel": "The batch is final.",
    "POST /api/v2/batches/{batch_id}/pause": "The batch is final.",
    "POST /api/v2/batches/{batch_id}/resume": "The batch is final.",
    "POST /api/v2/batches/{batch_id}/redrive": "The batch is not final, or has no such files.",
    "GET /api/v2/batches/{batch_id}/export": "The batch is not final, and partial was not asked for.",
    "PATCH /api/v2/batches/{batch_id}": "The batch is final.",
    "POST /api/v2/parse/{job_id}/cancel": "The job is final.",
    "DELETE /api/v2/parse/{job_id}": "The job is not final, and force was not asked for.",
    "POST /api/v2/extract/{job_id}/cancel": "The job is final.",
    "DELETE /api/v2/extract/{job_id}": "The job is not final, and force was not asked for.",
}
"""Operations of tenants that may answer 409, and when."""

SUMMARIES: Final[Mapping[str, str]] = {
    "GET /health": "Say that it is alive",
    "GET /ready": "Say whether requests can be served",
    "GET /metrics": "Show numbers for Prometheus",
    "POST /api/v1/beta/files": "Upload a file",
    "POST /api/v1/beta/files/query": "List files, asked for by a body",
    "GET /api/v1/beta/files/{file_id}/content": "Make a link to a file's bytes",
    "GET /api/v1/beta/files/{file_id}/download": "Download a file by a link",
    "POST /api/v1/beta/directories/{directory_id}/files/bulk-delete": "Delete many files",
    "POST /api/v2/parse/upload": "Upload a file and parse it",
    "GET /api/v2/parse/versions": "List the versions of each tier",
    "GET /api/v2/parse/{job_id}/content/{part}": "Download a part of a result by a link",
    "GET /api/v2/batches/{batch_id}/events": "Follow a batch",
    "GET /api/v1/admin/health": "Look at the installation",
    "PUT /api/v1/admin/projects/{project_id}/retention": "Set a project's retention",
    "GET /api/v1/admin/projects/{project_id}/retention": "Get a project's retention",
    "GET /api/v1/admin/projects/{project_id}/purge": "Get a project's purge",
    "PUT /api/v1/admin/projects/{project_id}/lanes/{job_type}": "Set a lane's limits",
    "GET /api/v1/admin/audit": "List what operators did",
    "POST /api/v1/admin/webhook-deliveries/{delivery_id}/replay": "Send a webhook again",
}
"""Where the names of function and path do not make a sentence."""

ADMIN: Final = "/api/v1/admin/"
READS: Final = ("GET ", "HEAD ")
_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """The document with all that was missing; changed in place."""
    document["info"]["description"] = ABOUT
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(SCHEMAS)
    document["components"]["responses"] = {str(code): _answer(code, text) for code, text in MEANING.items()}
    for name, path, operation in operations(document):
        operation["summary"] = SUMMARIES.get(name) or _summary(path, operation)
        operation["responses"] = {**operation["responses"], **_errors(name, path, operation)}
        _add_examples(name, operation)
    return document


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation: `POST /a/{b}`, its path, and what the document says of it."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                yield f"{method.upper()} {path}", path, operation


def _summary(path: str, operation: Mapping[str, Any]) -> str:
    """From the name of the function and the last word of the path that is no parameter: 'Cancel a batch'."""
    function = re.sub(r"_(api_.*|health_get|ready_get|metrics_get)$", "", operation["operationId"])
    words = [part for part in path.split("/") if part and not part.startswith("{")]
    noun = words[-1].replace("_", " ").replace("-", " ")
    if function in ("list_pages", "list_all"):
        return f"List {_jobs(noun)}"
    own = noun if len(words) < 2 or noun != function.replace("_", " ") else words[-2]  # noqa: PLR2004
    if "_" in function:
        return function.replace("_", " ").capitalize()
    one = _jobs(own)
    one = {"batches": "batch", "directories": "directory"}.get(one, one.removesuffix("s"))
    return f"{function.capitalize()} {'an' if one[0] in 'aeio' else 'a'} {one}"


def _jobs(noun: str) -> str:
    return f"{noun} jobs" if noun in ("parse", "extract") else noun


def _errors(name: str, path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    queries = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    found = {400}
    if operation.get("security"):
        found |= {401, 429, 503}
    elif "signature" in queries:
        found |= {403, 503}
    if path.startswith(ADMIN):
        found |= {403} if name.startswith(READS) else {403, 409}
    if "{" in path or queries & {"project_id", "organization_id"}:
        found.add(404)
    if "requestBody" in operation:
        found |= {404, 408, 413}
    if "422" in operation["responses"] or "requestBody" in operation or queries:
        found.add(422)
    if name in UPLOADS:
        found.add(507)
    # What a page says itself counts.
    found -= {int(code) for code in operation["responses"] if code != "422"}
    answers = {str(code): {"$ref": f"#/components/responses/{code}"} for code in sorted(found)}
    conflicts = [CONFLICTS[name]] if name in CONFLICTS else []
    if any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", ())):
        conflicts.append("The same request is being carried out right now; send it again.")
    if conflicts:
        answers["409"] = _answer(409, " ".join(conflicts))
    return answers


def _answer(code: int, text: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{INVALID if code == 422 else PROBLEM}"}  # noqa: PLR2004
    answer: dict[str, Any] = {"description": text, "content": {"application/json": {"schema": schema}}}
    if code in (429, 503, 507):
        answer["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return answer


def _add_examples(name: str, operation: dict[str, Any]) -> None:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if name in BODIES:
            content["example"] = BODIES[name]
    if name in ANSWERS:
        success = min(code for code in operation["responses"] if code.startswith("2"))
        operation["responses"][success]["content"]["application/json"]["example"] = ANSWERS[name]
