"""Answers about pieces of a document, made one: values that may be believed, and where each was found."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.worker.llm.grounding import Found, Ground
from services.worker.llm.schema import items_of, properties_of, resolve


@dataclass(frozen=True, slots=True)
class Taken:
    """Values, and a tree of the same shape with the page, the words and the confidence of each."""

    data: Any
    fields: Any


def believe(root: Mapping[str, Any], schema: Any, value: Any, ground: Ground) -> Taken:
    """What of an answer stands in the document; the rest is null. An item of a list of which nothing is left
    goes."""
    if isinstance(value, dict):
        named = properties_of(root, schema)
        parts = {key: believe(root, named.get(key, {}), each, ground) for key, each in value.items()}
        return Taken({k: p.data for k, p in parts.items()}, {k: p.fields for k, p in parts.items()})
    if isinstance(value, list):
        each = items_of(root, schema)
        items = [taken for item in value if not is_empty((taken := believe(root, each, item, ground)).data)]
        return Taken([item.data for item in items], [item.fields for item in items])
    shape = resolve(root, schema)
    found = ground.find(value, chosen="enum" in shape or "const" in shape)
    return Taken(None if found is None else value, entry(found))


def entry(found: Found | None) -> dict[str, Any]:
    """One field as contract 2.6 shows it."""
    if found is None:
        return {"citation": [], "confidence": 0.0}
    cited = [] if found.page is None else [{"page": found.page, "matching_text": found.text}]
    return {"citation": cited, "confidence": found.confidence}


def merge(first: Taken, second: Taken, *, repeats: bool = False) -> Taken:
    """What `first` says, and what only `second` does; lists one after the other, without repeats unless they
    are wanted."""
    if is_empty(first.data):
        return second
    if isinstance(first.data, dict) and isinstance(second.data, dict):
        keys = [*first.data, *(key for key in second.data if key not in first.data)]
        both = {key: merge(_part(first, key), _part(second, key), repeats=repeats) for key in keys}
        return Taken({k: p.data for k, p in both.items()}, {k: p.fields for k, p in both.items()})
    if isinstance(first.data, list) and isinstance(second.data, list):
        seen = {_key(item) for item in first.data}
        new = [place for place, item in enumerate(second.data) if repeats or _key(item) not in seen]
        return Taken(
            first.data + [second.data[place] for place in new],
            first.fields + [second.fields[place] for place in new],
        )
    return first


def is_empty(value: Any) -> bool:
    """Is there nothing in it but null?"""
    if isinstance(value, dict):
        return all(is_empty(each) for each in value.values())
    if isinstance(value, list):
        return all(is_empty(each) for each in value)
    return value is None


def is_settled(value: Any) -> bool:
    """Could another piece add nothing? Only where no value is null and no list can grow."""
    if isinstance(value, dict):
        return all(is_settled(each) for each in value.values())
    return value is not None and not isinstance(value, list)


def annotate(data: Any, fields: Any) -> Any:
    """The tree of fields with an entry for each value that has none yet."""
    if isinstance(data, dict):
        have = fields if isinstance(fields, dict) else {}
        return {key: annotate(each, have.get(key)) for key, each in data.items()}
    if isinstance(data, list):
        have_items = fields if isinstance(fields, list) else []
        return [
            annotate(item, have_items[place] if place < len(have_items) else None)
            for place, item in enumerate(data)
        ]
    return fields if isinstance(fields, dict) and "confidence" in fields else entry(None)


def _part(taken: Taken, key: str) -> Taken:
    fields = taken.fields if isinstance(taken.fields, dict) else {}
    return Taken(taken.data.get(key), fields.get(key, entry(None)))


def _key(item: Any) -> str:
    return json.dumps(item, sort_keys=True, default=str)
