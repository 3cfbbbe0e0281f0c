"""Shapes of bodies and answers, small enough to be kept and compared.

A shape is one of: the name of another one (`"@BatchResult"`), a kind (`"string"`, `"null"`, `"any"`, or
`"free"`, an object with keys of whatever name), `{"or": [...]}`, `{"list": shape}`, `{"values": [...]}`, or
`{"fields": {name: shape}, "needed": [...]}`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TELLING = ("product_type", "type", "success")
"""Fields that tell the members of a union apart; a path names the member by its value."""


def shape_of(schema: Mapping[str, Any]) -> Any:
    """The shape that a JSON schema describes."""
    if "$ref" in schema:
        return "@" + schema["$ref"].rsplit("/", 1)[-1]
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            members = [shape_of(one) for one in schema[word]]
            return members[0] if len(members) == 1 else {"or": members}
    return _simple(schema)


def _simple(schema: Mapping[str, Any]) -> Any:
    if "const" in schema:
        return {"values": [schema["const"]]}
    if "enum" in schema:
        # Versions are dates, and a new one comes every other week.
        dates = any(isinstance(one, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", one) for one in schema["enum"])
        return "string" if dates else {"values": schema["enum"]}
    kind = schema.get("type", "any")
    if kind == "array":
        return {"list": shape_of(schema.get("items", {}))}
    if kind == "object":
        return _object(schema)
    return kind


def _object(schema: Mapping[str, Any]) -> Any:
    if "properties" not in schema:
        return "free"
    made: dict[str, Any] = {"fields": {name: shape_of(one) for name, one in schema["properties"].items()}}
    if schema.get("required"):
        made["needed"] = sorted(schema["required"])
    return made


@dataclass(slots=True)
class Place:
    """What may stand at one path: kinds, values where they are counted, and whether it must be there."""

    kinds: set[str] = field(default_factory=set)
    values: set[Any] = field(default_factory=set)
    needed: bool = True


def places(shape: Any, shapes: Mapping[str, Any]) -> dict[str, Place]:
    """Every path of a shape. A shape inside itself is followed once."""
    found: dict[str, Place] = {}
    for path, kind, value, needed in _walk(shape, shapes, "", needed=True, inside=()):
        place = found.setdefault(path, Place())
        place.kinds.add(kind)
        place.needed &= needed
        if value is not None:
            place.values.add(value)
    return found


Step = tuple[str, str, Any, bool]


def _walk(
    shape: Any, shapes: Mapping[str, Any], path: str, *, needed: bool, inside: tuple[str, ...]
) -> Iterator[Step]:
    if isinstance(shape, str):
        if not shape.startswith("@"):
            yield path, shape, None, needed
        elif shape not in inside:
            yield from _walk(shapes[shape[1:]], shapes, path, needed=needed, inside=(*inside, shape))
    elif "values" in shape:
        for value in shape["values"]:
            yield path, _kind_of(value), value, needed
    elif "list" in shape:
        yield path, "list", None, needed
        yield from _walk(shape["list"], shapes, path + "[]", needed=needed, inside=inside)
    elif "or" in shape:
        yield from _union(shape["or"], shapes, path, needed=needed, inside=inside)
    else:
        yield path, "object", None, needed
        for name, child in shape["fields"].items():
            must = name in shape.get("needed", ())
            yield from _walk(child, shapes, f"{path}.{name}".lstrip("."), needed=must, inside=inside)


def _union(
    members: list[Any], shapes: Mapping[str, Any], path: str, *, needed: bool, inside: tuple[str, ...]
) -> Iterator[Step]:
    objects = [one for one in members if _fields_of(one, shapes) is not None]
    for member in members:
        labels = _labels(member, shapes) if len(objects) > 1 and member in objects else [""]
        for label in labels:
            yield from _walk(member, shapes, path + label, needed=needed, inside=inside)


def _fields_of(shape: Any, shapes: Mapping[str, Any]) -> Mapping[str, Any] | None:
    while isinstance(shape, str) and shape.startswith("@"):
        shape = shapes[shape[1:]]
    return shape.get("fields") if isinstance(shape, dict) else None


def _labels(member: Any, shapes: Mapping[str, Any]) -> list[str]:
    fields = _fields_of(member, shapes) or {}
    for name in TELLING:
        told = fields.get(name)
        while isinstance(told, str) and told.startswith("@"):
            told = shapes[told[1:]]
        if isinstance(told, dict) and "values" in told:
            return [f"<{value}>" for value in told["values"]]
    return [""]


def _kind_of(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")


def without_names(path: str) -> str:
    """`/a/{job_id}/b` as `/a/{}/b`: how a path calls its parameters is nobody's concern."""
    return re.sub(r"\{[^}]*\}", "{}", path)
