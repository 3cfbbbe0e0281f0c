"""Two forms of a user's schema, and what an answer becomes that does not keep to it."""

import time
from typing import Any

import pytest

from services.worker.llm.language_model import object_in
from services.worker.llm.schema import SchemaUnusable, fill, hold_to, missing, rows_of, to_ask

ORDER: dict[str, Any] = {
    "type": "object",
    "$defs": {
        "Item": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "price": {"type": "number", "minimum": 0}},
            "required": ["name", "price"],
        }
    },
    "properties": {
        "currency": {"enum": ["EUR", "USD"]},
        "mail": {"type": "string", "format": "email"},
        "day": {"type": "string", "format": "date"},
        "code": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "vendor": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "address": {"type": "string"}},
            "required": ["name"],
        },
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
    },
    "required": ["currency", "vendor", "items"],
}


def test_a_model_may_abstain_from_everything() -> None:
    asked = to_ask(ORDER)
    assert asked.strict
    properties = asked.schema["properties"]
    assert asked.schema["required"] == list(ORDER["properties"])
    assert asked.schema["additionalProperties"] is False
    assert properties["currency"] == {"enum": ["EUR", "USD", None]}
    assert properties["mail"] == {"type": ["string", "null"]}
    assert properties["vendor"]["type"] == ["object", "null"]
    assert properties["vendor"]["required"] == ["name", "address"]
    assert asked.schema["$defs"]["Item"]["properties"]["price"] == {"type": ["number", "null"]}
    assert asked.schema["$defs"]["Item"]["type"] == "object"


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"type": ["string", "integer"]}, {"type": ["string", "integer", "null"]}),
        ({"const": "x"}, {"enum": ["x", None]}),
        ({"$ref": "#/$defs/A"}, {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}),
        ({"oneOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"type": "string", "maxLength": 3, "default": "a"}, {"type": ["string", "null"]}),
        ({"allOf": [{"type": "string"}]}, {"type": ["string", "null"]}),
    ],
    ids=["two types", "const", "reference", "choice", "bounds", "all of one"],
)
def test_each_form_of_a_leaf_may_be_null(given: dict[str, Any], asked: dict[str, Any]) -> None:
    assert to_ask({"type": "object", "properties": {"a": given}}).schema["properties"]["a"] == asked


def test_an_object_that_may_hold_anything_is_not_asked_for_strictly() -> None:
    assert not to_ask({"type": "object", "properties": {"any": {"type": "object"}}}).strict


def test_what_breaks_the_schema_is_null_and_the_rest_stays() -> None:
    answer = {
        "currency": "GBP",
        "mail": "nobody",
        "day": "2024-02-31",
        "code": "abc",
        "vendor": {"name": 7, "address": "Main Street", "hacked": True},
        "items": [{"name": "nut", "price": -1}, "no item", {"name": "bolt", "price": 2, "extra": 1}],
        "hacked": True,
    }
    assert hold_to(ORDER, answer) == {
        "currency": None,
        "mail": None,
        "day": None,
        "code": None,
        "vendor": {"name": None, "address": "Main Street"},
        "items": [{"name": "nut", "price": None}, {"name": "bolt", "price": 2}],
    }


def test_what_keeps_to_the_schema_stays_as_it_is() -> None:
    answer: dict[str, Any] = {
        "currency": "EUR",
        "mail": "a@b.example",
        "day": "2024-02-29",
        "code": "DE",
        "vendor": None,
        "items": [],
    }
    assert hold_to(ORDER, answer) == answer


def test_an_answer_of_another_kind_holds_nothing() -> None:
    assert hold_to(ORDER, ["a list"]) == {}


def test_what_is_required_and_null_is_named() -> None:
    found = fill(ORDER, {"vendor": None, "items": [{"name": "nut"}, {"name": None, "price": 1}]})
    assert found["vendor"] == {"name": None, "address": None}
    assert found["items"][0] == {"name": "nut", "price": None}
    assert list(missing(ORDER, found)) == ["currency", "vendor.name", "items[0].price", "items[1].name"]


def test_a_schema_that_holds_itself_is_filled_as_far_as_the_answer_goes() -> None:
    tree = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "below": {"$ref": "#"}},
    }
    assert fill(tree, {"name": "a", "below": {"name": "b"}}) == {
        "name": "a",
        "below": {"name": "b", "below": None},
    }
    assert hold_to(tree, {"name": "a", "below": {"name": 1}}) == {"name": "a", "below": {"name": None}}


def test_nothing_is_fetched_for_a_reference() -> None:
    with pytest.raises(SchemaUnusable):
        hold_to(
            {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/schema"}}},
            {"a": "anything"},
        )


def test_a_pattern_that_never_ends_costs_a_moment() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a|a?)+$"}}}
    started = time.monotonic()
    assert hold_to(schema, {"a": "a" * 60 + "!"}) == {"a": None}
    assert time.monotonic() - started < 5


def test_no_pattern_of_names_holds_the_process() -> None:
    # Python's own expressions cannot be interrupted: before, this test never came to its end.
    name = "a" * 60 + "!"
    slow = {"patternProperties": {"(a+)+$": False}}
    for asked in ({"not": {**slow, "required": ["b"]}}, {"if": {**slow, "additionalProperties": False}}):
        schema = {"type": "object", "properties": {name: {"type": "string"}}, **asked}
        assert hold_to(schema, {name: "x"}) == {name: "x"}


def test_a_number_that_is_no_float_is_no_value() -> None:
    answer = object_in('{"a": %s}' % ("9" * 400))
    schema = {"type": "object", "properties": {"a": {"type": "integer", "multipleOf": 0.5}}}
    assert hold_to(schema, answer) == {"a": None}


def test_rows_are_asked_for_as_one_list() -> None:
    rows = rows_of(ORDER)
    assert hold_to(rows, {"rows": [{"currency": "EUR"}, {"currency": 1}]}) == {
        "rows": [{"currency": "EUR"}, {"currency": None}]
    }
    assert to_ask(rows).strict
