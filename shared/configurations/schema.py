"""Is a `data_schema` one that an extraction can work with? The limits of contract 2.6, and the rules of JSON
Schema (draft 2020-12).

A schema comes from a stranger: its size, its depth and its references are measured first, so that neither the
check below nor an engine ever follows one without an end. References lead to places in the schema itself.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

MAX_PROPERTIES: Final = 5_000
MAX_DEPTH: Final = 7
MAX_WORDS: Final = 120_000
MAX_RAW: Final = 150_000
MAX_SUBSCHEMAS: Final = 10_000
"""Not of the contract: what the check of one schema may cost."""
MAX_FOLLOWED: Final = 50_000
"""The same with each reference counted anew: what one walk by an engine may cost."""
MAX_NESTING: Final = 64
"""Keywords inside each other, references followed."""
MAX_TREE: Final = 160
"""Of any JSON, whatever it means: objects and lists inside each other."""
MAX_PARTS: Final = 100_000
"""Of the same: names and values. A check that tells of each bad one would fill the memory with its words."""
MAX_BITS: Final = 1_000
"""Of a whole number. Larger ones are no floats, and a schema is checked with these too."""
MAX_PATTERN: Final = 1_000
"""Characters of one pattern: regular expressions are compiled, kept, and tried on the words of documents."""
MAX_UNROLLED: Final = 20_000
"""Steps of a pattern with its counted repeats written out, as some engines keep it: `(a{9}){9}` has 81."""
_SHOWN: Final = 200

_ONE: Final = (
    "items",
    "additionalProperties",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_LISTS: Final = ("anyOf", "allOf", "oneOf", "prefixItems")
_MAPS: Final = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_REFUSED: Final = ("$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor")


def why_not_kept(tree: Any) -> str | None:
    """Why JSON of a stranger cannot be stored and given back: it is nested too deep, has too many parts, or
    holds text or numbers that are none. None when it can."""
    level: list[Any] = [tree]
    parts = 0
    for _ in range(MAX_TREE):
        parts += len(level)
        if parts > MAX_PARTS:
            return f"it has more than {MAX_PARTS:,} names and values"
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += [*value, *value.values()]
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str) and not _is_text(value):
                return "it holds text that is not Unicode, or a NUL character"
            elif isinstance(value, float) and not math.isfinite(value):
                return "it holds a number that is not finite"
            elif isinstance(value, int) and value.bit_length() > MAX_BITS:
                return "it holds a number that is too large"
        if not inner:
            return None
        level = inner
    return f"it is nested deeper than {MAX_TREE} levels"


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


class SchemaRefused(ValueError):
    """The schema cannot be used. `path` is where in it (`$.properties.total`), `reason` says why."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}..."
        super().__init__(f"{self.path}: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Weight:
    """A subschema with all it refers to, each reference counted anew: subschemas, properties, the levels of
    these, the nesting of keywords."""

    subschemas: int
    properties: int
    depth: int
    nesting: int


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise `SchemaRefused` unless the schema is good. Takes up to two seconds for the largest: not for an
    event loop."""
    if (reason := why_not_kept(schema)) is not None:
        raise SchemaRefused("$", reason)
    raw = len(json.dumps(schema, ensure_ascii=False, separators=(",", ":")))
    if raw > MAX_RAW:
        raise SchemaRefused("$", f"it has {raw:,} characters; at most {MAX_RAW:,} are allowed")
    if schema.get("type") != "object":
        raise SchemaRefused("$.type", "the root must be of the type 'object'")
    if not isinstance(schema.get("properties"), dict) or not schema["properties"]:
        raise SchemaRefused("$.properties", "the root must have properties")
    scales = _Scales(schema)
    weight = scales.weigh(schema, "$", 0)
    if weight.properties > MAX_PROPERTIES:
        raise SchemaRefused(
            "$", f"it has {_count(weight.properties)} properties; at most {MAX_PROPERTIES:,} are allowed"
        )
    if weight.subschemas > MAX_FOLLOWED:
        raise SchemaRefused("$", f"its references lead to more than {MAX_FOLLOWED:,} subschemas")
    if scales.words > MAX_WORDS:
        raise SchemaRefused(
            "$",
            f"its names, descriptions and enums have {scales.words:,} characters; at most {MAX_WORDS:,} are"
            " allowed",
        )
    _check_keywords(schema)


@dataclass(slots=True)
class _Scales:
    """Looks at each subschema once, whatever number of references lead to it."""

    root: Mapping[str, Any]
    words: int = 0
    _known: dict[int, _Weight | None] = field(default_factory=dict)

    def weigh(self, node: Any, path: str, level: int) -> _Weight:
        """The weight of a subschema; `SchemaRefused` for what is wrong in it."""
        if not isinstance(node, dict):
            # true and false are schemas; anything else is told by the rules of JSON Schema.
            return _Weight(1, 0, 0, 0)
        if id(node) in self._known:
            known = self._known[id(node)]
            if known is None:
                raise SchemaRefused(path, "a reference leads back to where it came from")
            return known
        if len(self._known) >= MAX_SUBSCHEMAS:
            raise SchemaRefused(path, f"it has more than {MAX_SUBSCHEMAS:,} subschemas")
        self._known[id(node)] = None
        self._look_at(node, path)
        weight = self._sum(node, path, level)
        if weight.depth > MAX_DEPTH:
            raise SchemaRefused(path, f"properties are nested deeper than {MAX_DEPTH} levels")
        if max(weight.nesting, level) > MAX_NESTING:
            raise SchemaRefused(path, f"it is nested deeper than {MAX_NESTING} keywords")
        self._known[id(node)] = weight
        return weight

    def _sum(self, node: dict[str, Any], path: str, level: int) -> _Weight:
        subschemas, properties, depth, nesting = 1, 0, 0, 0
        if level > MAX_NESTING:
            raise SchemaRefused(path, f"it is nested deeper than {MAX_NESTING} keywords")
        for keyword, where, child in self._children(node, path):
            part = self.weigh(child, where, level + 1)
            named = keyword in ("properties", "patternProperties")
            if keyword not in ("$defs", "definitions"):
                subschemas += part.subschemas
                properties += part.properties + named
                depth = max(depth, part.depth + named)
            nesting = max(nesting, part.nesting + 1)
        return _Weight(subschemas, properties, depth, nesting)

    def _children(self, node: dict[str, Any], path: str) -> Iterator[tuple[str, str, Any]]:
        for keyword in _MAPS:
            if isinstance(named := node.get(keyword), dict):
                for name, child in named.items():
                    yield keyword, f"{path}.{keyword}.{name[:_SHOWN]}", child
        for keyword in _LISTS:
            if isinstance(listed := node.get(keyword), list):
                for place, child in enumerate(listed):
                    yield keyword, f"{path}.{keyword}[{place}]", child
        for keyword in _ONE:
            if keyword in node:
                yield keyword, f"{path}.{keyword}", node[keyword]
        if "$ref" in node:
            yield "$ref", f"{path}.$ref", self._target(node["$ref"], f"{path}.$ref")

    def _look_at(self, node: dict[str, Any], path: str) -> None:
        if node.get("default") is not None:
            raise SchemaRefused(f"{path}.default", "a default must be null: values come from the document")
        for keyword in _REFUSED:
            if keyword in node:
                raise SchemaRefused(f"{path}.{keyword}", "only $ref to a place in this schema is followed")
        if "$id" in node and node is not self.root:
            raise SchemaRefused(f"{path}.$id", "a subschema cannot have an id of its own")
        needed = node.get("dependentRequired")
        lists = [
            *(needed.values() if isinstance(needed, dict) else ()),
            node.get("required"),
            node.get("type"),
        ]
        # Words are compared in no time; other things, each with each, could take minutes.
        if any(isinstance(found, list) and not _is_words(found) for found in lists):
            raise SchemaRefused(path, "required and type, where they are lists, are lists of strings")
        patterned = node.get("patternProperties")
        for pattern in (node.get("pattern"), *(patterned if isinstance(patterned, dict) else ())):
            if isinstance(pattern, str):
                _look_at_pattern(pattern, path)
        self._count_words(node)

    def _count_words(self, node: dict[str, Any]) -> None:
        for keyword in _MAPS:
            if isinstance(named := node.get(keyword), dict):
                self.words += sum(map(len, named))
        for keyword in ("title", "description"):
            if isinstance(said := node.get(keyword), str):
                self.words += len(said)
        choices = node.get("enum")
        for value in [*(choices if isinstance(choices, list) else []), node.get("const")]:
            if value is not None:
                self.words += len(value if isinstance(value, str) else json.dumps(value))

    def _target(self, reference: Any, path: str) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise SchemaRefused(path, "a reference must lead to a place in this schema, such as #/$defs/item")
        found: Any = self.root
        for part in reference.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                raise SchemaRefused(path, f"nothing is at {reference[:_SHOWN]!r}")
        if not isinstance(found, dict | bool):
            raise SchemaRefused(path, f"what is at {reference[:_SHOWN]!r} is no schema")
        return found


_STEP: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<least>\d*)(?:,(?P<most>\d*))?\}|.", re.DOTALL | re.ASCII
)

_NOTES: Final = re.compile(r"\(\?(?:#|[A-Za-z-]*x)")


def _look_at_pattern(pattern: str, path: str) -> None:
    if len(pattern) > MAX_PATTERN:
        raise SchemaRefused(path, f"a pattern has more than {MAX_PATTERN:,} characters")
    if _NOTES.search(pattern):
        raise SchemaRefused(path, "a pattern has comments or the flag x, which JSON Schema does not know")
    sums, last = [0], 0
    for step in _STEP.finditer(pattern):
        if step["least"] is not None:
            times = max(int(step["least"] or 0), int(step["most"] or 0), 1)
            sums[-1] += last * (times - 1)
            last *= times
        elif step[0] == "(":
            sums.append(0)
        elif step[0] == ")" and len(sums) > 1:
            last = sums.pop()
            sums[-1] += last
        elif step[0] not in "*+?":
            last = 1
            sums[-1] += 1
    if sum(sums) > MAX_UNROLLED:
        raise SchemaRefused(path, f"the repeats in a pattern make more than {MAX_UNROLLED:,} steps")


def _check_keywords(schema: Mapping[str, Any]) -> None:
    validator = Draft202012Validator(
        Draft202012Validator.META_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    try:
        found = best_match(validator.iter_errors(schema))
    except (OverflowError, RecursionError):
        # Python's regular expressions have bounds of their own.
        raise SchemaRefused("$", "a pattern in it is too large") from None
    if found is not None:
        path = "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in found.absolute_path)
        raise SchemaRefused(path[:_SHOWN], found.message[:_SHOWN])


def _is_words(found: list[Any]) -> bool:
    return all(isinstance(one, str) for one in found)


def _count(number: int) -> str:
    # References can multiply to numbers with thousands of digits.
    return f"{number:,}" if number < 10**9 else "more than a thousand million"
