"""Whatever is asked of any route, it is no failure of the server."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from hypothesis.strategies import DataObject, SearchStrategy

from tests.conftest import Tenant

EXAMPLES: Final = 250
DEEPEST: Final = 4
ODD_TEXTS: Final = (
    *("", " ", "\x00", "\ud800", "\U0001f600", "../..", "a/b", "%00", "null", "NaN", "-1", "1e999"),
    *("0" * 400, "x" * 4_000, "2026-01-01T00:00:00 02:00", "9999-12-31T23:59:59-14:00", "dir-x", "-"),
)
ODD_NUMBERS: Final = (0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 0.5, 1e300)
Json = Mapping[str, Any]


def texts(known: Sequence[str]) -> SearchStrategy[str]:
    return some.one_of(some.sampled_from([*known, *ODD_TEXTS]), some.text(max_size=20))


def junk(known: Sequence[str]) -> SearchStrategy[Any]:
    leaves = some.one_of(some.none(), some.booleans(), some.sampled_from(ODD_NUMBERS), texts(known))
    return some.recursive(
        leaves,
        lambda inner: some.lists(inner, max_size=3) | some.dictionaries(texts(known), inner, max_size=3),
    )


class Shapes:
    """Values that are what the OpenAPI document asks for, or nearly."""

    def __init__(self, document: Json, known: Sequence[str]) -> None:
        self._named = document["components"]["schemas"]
        self._known = known

    def of(self, schema: Json, depth: int = 0) -> SearchStrategy[Any]:
        """Nine times of ten of this shape."""
        odd = junk(self._known)
        if depth > DEEPEST:
            return odd
        right = some.deferred(lambda: self._right(schema, depth))
        return some.integers(0, 9).flatmap(lambda dice: odd if dice == 0 else right)

    def _right(self, schema: Json, depth: int) -> SearchStrategy[Any]:
        if "$ref" in schema:
            return self._right(self._named[schema["$ref"].rpartition("/")[2]], depth)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return some.one_of([self.of(each, depth + 1) for each in schema[word]])
        if "const" in schema or "enum" in schema:
            return some.sampled_from(schema.get("enum") or [schema["const"]])
        kind = schema.get("type")
        if kind == "object" and "properties" in schema:
            must = set(schema.get("required", ()))
            fields = {name: self.of(each, depth + 1) for name, each in schema["properties"].items()}
            needed = {name: each for name, each in fields.items() if name in must}
            others = sorted(fields.keys() - must)
            # Some options have forty keys: a few at once are enough, and fast.
            chosen = (
                some.lists(some.sampled_from(others), max_size=4, unique=True) if others else some.just([])
            )
            return chosen.flatmap(
                lambda names: some.fixed_dictionaries({**needed, **{name: fields[name] for name in names}})
            )
        if kind == "array":
            return some.lists(self.of(schema.get("items", {}), depth + 1), max_size=3)
        plain: dict[str, SearchStrategy[Any]] = {
            "string": texts(self._known),
            "integer": some.one_of(some.sampled_from(ODD_NUMBERS), some.integers(-5, 2_000)),
            "number": some.one_of(some.sampled_from(ODD_NUMBERS), some.floats(allow_nan=False)),
            "boolean": some.booleans(),
        }
        return plain.get(str(kind), junk(self._known))


def operations(document: Json) -> list[tuple[str, str, Json]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def safe(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return quote(text.encode("utf-8", "replace"), safe="")[:8_000]


def request_of(data: DataObject, shapes: Shapes, operation: tuple[str, str, Json]) -> Mapping[str, Any]:
    """The method, URL and body of one request to this operation."""
    method, path, said = operation
    asked: list[str] = []
    for one in said.get("parameters", ()):
        value = data.draw(shapes.of(one["schema"]))
        if one["in"] == "path":
            path = path.replace("{" + one["name"] + "}", safe(value) or "-")
        elif data.draw(some.booleans()):
            values = value if isinstance(value, list) else [value]
            asked += [f"{one['name']}={safe(each)}" for each in values]
    made: dict[str, Any] = {"method": method, "url": f"{path}?{'&'.join(asked)}"}
    content = said.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        made["json"] = data.draw(shapes.of(content["application/json"]["schema"]))
    elif content:
        fields = data.draw(
            some.dictionaries(texts(["purpose", "configuration", "metadata"]), texts(["parse"]))
        )
        made["data"] = {safe(name): value.encode("utf-8", "replace") for name, value in fields.items()}
        made["files"] = {data.draw(some.sampled_from(["file", "upload_file"])): ("a.txt", b"x")}
    return made


def seeded(http: httpx.Client) -> list[str]:
    """Ids of what there is: of each kind, so that requests get past the first look."""
    directory = http.post("/api/v1/beta/directories", json={"name": "d"}).json()["id"]
    place = f"/api/v1/beta/directories/{directory}/files/upload"
    entry = http.post(place, files={"upload_file": ("a.txt", b"x")}).json()
    parse = {"file_id": entry["file_id"], "tier": "fast", "version": "latest"}
    job = http.post("/api/v2/parse", json=parse).json()["id"]
    config = {"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}}
    batch = http.post("/api/v2/batches", json={"source_directory_id": directory, "config": config}).json()[
        "id"
    ]
    return [directory, entry["id"], entry["file_id"], job, batch, entry["project_id"], "cfg-PARSE_FAST"]


def sweep(api_url: str, tenant: Tenant, operator_key: str) -> None:
    """Many requests, of both roles, to routes drawn at random; the first that fails is shown."""
    keys = [{"authorization": f"Bearer {key}"} for key in (tenant.key, tenant.key, operator_key)]
    with httpx.Client(base_url=api_url, headers=keys[0], timeout=30) as http:
        known = seeded(http)
        document = http.get("/openapi.json").json()
        every, shapes = operations(document), Shapes(document, known)

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(some.data())
        def ask(data: DataObject) -> None:
            made = request_of(data, shapes, data.draw(some.sampled_from(every)))
            try:
                sent = http.build_request(**made, headers=data.draw(some.sampled_from(keys)))
            except (ValueError, httpx.InvalidURL):
                return  # what this client cannot send
            found = http.send(sent)
            assert found.status_code < 500, (found.status_code, made, found.text)

        ask()


async def test_no_request_of_any_shape_is_a_failure_of_the_server(
    api_url: str, tenant: Tenant, operator_key: str
) -> None:
    await asyncio.to_thread(sweep, api_url, tenant, operator_key)
