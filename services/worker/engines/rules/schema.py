"""A JSON schema as a tree of what is to be found: leaves with their kind and the labels they may have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.worker.engines.rules.words import normal, same_as

MOST_PARTS: Final = 1_000
"""Parts of a schema that are looked for: references can make a small schema as large as one likes."""
_DEEPEST: Final = 8
_LONGEST_HINT: Final = 5
_OWN, _SYNONYM, _HINT, _BARE = 1.0, 0.92, 0.86, 0.85
# What is still to be paid is the total of most documents, but not where something was paid before; and a
# grand total is one wherever it stands.
_LEFT_TO_PAY: Final = {"balance due": 0.8, "amount due": 0.85, "amount payable": 0.85, "to pay": 0.85}
_TOTALS: Final = {**_LEFT_TO_PAY, "grand total": _OWN}
_FORMATS: Final = {"date": "date", "email": "email", "phone": "phone", "uri": "uri", "url": "uri"}
# Nobody here reads them, and their form would go unchecked.
_UNREAD: Final = frozenset(("date-time", "time", "duration"))
_CHOICES: Final = ("anyOf", "oneOf", "allOf")
_LEADING_ON: Final = frozenset(("$ref", *_CHOICES))
# Under a group these words alone say nothing: "Name" on an invoice is anybody's.
_VAGUE: Final = frozenset(("name", "address", "date", "number", "id", "type", "title", "code", "description"))


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar. `phrases` are its labels with their weight; `scoped` hold only below a heading of its
    group; `headings` are those of its group. `kind`: text, number, integer, boolean, date, email, phone, uri,
    choice, or nothing that a rule can read."""

    path: tuple[str, ...]
    schema: Mapping[str, Any]
    kind: str
    options: tuple[Any, ...] = ()
    phrases: Mapping[str, float] = field(default_factory=dict)
    scoped: Mapping[str, float] = field(default_factory=dict)
    headings: frozenset[str] = frozenset()

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its own name."""
        return tuple(normal(self.path[-1]).split()) if self.path else ()


@dataclass(frozen=True, slots=True)
class Group:
    """An object."""

    path: tuple[str, ...]
    fields: Mapping[str, "Node"]
    required: frozenset[str]
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Many:
    """An array; `item` says what of."""

    path: tuple[str, ...]
    item: "Node"
    nullable: bool = False


Node = Leaf | Group | Many


def leaves(node: Node, *, inside_arrays: bool = False) -> Iterator[Leaf]:
    """The scalars in their order, those of arrays only when asked for."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Group):
        for part in node.fields.values():
            yield from leaves(part, inside_arrays=inside_arrays)
    elif inside_arrays:
        yield from leaves(node.item, inside_arrays=True)


def arrays(node: Node) -> Iterator[Many]:
    """The arrays that are not inside another array."""
    if isinstance(node, Many):
        yield node
    elif isinstance(node, Group):
        for part in node.fields.values():
            yield from arrays(part)


def read_schema(schema: Mapping[str, Any]) -> Group:
    """The tree of a root object. References lead inside this schema; what is deeper than eight levels,
    or beyond `MOST_PARTS`, is left out of the search and stays null."""
    node = _Reader(schema).node(schema, ())
    return node if isinstance(node, Group) else Group((), {}, frozenset())


class _Reader:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MOST_PARTS

    def node(self, raw: Any, path: tuple[str, ...]) -> Node:
        schema, nullable = self._resolved(raw)
        types = _types(schema)
        self._left -= 1
        if len(path) > _DEEPEST or self._left <= 0:
            return Leaf(path, schema, "none")
        if "object" in types or isinstance(schema.get("properties"), Mapping):
            required = schema.get("required")
            wanted = required if isinstance(required, list) else []
            names = frozenset(name for name in wanted if isinstance(name, str))
            properties = schema.get("properties")
            parts = properties if isinstance(properties, Mapping) else {}
            fields = {str(key): self.node(part, (*path, str(key))) for key, part in parts.items()}
            return Group(path, fields, names, nullable)
        if "array" in types:
            return Many(path, self.node(schema.get("items", {}), (*path, "[]")), nullable)
        return self._leaf(schema, path, nullable=nullable)

    def _resolved(self, raw: Any) -> tuple[Mapping[str, Any], bool]:
        """The schema behind references and behind a choice with null; and whether it may be null."""
        schema, nullable = raw, False
        known: dict[str, Any] = {}
        for _ in range(_DEEPEST):
            if not isinstance(schema, Mapping):
                break
            known = {**{key: part for key, part in schema.items() if key not in _LEADING_ON}, **known}
            nullable = nullable or "null" in _types(schema) or schema.get("nullable") is True
            if isinstance(schema.get("$ref"), str):
                schema = self._target(schema["$ref"])
                continue
            many: list[Any] = next((schema[key] for key in _CHOICES if isinstance(schema.get(key), list)), [])
            real = [part for part in many if not _is_null(part)]
            nullable = nullable or len(real) < len(many)
            if len(real) != 1:
                break
            schema = real[0]
        return known, nullable

    def _target(self, reference: str) -> Any:
        at: Any = self._root
        if not reference.startswith("#"):
            return {}
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                at = at.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(at, Mapping) else None
        return at

    def _leaf(self, schema: Mapping[str, Any], path: tuple[str, ...], *, nullable: bool) -> Leaf:
        if nullable and isinstance(schema.get("type"), str):
            schema = {**schema, "type": [schema["type"], "null"]}
        options = schema.get("enum")
        chosen = tuple(options) if isinstance(options, list) else ()
        return Leaf(path, schema, _kind(schema, path, chosen), chosen, *_phrases(schema, path))


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    raw = schema.get("type")
    return tuple(raw) if isinstance(raw, list) else (raw,) if isinstance(raw, str) else ()


def _kind(schema: Mapping[str, Any], path: tuple[str, ...], options: tuple[Any, ...]) -> str:
    types = _types(schema)
    if options:
        return "choice"
    for plain in ("boolean", "integer", "number"):
        if plain in types and "string" not in types:
            return plain
    if (types and "string" not in types) or str(schema.get("format")) in _UNREAD:
        return "none"
    name = normal(path[-1]).split() if path else []
    by_name = next((kind for kind in ("email", "phone") if kind in name), "text")
    return _FORMATS.get(str(schema.get("format")), by_name)


def _phrases(
    schema: Mapping[str, Any], path: tuple[str, ...]
) -> tuple[dict[str, float], dict[str, float], frozenset[str]]:
    own = [part for part in path if part != "[]"]
    if not own:
        return {}, {}, frozenset()
    bare = normal(own[-1])
    hint = schema.get("description") or schema.get("title")
    alone = _with_synonyms(bare, hint if isinstance(hint, str) else "")
    if len(own) == 1 or "[]" in path:
        return alone, {}, frozenset()
    group = normal(own[-2])
    heads = (group, *same_as(group))
    whole = {f"{head} {bare}".strip(): _OWN if head == group else _SYNONYM for head in heads}
    whole |= dict.fromkeys(same_as(f"{group} {bare}"), _SYNONYM)
    if bare in ("name", "address"):
        whole |= {head: _SYNONYM for head in heads if head not in whole}
    if bare in _VAGUE:
        return whole, alone, frozenset(heads)
    return {**{phrase: weight * _BARE for phrase, weight in alone.items()}, **whole}, alone, frozenset(heads)


def _with_synonyms(bare: str, hint: str) -> dict[str, float]:
    weights = _TOTALS if bare == "total" else {}
    phrases = {phrase: weights.get(phrase, _SYNONYM) for phrase in same_as(bare)}
    words = normal(hint) if len(hint.split()) <= _LONGEST_HINT else ""
    if words:
        phrases = {**dict.fromkeys((*same_as(words), words), _HINT), **phrases}
    return {**phrases, bare: _OWN}
