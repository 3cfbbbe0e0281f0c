"""What is made of a user's JSON schema: the shape that a model is asked for, and the rules that its answer is
held to.

A model that must give a value invents one. So both forms allow null everywhere below the root: where the
user's schema demands a value and there is none, the answer says null and the path is reported as missing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import jsonschema
import referencing
import regex
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

Schema = Mapping[str, Any]

_ROUNDS: Final = 50
_PATTERN_S: Final = 0.05
_DEEPEST: Final = 12
# What every server with structured output understands. The rest is checked here afterwards.
_ASKED: Final = frozenset(
    ("type", "enum", "const", "description", "title", "properties", "items", "anyOf", "$ref", "$defs")
)
_NULL: Final = {"type": "null"}


class SchemaUnusable(ValueError):
    """The schema cannot be worked with; the message says why and may be shown."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A schema to ask a model with. `strict`: every object in it says all that it may hold."""

    schema: dict[str, Any]
    strict: bool


def to_ask(schema: Schema) -> Asked:
    """Only what servers understand; every property required and nullable, so that a model abstains in so many
    words instead of leaving a key out."""
    free: list[bool] = []
    asked = _walk(schema, _only_asked(free), root=True)
    return Asked(asked, strict=not free)


def rows_of(schema: Schema) -> dict[str, Any]:
    """An object with one list, `rows`, of what the schema describes."""
    definitions = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    row = {key: value for key, value in schema.items() if key not in definitions}
    rows = {"type": "array", "items": row}
    return {"type": "object", "properties": {"rows": rows}, "required": ["rows"], **definitions}


def hold_to(schema: Schema, answer: Any) -> Any:
    """The answer with every value that breaks the schema made null; a key that the schema does not know, and
    an item that its list does not take, is dropped. Raises `SchemaUnusable`."""
    validator = _Checked(
        _walk(schema, _lenient, root=True), registry=referencing.Registry(), format_checker=_formats()
    )
    held = {"held": answer}
    try:
        for _ in range(_ROUNDS):
            errors = list(validator.iter_errors(held["held"]))
            if not errors:
                return held["held"]
            # The deepest first: what is mended inside need not be thrown away outside.
            inside = [deep for error in errors for deep in _inside(error)]
            for error in sorted(inside, key=lambda error: -len(error.absolute_path)):
                _mend(held, ["held", *error.absolute_path], error)
    except (referencing.exceptions.Unresolvable, jsonschema.SchemaError, RecursionError) as error:
        raise SchemaUnusable("data_schema refers to something that is not in it.") from error
    return {}


def fill(schema: Schema, value: Any) -> Any:
    """The value with every property that the schema names; those it lacks are null, nested objects whole."""
    return _fill(schema, schema, value, 0)


def missing(schema: Schema, value: Any, path: str = "") -> Iterator[str]:
    """Paths that the schema requires and that are null: `vendor.name`, `items[0].price`."""
    yield from _missing(schema, schema, value, path, 0)


def resolve(root: Schema, schema: Any, depth: int = 0) -> Schema:
    """The object form of a sub-schema: references followed, and of a choice the one that is not null."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        found: Any = root
        for part in reference.removeprefix("#").strip("/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            found = found.get(key, {}) if isinstance(found, Mapping) and part else found
        return resolve(root, found, depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        choices = [each for each in schema.get(word, ()) if each != _NULL]
        if choices:
            return resolve(root, choices[0], depth + 1)
    return schema


def properties_of(root: Schema, schema: Any) -> Mapping[str, Any]:
    """The named properties of an object schema; none for anything else."""
    found = resolve(root, schema).get("properties")
    return found if isinstance(found, Mapping) else {}


def items_of(root: Schema, schema: Any) -> Any:
    """What each item of a list schema is like."""
    return resolve(root, schema).get("items", {})


def _fill(root: Schema, schema: Any, value: Any, depth: int) -> Any:
    named = properties_of(root, schema) if depth < _DEEPEST else {}
    if named and (value is None or isinstance(value, dict)):
        have = value or {}
        # A reference may lead back to itself: below what was found nothing is drawn out of one.
        follow = {
            key: each
            for key, each in named.items()
            if key in have or "$ref" not in (each if isinstance(each, Mapping) else {})
        }
        filled = {key: _fill(root, each, have.get(key), depth + 1) for key, each in follow.items()}
        return {**have, **dict.fromkeys(named), **filled}
    if isinstance(value, list):
        each = items_of(root, schema)
        return [_fill(root, each, item, depth + 1) for item in value]
    return value


def _missing(root: Schema, schema: Any, value: Any, path: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        required = resolve(root, schema).get("required", ())
        for key, each in properties_of(root, schema).items():
            here = f"{path}.{key}" if path else key
            found = value.get(key)
            if found is None and key in required:
                yield here
            else:
                yield from _missing(root, each, found, here, depth + 1)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _missing(root, items_of(root, schema), item, f"{path}[{place}]", depth + 1)


def _inside(error: ValidationError) -> list[ValidationError]:
    """What is wrong within a choice, if one of its branches fits but for something further in."""
    branches: dict[Any, list[ValidationError]] = {}
    for child in error.context or ():
        branches.setdefault(child.schema_path[0], []).append(child)
    fitting = [
        children
        for children in branches.values()
        if all(child.relative_path or child.validator == "additionalProperties" for child in children)
    ]
    if not fitting:
        return [error]
    strange = sorted(
        fitting, key=lambda children: (not all(c.relative_path for c in children), len(children))
    )
    return [deep for child in strange[0] for deep in _inside(child)]


def _mend(held: dict[str, Any], path: list[Any], error: ValidationError) -> None:
    parent: Any = held
    for part in path[:-1]:
        try:
            parent = parent[part]
        except (KeyError, IndexError, TypeError):
            return  # mended away with something around it
    last = path[-1]
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        named = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
        for key in error.instance.keys() - named.keys():
            del error.instance[key]
        return
    if isinstance(parent, list) and isinstance(last, int):
        if last < len(parent):
            del parent[last]
        return
    parent[last] = {} if len(path) == 1 else None


def _walk(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]], *, root: bool = False) -> Any:
    """A copy with `change` made to every sub-schema, and null allowed wherever a property stands."""
    if not isinstance(schema, Mapping):
        return schema
    copy = dict(schema)
    for word in ("$defs", "definitions"):
        if isinstance(copy.get(word), Mapping):
            copy[word] = {name: _walk(each, change) for name, each in copy[word].items()}
    if isinstance(copy.get("properties"), Mapping):
        copy["properties"] = {n: _nullable(_walk(each, change)) for n, each in copy["properties"].items()}
    if "items" in copy:
        copy["items"] = _walk(copy["items"], change)
    for word in ("anyOf", "oneOf", "allOf"):
        if isinstance(copy.get(word), list):
            copy[word] = [_walk(each, change) for each in copy[word]]
    changed = change(copy)
    return {"type": "object", **changed} if root and "$ref" not in changed else changed


def _nullable(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    copy, kind = dict(schema), schema.get("type")
    if "const" in copy:
        copy["enum"] = [copy.pop("const")]
    if "enum" in copy and None not in copy["enum"]:
        copy["enum"] = [*copy["enum"], None]
    for word in ("anyOf", "oneOf"):
        if isinstance(copy.get(word), list):
            return {**copy, word: [*(each for each in copy[word] if each != _NULL), dict(_NULL)]}
    if "$ref" in copy or "allOf" in copy:
        told = {"description": copy.pop("description")} if "description" in copy else {}
        return {"anyOf": [copy, dict(_NULL)], **told}
    if isinstance(kind, str) and kind != "null":
        copy["type"] = [kind, "null"]
    elif isinstance(kind, list) and "null" not in kind:
        copy["type"] = [*kind, "null"]
    return copy


def _only_asked(free: list[bool]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """`free` gets an entry for each object that may hold anything."""

    def change(schema: dict[str, Any]) -> dict[str, Any]:
        if "oneOf" in schema:
            schema = {**schema, "anyOf": schema["oneOf"]}
        if len(schema.get("allOf", ())) == 1:
            schema = {**schema["allOf"][0], **schema}
        kept = {key: value for key, value in schema.items() if key in _ASKED or key == "definitions"}
        if "properties" in kept:
            kept |= {"required": list(kept["properties"]), "additionalProperties": False}
        elif "object" in _kinds(kept):
            free.append(True)
        return kept

    return change


def _lenient(schema: dict[str, Any]) -> dict[str, Any]:
    # What a schema requires is reported, not enforced: a document that does not say it is no broken answer.
    dropped = ("required", "dependentRequired", "minProperties", "patternProperties", "default", "$schema")
    kept = {key: value for key, value in schema.items() if key not in dropped}
    return {"additionalProperties": False, **kept} if "properties" in kept else kept


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    """A pattern of a stranger over the words of a stranger, so with a limit on time."""
    if not isinstance(value, str):
        return
    try:
        if regex.search(pattern, value, timeout=_PATTERN_S) is None:
            yield ValidationError(f"does not match {pattern!r}")
    except (TimeoutError, regex.error):
        yield ValidationError(f"could not be matched against {pattern!r}")


def _nothing(_: Any, __: Any, ___: Any, ____: Any) -> Iterator[ValidationError]:
    yield from ()


def _no_more(validator: Any, allowed: Any, value: Any, schema: Schema) -> Iterator[ValidationError]:
    if "patternProperties" not in schema:
        yield from Draft202012Validator.VALIDATORS["additionalProperties"](validator, allowed, value, schema)


# Names are matched against patterns without a limit on time there, and hold the process meanwhile: patterns
# of names hold nobody.
_Checked = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _nothing,
        "additionalProperties": _no_more,
        "unevaluatedProperties": _nothing,
    },
)


def _formats() -> jsonschema.FormatChecker:
    checker = jsonschema.FormatChecker()

    @checker.checks("date-time", raises=ValueError)
    def _is_moment(value: object) -> bool:
        return not isinstance(value, str) or "T" in datetime.fromisoformat(value).isoformat()

    return checker
