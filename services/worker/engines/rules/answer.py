"""What was found, in the shape of the schema: the data, the metadata of each field, and what is missing."""

from collections.abc import Callable, Mapping
from typing import Any

from services.worker.engines.rules.fill import Found
from services.worker.engines.rules.schema import Group, Leaf, Many, Node

Values = Mapping[tuple[str, ...], Found]
Rows = Callable[[Many], list[Values]]


def shaped(node: Node, values: Values, rows: Rows) -> tuple[Any, Any]:
    """Data and metadata of one node. A leaf without a value is null in both; an object that may be null is,
    when nothing of it was found."""
    if isinstance(node, Leaf):
        found = values.get(node.path)
        return (None, None) if found is None else (found.value, entry(found))
    if isinstance(node, Many):
        pairs = [shaped(node.item, row, _no_rows) for row in rows(node)]
        return [data for data, _ in pairs], [fields for _, fields in pairs]
    parts = {name: shaped(part, values, rows) for name, part in node.fields.items()}
    data = {name: value for name, (value, _) in parts.items()}
    fields = {name: meta for name, (_, meta) in parts.items() if meta is not None}
    if node.nullable and all(is_empty(value) for value in data.values()):
        return None, None
    return data, fields


def _no_rows(_many: Many) -> list[Values]:
    return []


def entry(found: Found) -> dict[str, Any]:
    """The metadata of one field."""
    return {
        "confidence": round(found.sure * found.trust, 3),
        "extraction_confidence": round(found.sure, 3),
        "parsing_confidence": round(found.trust, 3),
        "citation": [{"page": page, "matching_text": text} for page, text in found.sources],
    }


def is_empty(value: Any) -> bool:
    """Whether nothing was found in it."""
    if isinstance(value, dict):
        return all(is_empty(part) for part in value.values())
    return value is None or value == []


def missing(node: Node, data: Any, path: str = "") -> list[str]:
    """The paths of required fields that are empty. Of an object that is optional and empty, none."""
    if isinstance(node, Group) and isinstance(data, dict):
        found = []
        for name, part in node.fields.items():
            value, below = data.get(name), f"{path}.{name}" if path else name
            wanted = name in node.required
            inner = missing(part, value, below) if wanted or not is_empty(value) else []
            found += inner or ([below] if wanted and is_empty(value) else [])
        return found
    if isinstance(node, Many) and isinstance(data, list):
        return [lost for at, item in enumerate(data) for lost in missing(node.item, item, f"{path}[{at}]")]
    return []
