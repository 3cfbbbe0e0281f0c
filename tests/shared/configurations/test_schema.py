"""Which schemas an extraction can work with, and that no schema is looked at for long."""

import time
from typing import Any

import pytest

from shared.configurations.schema import SchemaRefused, check_schema

TEXT = {"type": "string"}


def with_(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def nested(levels: int, inner: dict[str, Any] | None = None) -> dict[str, Any]:
    """So many levels of properties."""
    found = TEXT if inner is None else inner
    for _ in range(levels):
        found = with_(a=found)
    return found


def in_not(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"not": found}
    return found


def doubling(levels: int, keyword: str) -> dict[str, Any]:
    """Each definition names the one before it twice."""
    twice: dict[str, Any] = {"d0": TEXT}
    for n in range(1, levels):
        link = {"$ref": f"#/$defs/d{n - 1}"}
        twice[f"d{n}"] = {keyword: {"a": link, "b": link} if keyword == "properties" else [link, dict(link)]}
    return {**with_(a={"$ref": f"#/$defs/d{levels - 1}"}), "$defs": twice}


@pytest.mark.parametrize(
    "schema",
    [
        with_(a=TEXT),
        with_(a={"type": ["string", "null"], "default": None, "enum": ["x", None]}),
        with_(default={"type": "number"}, properties=TEXT, enum=TEXT),
        with_(a={"anyOf": [TEXT, {"type": "null"}]}, b={"type": "array", "items": with_(c=TEXT)}),
        {**with_(a={"$ref": "#/$defs/x"}, b={"$ref": "#/$defs/x"}), "$defs": {"x": with_(c=TEXT)}},
        {**with_(a=TEXT), "$schema": "http://json-schema.org/draft-07/schema#", "title": "t", "x-own": [{}]},
        with_(a=True),
        nested(7),
        with_(**{f"p{n}": {} for n in range(5_000)}),
        with_(a={"pattern": r"^[A-Z]{2}\d{2}[{}()A-Z0-9]{1,30}\{9999\}$"}, b={"pattern": "(.{1,200}){50}"}),
    ],
)
def test_good_ones(schema: dict[str, Any]) -> None:
    check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "path", "reason"),
    [
        ({}, "$.type", "object"),
        ({"type": ["object", "null"], "properties": {"a": TEXT}}, "$.type", "object"),
        ({"type": "object"}, "$.properties", "must have properties"),
        ({"type": "object", "properties": {}}, "$.properties", "must have properties"),
        ({"type": "object", "properties": [1]}, "$.properties", "must have properties"),
        (with_(a={"type": "text"}), "$.properties.a.type", "not valid"),
        (with_(a=5), "$.properties.a", "not of type"),
        (with_(a={"default": 0}), "$.properties.a.default", "must be null"),
        (with_(a={"items": {"default": "x"}}), "$.properties.a.items.default", "must be null"),
        (with_(a={"pattern": "("}), "$.properties.a.pattern", "regex"),
        (with_(a={"pattern": "a{99999999999}"}), "$", "pattern"),
        (with_(a={"pattern": "((a{100}){100}){100}"}), "$.properties.a", "more than 20,000 steps"),
        (with_(a={"patternProperties": {"(a{200}[)]{,200}){0,200}": {}}}), "$.properties.a", "steps"),
        (with_(a={"pattern": "((ab){,200}){,200}"}), "$.properties.a", "steps"),
        (with_(a={"pattern": "(?x)(a{200}#)\n){200}"}), "$.properties.a", "flag x"),
        (with_(a={"pattern": "a" * 1_001}), "$.properties.a", "1,000 characters"),
        (with_(a={"multipleOf": 10**400}), "$", "too large"),
        ({**with_(a=TEXT), "x-own": [0] * 100_000}, "$", "100,000 names and values"),
        (with_(a={"$ref": "https://example.com/s.json"}), "$.properties.a.$ref", "in this schema"),
        (with_(a={"$ref": "other.json#/a"}), "$.properties.a.$ref", "in this schema"),
        (with_(a={"$ref": "#/$defs/none"}), "$.properties.a.$ref", "nothing is at"),
        (with_(a={"$ref": "#/type"}), "$.properties.a.$ref", "no schema"),
        (with_(a={"$ref": "#"}), "$.properties.a.$ref", "leads back"),
        (with_(a={"$dynamicRef": "#x"}), "$.properties.a.$dynamicRef", "only $ref"),
        (with_(a={"$id": "https://example.com"}), "$.properties.a.$id", "id of its own"),
        (with_(a={"required": [{}] * 1_000}), "$.properties.a", "lists of strings"),
        (nested(8), "$", "7 levels"),
        (with_(a={"$ref": "#/$defs/x"}) | {"$defs": {"x": nested(7)}}, "$", "7 levels"),
        (in_not(70) | with_(a=TEXT), "$.not", "keywords"),
        (with_(**{f"p{n}": {} for n in range(5_001)}), "$", "5,001 properties"),
        (with_(**{"p" * 120_001: TEXT}), "$", "names, descriptions"),
        (with_(a={"description": "d" * 120_001}), "$", "names, descriptions"),
        (with_(a={"enum": ["e" * 1_000] * 121}), "$", "names, descriptions"),
        (with_(a={"x-own": "o" * 150_000}), "$", "characters"),
        (with_(a={"allOf": [{}] * 3 + [dict[str, Any]() for _ in range(10_001)]}), "$", "10,000 subschemas"),
        (doubling(24, "allOf"), "$", "lead to more than"),
        (doubling(8, "properties"), "$", "7 levels"),
        (in_not(20_000), "$", "deeper than 160"),
        (with_(a={"const": float("inf")}), "$", "not finite"),
        (with_(**{"a\ud800": TEXT}), "$", "not Unicode"),
        (with_(a={"const": "\0"}), "$", "NUL"),
    ],
)
def test_bad_ones_are_told_where_and_why(schema: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(SchemaRefused) as refused:
        check_schema(schema)
    assert refused.value.path.startswith(path)
    assert reason in refused.value.reason
    assert len(str(refused.value)) < 500


def test_the_dearest_good_one_takes_seconds_and_not_minutes() -> None:
    schema = with_(a={"allOf": [dict[str, Any]() for _ in range(9_990)]})
    started = time.monotonic()
    check_schema(schema)
    assert time.monotonic() - started < 20
