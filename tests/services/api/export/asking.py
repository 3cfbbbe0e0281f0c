"""Exports as they are asked for."""

import io
import json
import zipfile
from typing import Any

import httpx
import pytest

from tests.bench.whole_batches import WholeBatch

BOTH = pytest.mark.parametrize("form", ["jsonl", "zip"])


def path_of(batch: WholeBatch) -> str:
    return f"/api/v2/batches/{batch.shown}/export"


async def fetch(http: httpx.AsyncClient, batch: WholeBatch, form: str, **query: str) -> httpx.Response:
    found = await http.get(path_of(batch), params={"format": form, **query})
    assert found.status_code == 200, found.text
    return found


async def lines_of(http: httpx.AsyncClient, batch: WholeBatch, **query: str) -> list[dict[str, Any]]:
    found = await fetch(http, batch, "jsonl", **query)
    assert found.content.endswith(b"\n")
    return [json.loads(line) for line in found.content.splitlines()]


async def archive_of(http: httpx.AsyncClient, batch: WholeBatch, **query: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO((await fetch(http, batch, "zip", **query)).content))
