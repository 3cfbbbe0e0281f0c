"""Extract pages by plain HTTP: what the official client would never send."""

import json
from typing import Any

import httpx
import pytest

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"total": {"type": "number"}}}
PAGES = ("/api/v2/extract", "/api/v2/extract/schema/validation", "/api/v1/beta/configurations")


def bodies(schema: str) -> dict[str, str]:
    """The same schema, as text, in each request that takes one."""
    wrapped = f'{{"product_type": "extract_v2", "data_schema": {schema}}}'
    return dict(
        zip(
            PAGES,
            (
                f'{{"file_input": "fil-x", "configuration": {wrapped}}}',
                f'{{"data_schema": {schema}}}',
                f'{{"name": "n", "parameters": {wrapped}}}',
            ),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    "schema",
    [
        '{"type": "object", "properties": {"a": {"default": 1}}}',
        '{"type": "object", "properties": {"a": ' + '{"not": ' * 60 + "{}" + "}" * 60 + "}, " + '"type": 5}',
        '{"type": "object", "properties": {"a": ' + '{"not": ' * 300 + "{}" + "}" * 300 + "}}",
        '{"type": "object", "properties": {"a": ' + '{"not": ' * 900 + "{}" + "}" * 900 + "}}",
        '{"type": "object", "properties": {"a": ' + '{"not": ' * 9_000 + "{}" + "}" * 9_000 + "}}",
        '{"type": "object", "properties": {"a": {"const": 1e999}}}',
        '{"type": "object", "properties": {"a\\ud800": {"default": 1}}}',
        '{"type": "object", "properties": {"a": {"description": "' + "x" * 200_000 + '"}}}',
        '{"type": "object", "properties": {"a": {"multipleOf": 0}}}',
        "[1]",
        "null",
        '"x"',
    ],
)
async def test_a_bad_schema_is_refused_on_every_page(http: httpx.AsyncClient, schema: str) -> None:
    for page, body in bodies(schema).items():
        found = await http.post(page, content=body, headers={"content-type": "application/json"})
        assert found.status_code in {400, 422}, (page, found.status_code, found.text[:300])
        assert found.json()["detail"]
        assert len(found.content) < 20_000


async def test_a_good_schema_comes_back_as_it_was(http: httpx.AsyncClient) -> None:
    schema = {**SCHEMA, "x-own": {"deep": [None, 1.5, "ü"]}}
    found = await http.post("/api/v2/extract/schema/validation", json={"data_schema": schema})
    assert (found.status_code, found.json()) == (200, {"data_schema": schema})


async def test_a_configuration_that_became_bad_opens_nothing(http: httpx.AsyncClient) -> None:
    async def made(path: str, **sent: Any) -> dict[str, Any]:
        found = await http.post(path, **sent)
        assert found.is_success, found.text
        return dict(found.json())

    parameters = {"product_type": "parse_v2", "tier": "fast", "version": "latest"}
    parse = await made("/api/v1/beta/configurations", json={"name": "p", "parameters": parameters})
    extract = {"product_type": "extract_v2", "data_schema": SCHEMA, "parse_config_id": parse["id"]}
    saved = await made("/api/v1/beta/configurations", json={"name": "e", "parameters": extract})
    directory = await made("/api/v1/beta/directories", json={"name": "d"})
    file = await made("/api/v1/beta/files", files={"file": ("f", b"x")}, data={"purpose": "extract"})
    job = {"type": "extract_v2", "configuration_id": saved["id"]}
    batch = {"source_directory_id": directory["id"], "config": {"job": job}}
    alone = {"file_input": file["id"], "configuration_id": saved["id"]}
    await made("/api/v2/batches", json=batch)
    opened = await made("/api/v2/extract", json=alone)
    shown = (await http.get(f"/api/v2/extract/{opened['id']}?expand=configuration")).json()
    assert "parse_parameters" not in json.dumps(shown)
    assert shown["configuration"]["parse_config_id"] == parse["id"]
    assert (await http.delete(f"/api/v1/beta/configurations/{parse['id']}")).status_code == 204
    assert (await http.post("/api/v2/batches", json=batch)).status_code == 404
    assert (await http.post("/api/v2/extract", json=alone)).status_code == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("status=NOTHING", 422),
        ("document_input_type=url", 422),
        ("file_input=%00", 400),
        ("file_input=" + "x" * 5_000, 200),
        ("configuration_id=%F0%9F%92%A9", 200),
        ("job_ids=pjb-x,ext-,{}", 200),
        ("created_at_on_or_after=yesterday", 422),
        ("page_size=0&expand=nothing&include_total=true", 200),
    ],
)
async def test_lists_survive_any_filter(http: httpx.AsyncClient, query: str, status: int) -> None:
    found = await http.get(f"/api/v2/extract?{query}")
    assert found.status_code == status, found.text
    if status == 200:
        assert found.json()["items"] == []


@pytest.mark.parametrize(
    "named", ["", "x", "fil-", "pjb-", "dfl-{}", "x" * 201, "\u0000", "pjb-\ud83d\ude00"]
)
async def test_odd_inputs_are_refused(http: httpx.AsyncClient, named: str) -> None:
    body = {"file_input": named, "configuration": {"data_schema": SCHEMA}}
    found = await http.post("/api/v2/extract", content=json.dumps(body))
    assert found.status_code in {404, 422}, found.text
