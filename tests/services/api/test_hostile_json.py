"""JSON and queries that nobody means well with: a clear 4xx, with the place."""

import json
from itertools import product

import httpx
import pytest

DIRECTORIES = "/api/v1/beta/directories"
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"name": "a\\u0000b"}', "name"),
        (b'{"name": "d", "description": "\\u0000"}', "description"),
        (b'{"name": "d", "connector_subscription_id": "\\u0000"}', "connector_subscription_id"),
        (b'{"name": "d", "system_metadata": {"a": [{"b": "\\u0000"}]}}', "system_metadata.a.0.b"),
        (b'{"name": "d", "system_metadata": {"a\\u0000": 1}}', "system_metadata"),
        ('{"name": "a\\u0000"}'.encode("utf-16"), "name"),
    ],
)
async def test_text_that_cannot_be_stored_is_named(http: httpx.AsyncClient, body: bytes, where: str) -> None:
    found = await http.post(DIRECTORIES, content=body, headers=JSON)
    assert (found.status_code, found.json()["detail"].partition(":")[0]) == (400, where), found.text


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"name": "\\ud800"}', ["body", "name"]),
        (b'{"name": "\xed\xa0\x80"}', ["body", "name"]),
        (b'{"name": "d", "system_metadata": {"a": ["\\udfff"]}}', ["body", "system_metadata", "a", "0"]),
        (b'{"name": "d", "system_metadata": {"\\ud800": 1}}', ["body", "system_metadata"]),
    ],
)
async def test_text_that_is_no_unicode_is_named(
    http: httpx.AsyncClient, body: bytes, where: list[str]
) -> None:
    found = await http.post(DIRECTORIES, content=body, headers=JSON)
    assert (found.status_code, found.json()["detail"][0]["loc"]) == (422, where), found.text


async def test_text_that_looks_like_it_is_kept(http: httpx.AsyncClient) -> None:
    body = b'{"name": "\\ud83d\\ude00 \\\\u0000 \xed\x95\x9c", "system_metadata": {"a": null}}'
    found = await http.post(DIRECTORIES, content=body, headers=JSON)
    assert (found.status_code, found.json()["name"]) == (201, "\U0001f600 \\u0000 \ud55c")


@pytest.mark.parametrize("path", [DIRECTORIES + "?name=a%00", "/api/v1/beta/files?external_file_id=%00"])
async def test_a_query_that_cannot_be_stored_is_named(http: httpx.AsyncClient, path: str) -> None:
    found = await http.get(path)
    assert (found.status_code, found.json()["detail"][:4] in ("name", "exte")) == (400, True)


@pytest.mark.parametrize(
    "path",
    [DIRECTORIES + "/dir-%00", DIRECTORIES + "/..%2f..%2fetc", "/api/v1/../../etc/passwd", "/%2e%2e/x"],
)
async def test_a_path_leads_nowhere_else(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


DEEP = 100_000
BODIES = (
    b"",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe",
    b"\x80",
    b"null",
    b"1",
    b'"x"',
    b"[]",
    b"{",
    b"{}",
    b"[" * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    b'{"name": "d", "system_metadata": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    b'{"name": "d", "system_metadata": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}",
    b'{"name": NaN}',
    b'{"name": "d", "system_metadata": {"a": NaN}}',
    b'{"name": "d", "system_metadata": {"a": Infinity}}',
    b'{"name": "d", "system_metadata": {"a": 1e999}}',
    b'{"name": "d", "system_metadata": {"a": 1' + b"0" * 100_000 + b"}}",
    b'{"name": "d", "expires_at": 1e999}',
    b'{"name": "d", "expires_at": 1' + b"0" * 4_000 + b"}",
    b'{"name": "' + b"x" * 1_000_000 + b'"}',
    b'{"name": "d", "unknown": 1, "name": 1}',
)


async def test_a_hostile_body_is_4xx_with_a_reason(http: httpx.AsyncClient) -> None:
    for body in BODIES:
        found = await http.post(DIRECTORIES, content=body, headers=JSON)
        assert 400 <= found.status_code < 500, (body[:80], found.status_code, found.text[:200])
        assert found.json()["detail"]
        assert len(found.content) < 10_000
    assert (await http.get(DIRECTORIES)).json()["items"] == []


async def test_what_is_nested_deep_is_given_back_or_refused(http: httpx.AsyncClient) -> None:
    for depth, status in ((198, 201), (199, 400)):
        body = b'{"name": "d", "system_metadata": {"a": ' + b"[" * depth + b"]" * depth + b"}}"
        found = await http.post(DIRECTORIES, content=body, headers=JSON)
        assert found.status_code == status, (depth, found.text)
        if status == 400:
            assert found.json()["detail"].startswith("system_metadata.a.0.0")
    assert (await http.get(DIRECTORIES)).status_code == 200


VALUES: tuple[object, ...] = (None, 1, 1.5, True, "x", [], {}, [1], {"a": 1}, -1, 10**30)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (DIRECTORIES, ("name", "description", "type", "expires_at", "system_metadata")),
        ("/api/v2/batches", ("source_directory_id", "config")),
        ("/api/v2/parse", ("file_id", "tier", "version", "source_url", "page_ranges")),
        ("/api/v2/extract", ("file_input", "configuration", "configuration_id")),
        ("/api/v1/beta/configurations", ("name", "parameters")),
    ],
)
async def test_a_value_of_the_wrong_type_is_no_fault_of_the_server(
    http: httpx.AsyncClient, path: str, fields: tuple[str, ...]
) -> None:
    for name, value in product(fields, VALUES):
        found = await http.post(path, content=json.dumps({name: value}), headers=JSON)
        assert found.status_code < 500, (name, value, found.text)


async def test_thousands_of_parameters_are_read_or_refused(http: httpx.AsyncClient) -> None:
    for query in ("&".join(f"p{n}=1" for n in range(6_000)), "name=a&" * 9_000, "expand=" + "a," * 30_000):
        assert (await http.get(f"{DIRECTORIES}?{query}")).status_code == 200
