"""Text that was made to waste time: work stays in step with its length."""

import time

import pytest

from services.worker.engines.rules import extract
from shared.jobs.result import Page, ResultDocument
from tests.documents.truths import INVOICE

BYTES = 5_000_000
HOSTILE = {
    "one-word": "a",
    "colons": ":",
    "labels-in-a-line": "Total: ",
    "labels": "Total:\n",
    "figures": "1",
    "groups": "1,",
    "boxes": "[ ] ",
    "addresses": "a@",
    "addresses-in-lines": "Email: a.a.a.a.a.a.a@a.a.a.a.a.a\n",
    "cells": "a  ",
    "heads": "Description  Quantity  Amount\n",
    "rows": "Description  Quantity\nthing  1\nthing  1\nthing  1\nthing\nthing\n",
    "sums": "Quantity  Amount\nTotal  8  5.00\n",
    "columns": "Date  Colour\nfoo  red\nfoo  red\n",
    "numbers": "Invoice number  A1  Invoice number  A1\n",
    "dates": "Date: 01/02/2024 03/04/2023\n",
    "leaders": ".",
    "bars": "| a | b |\n",
    "brackets": "(",
    "empty-lines": "\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_five_megabytes_end(name: str) -> None:
    piece = HOSTILE[name]
    text = piece * (BYTES // len(piece))
    document = ResultDocument("test", (Page(1, text, text),), {"kind": "markdown"})
    started = time.process_time()
    extract(document, {"data_schema": INVOICE})
    assert time.process_time() - started < 30, (
        "seconds of CPU; linear work on the slowest of these takes a third"
    )


def test_deep_and_wide_schemas_end() -> None:
    deep: dict[str, object] = {"type": "string"}
    for _ in range(200):
        deep = {"type": "object", "properties": {"a": deep}}
    wide = {"type": "object", "properties": {f"field_{n}": {"type": "string"} for n in range(3000)}}
    itself = {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"$ref": "#"}}}
    letters = "abcdefghijklmnop"
    many = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/D0"}},
        "$defs": {
            f"D{n}": {"type": "object", "properties": {a: {"$ref": f"#/$defs/D{n + 1}"} for a in letters}}
            for n in range(8)
        },
    }
    loop = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"$ref": "#/$defs/A"}},
    }
    document = ResultDocument("test", (Page(1, "Field 1: x\nA: y\n" * 100),))
    for schema in (deep, wide, itself, loop, many):
        started = time.process_time()
        extract(document, {"data_schema": schema})
        assert time.process_time() - started < 10
