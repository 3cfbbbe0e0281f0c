"""Derives the table of facts from an OpenAPI document of the hosted API.

`python -m tests.services.api.parity.derive SCHEMA.json` writes `facts.json` beside this file.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.services.api.parity.shapes import shape_of

TABLE = Path(__file__).with_name("facts.json")
NEWER: Mapping[str, Any] = {
    # What the Python client 2.19.0 has, and the public document has not yet.
    "DELETE /api/v2/parse/{job_id}": {
        "success": "200",
        "query": {"project_id": {"or": ["string", "null"]}, "organization_id": {"or": ["string", "null"]}},
        "answer": {"fields": {"id": "string", "project_id": "string"}, "needed": ["id", "project_id"]},
    },
    "GET /api/v2/webhook-configs": {
        "success": "200",
        "query": {
            "include_total": {"or": ["boolean", "null"]},
            "organization_id": {"or": ["string", "null"]},
            "page_size": {"or": ["integer", "null"]},
            "page_token": {"or": ["string", "null"]},
            "project_id": {"or": ["string", "null"]},
        },
        "answer": {
            "fields": {
                "items": {"list": "@WebhookConfigResponse"},
                "next_page_token": {"or": ["string", "null"]},
                "total_size": {"or": ["integer", "null"]},
            },
            "needed": ["items"],
        },
    },
}
NEWER_FIELDS: Mapping[str, Mapping[str, Any]] = {
    # The same, for fields of shapes.
    "ExtractConfiguration": {"advanced_citations": {"or": ["boolean", "null"]}},
    "ExtractV2Parameters": {"advanced_citations": {"or": ["boolean", "null"]}},
    "FormsResultPage": {"detected_form_types": {"or": [{"list": "string"}, "null"]}},
    "LlamaParseMarkdownOptions": {"annotate_line_numbers": {"or": ["boolean", "null"]}},
    "LlamaParseOutputOptions": {
        "watermark_handling": {"or": [{"values": ["move_to_end", "move_to_start", "remove"]}, "null"]}
    },
    "LlamaParsePresentationOptions": {"include_hidden_slides": {"or": ["boolean", "null"]}},
    "MarkdownResultPage": {"line_numbers": {"or": [{"list": "@LineNumber"}, "null"]}},
    "MetadataResult": {"document": {"or": ["@DocumentMetadata", "null"]}},
    "MetadataResultPage": {"watermark": {"or": ["string", "null"]}},
    "ParseVersionsResponse": {"latest": "@LatestVersions"},
    "LineNumber": {"line_number": "integer", "start_index": "integer", "end_index": "integer"},
    "DocumentMetadata": {
        "confidence": {"or": ["number", "null"]},
        "confidence_breakdown": {"or": ["@ConfidenceBreakdown", "null"]},
    },
    "ConfidenceBreakdown": {
        "min_page_score": {"or": ["number", "null"]},
        "scored_pages": {"or": ["integer", "null"]},
        "total_pages": {"or": ["integer", "null"]},
    },
    "LatestVersions": dict.fromkeys(("fast", "cost_effective", "agentic", "agentic_plus"), "string"),
}
NEWER_EVENTS = [f"verify.{state}" for state in ("pending", "running", "success", "error", "cancelled")]
FORMS: Mapping[str, Any] = {
    # The document leaves this form out; both official clients send it.
    "POST /api/v2/parse/upload": {
        "media": "multipart/form-data",
        "shape": {
            "fields": {"file": "string", "configuration": "string"},
            "needed": ["configuration", "file"],
        },
    },
}


def facts_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The table: operations, and the shapes that they name."""
    operations = {
        f"{method.upper()} {path}": _operation(operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
    }
    for name, body in FORMS.items():
        operations[name]["body"] = body
    operations = dict(sorted({**operations, **NEWER}.items()))
    schemas = document["components"]["schemas"]
    shapes = {name: _with_newer_events(shape_of(schema)) for name, schema in schemas.items()}
    return {
        "operations": operations,
        "shapes": {name: shapes[name] for name in _named_in(operations, shapes)},
    }


def _with_newer_events(shape: Any) -> Any:
    if isinstance(shape, list):
        return [_with_newer_events(one) for one in shape]
    if not isinstance(shape, dict):
        return shape
    if "batch.pending" in shape.get("values", ()):
        return {"values": sorted({*shape["values"], *NEWER_EVENTS})}
    return {name: _with_newer_events(one) for name, one in shape.items()}


def _named_in(operations: Any, shapes: Mapping[str, Any]) -> list[str]:
    found: set[str] = set()
    waiting = [operations]
    while waiting:
        new = set(re.findall(r'"@(\w+)"', json.dumps(waiting.pop()))) - found
        found |= new
        waiting += [shapes[name] for name in new]
    return sorted(found)


def _operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    success = min(code for code in operation["responses"] if code.startswith("2"))
    made: dict[str, Any] = {"success": success}
    query = {
        one["name"]: shape_of(one["schema"])
        for one in operation.get("parameters", ())
        if one["in"] == "query"
    }
    if query:
        made["query"] = query
    needed = sorted(
        one["name"] for one in operation.get("parameters", ()) if one["in"] == "query" and one.get("required")
    )
    if needed:
        made["query_needed"] = needed
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        made["body"] = {"media": media, "shape": shape_of(content["schema"])}
    answer = operation["responses"][success].get("content", {}).get("application/json")
    if answer is not None:
        made["answer"] = shape_of(answer["schema"])
    return made


def write(facts: Mapping[str, Any], to: Path) -> None:
    """One line for each operation and each shape, so that a difference can be read."""
    parts = (
        f'"{part}": {{\n'
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in facts[part].items())
        + "\n}"
        for part in ("operations", "shapes")
    )
    to.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write(facts_of(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), TABLE)
