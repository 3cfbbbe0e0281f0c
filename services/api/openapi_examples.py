"""Examples of bodies and answers, by operation, for the OpenAPI document."""

from typing import Any, Final

DIRECTORY: Final = "dir-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
FILE: Final = "dfl-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
CONFIGURATION: Final = "cfg-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
JOB: Final = {"type": "parse_v2", "id": "pjb-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"}
CONFIG: Final = {"job": {"type": "parse_v2", "configuration_id": CONFIGURATION}}
SCHEMA: Final = {"type": "object", "properties": {"total": {"type": "number"}}}


def _batch(status: str, *, results: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "id": "bat-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "project_id": "prj-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "source_directory_id": DIRECTORY,
        "config": CONFIG,
        "status": status,
        "created_at": "2026-11-27T18:11:19.117Z",
        "updated_at": "2026-11-27T18:11:19.117Z",
        "results": results,
    }


BODIES: Final[dict[str, Any]] = {
    "POST /api/v2/batches": {"source_directory_id": DIRECTORY, "config": CONFIG},
    "POST /api/v1/beta/directories": {"name": "invoices", "type": "user"},
    "PATCH /api/v1/beta/directories/{directory_id}": {"description": "of 2026"},
    "POST /api/v1/beta/directories/{directory_id}/files": {
        "file_id": "fil-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "unique_id": "2026/invoice-1042.pdf",
    },
    "PATCH /api/v1/beta/directories/{directory_id}/files/{directory_file_id}": {
        "target_directory_id": DIRECTORY
    },
    "POST /api/v1/beta/directories/{directory_id}/files/bulk-delete": {"directory_file_ids": [FILE]},
    "POST /api/v1/beta/configurations": {
        "name": "invoices",
        "parameters": {"product_type": "parse_v2", "tier": "cost_effective", "version": "latest"},
    },
    "POST /api/v2/parse": {"file_id": FILE, "tier": "cost_effective", "version": "latest"},
    "POST /api/v2/extract": {"file_input": FILE, "configuration": {"data_schema": SCHEMA}},
    "POST /api/v2/extract/schema/validation": {"data_schema": SCHEMA},
    "POST /api/v2/batches/{batch_id}/redrive": {"files": "failed"},
}
ANSWERS: Final[dict[str, Any]] = {
    "POST /api/v2/batches": _batch("PENDING"),
    "GET /api/v2/batches": {"items": [_batch("RUNNING")], "next_page_token": None, "total_size": None},
    "GET /api/v2/batches/{batch_id}": _batch(
        "COMPLETED",
        results=[{"source_directory_file_id": FILE, "job_reference": JOB, "error_message": None}],
    ),
    "POST /api/v2/batches/{batch_id}/cancel": _batch("RUNNING"),
}
