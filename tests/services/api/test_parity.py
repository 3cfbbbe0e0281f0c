"""Our OpenAPI document is a superset of the hosted API's, as far as batches are concerned.

`parity/facts.json` is the table of facts about the hosted API; `python -m tests.services.api.parity.derive
SCHEMA.json` derives it anew. What a caller may send there may be sent here; what an answer has there it has
here, and no answer has a kind or value that clients do not expect.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest

from services.api.app import create_app
from tests.services.api.parity.derive import TABLE
from tests.services.api.parity.shapes import Place, places, shape_of, without_names

FACTS: Mapping[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))

EXCEPTIONS: Mapping[str, str] = {}
"""Gaps that stand, by a pattern of their names, and why."""

NOT_RUN = re.compile(r"<(split_v1|classify_v2|spreadsheet_v1|unknown)>")
"""Parameters of products that are not run here: kept as they come, whatever they are."""

ECHO = re.compile(r"(\bparameters<\w+>|\bconfiguration)\.")
"""What a caller saved comes back as it was sent, nulls left out: only what may be sent counts."""


@cache
def ours() -> Mapping[str, Any]:
    document: dict[str, Any] = create_app().openapi()
    return {
        "operations": {
            without_names(f"{method.upper()} {path}"): operation
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        },
        "shapes": {name: shape_of(one) for name, one in document["components"]["schemas"].items()},
    }


def of_success(operation: Mapping[str, Any], code: str) -> Any:
    found = operation["responses"].get(code, {}).get("content", {}).get("application/json")
    return None if found is None else places(shape_of(found["schema"]), ours()["shapes"])


def wider(kinds: set[str]) -> set[str]:
    """With what is meant besides: each whole number is a number, and free keys are an object's."""
    more = {"integer": "number", "object": "free"}
    return kinds | {more[kind] for kind in kinds if kind in more}


def asked_gaps(theirs: Mapping[str, Place], own: Mapping[str, Place]) -> Iterator[str]:
    """What may be sent there, and not here."""
    for path, there in theirs.items():
        if NOT_RUN.search(path) and path not in own:
            continue
        here = own.get(path)
        if here is None:
            yield f"{path}: missing"
            continue
        refused = {kind for kind in there.kinds if "any" not in here.kinds and not wider({kind}) & here.kinds}
        if refused:
            yield f"{path}: {sorted(refused)} is refused"
        if here.values and (refused_values := there.values - here.values):
            yield f"{path}: {sorted(refused_values, key=str)} are refused"
    for path, here in own.items():
        parent = path.rpartition(".")[0]
        if here.needed and (not parent or parent in theirs) and not (path in theirs and theirs[path].needed):
            yield f"{path}: needed here"


def answered_gaps(theirs: Mapping[str, Place], own: Mapping[str, Place]) -> Iterator[str]:
    """What an answer has there, and not here; or has here, and clients do not expect."""
    for path, there in theirs.items():
        here = own.get(path)
        if here is None:
            if not NOT_RUN.search(path):
                yield f"{path}: missing"
            continue
        if there.needed and not here.needed:
            yield f"{path}: may be missing here"
        if ECHO.search(path):
            continue
        strange = {
            kind for kind in here.kinds if "any" not in there.kinds and not wider({kind}) & there.kinds
        }
        if strange:
            yield f"{path}: may be {sorted(strange)}"
        if there.values and (strange_values := (here.values or {"any text"}) - there.values):
            yield f"{path}: may be {sorted(strange_values, key=str)}"


def gaps_of(name: str) -> Iterator[str]:
    facts, own = FACTS["operations"][name], ours()["operations"].get(without_names(name))
    if own is None:
        yield f"{name}: missing"
        return
    if facts["success"] not in own["responses"]:
        yield f"{name}: success is not {facts['success']}"
    yield from (f"{name} query {gap}" for gap in query_gaps(facts, own))
    yield from (f"{name} body {gap}" for gap in body_gaps(facts, own))
    if "answer" in facts:
        there, here = places(facts["answer"], FACTS["shapes"]), of_success(own, facts["success"])
        found = [": missing"] if here is None else answered_gaps(there, here)
        yield from (f"{name} answer {gap}" for gap in found)


def query_gaps(facts: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    query = [one for one in own.get("parameters", ()) if one["in"] == "query"]
    here = {
        "fields": {one["name"]: shape_of(one["schema"]) for one in query},
        "needed": [one["name"] for one in query if one.get("required")],
    }
    there = {"fields": facts.get("query", {}), "needed": facts.get("query_needed", [])}
    return asked_gaps(without_nulls(places(there, FACTS["shapes"])), places(here, ours()["shapes"]))


def without_nulls(found: dict[str, Place]) -> dict[str, Place]:
    """Neither a query nor a part of a form can be null."""
    for place in found.values():
        place.kinds.discard("null")
    return found


def body_gaps(facts: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    body = own.get("requestBody", {})
    if "body" not in facts:
        if body.get("required"):
            yield ": needed here"
        return
    media = facts["body"]["media"]
    if media not in body.get("content", {}):
        yield ": missing"
        return
    there = places(facts["body"]["shape"], FACTS["shapes"])
    if media.startswith("multipart/"):
        there = without_nulls(there)
    yield from asked_gaps(there, places(shape_of(body["content"][media]["schema"]), ours()["shapes"]))


@pytest.mark.parametrize("name", sorted(FACTS["operations"]))
def test_nothing_is_missing(name: str) -> None:
    standing = [gap for gap in gaps_of(name) if not any(re.search(one, gap) for one in EXCEPTIONS)]
    assert not standing, "\n".join(standing)


def test_each_exception_is_one() -> None:
    """An exception that no gap needs any more is taken out."""
    gaps = [gap for name in FACTS["operations"] for gap in gaps_of(name)]
    assert [one for one in EXCEPTIONS if not any(re.search(one, gap) for gap in gaps)] == []


def test_the_table_is_whole() -> None:
    assert len(FACTS["operations"]) == 51
