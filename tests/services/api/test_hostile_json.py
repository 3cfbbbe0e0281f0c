"""JSON and queries that nobody means well with: a clear 4xx, with the place."""

import json
from collections.abc import AsyncIterator
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


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"name": "\x80"}', "no text in UTF-8: its byte 10"),
        (b"[" * DEEP, "nested too deeply"),
        (b'{"name": 1' + b"0" * 100_000 + b"}", "more digits than can be read"),
    ],
    ids=["bytes", "depth", "digits"],
)
async def test_a_body_that_cannot_be_read_is_told_why(http: httpx.AsyncClient, body: bytes, why: str) -> None:
    found = await http.post(DIRECTORIES, content=body, headers=JSON)
    assert found.status_code == 400
    assert why in found.json()["detail"]


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


QUERY = "/api/v1/beta/files/query"


async def test_more_ids_than_a_statement_has_values_are_looked_for(http: httpx.AsyncClient) -> None:
    made = await http.post("/api/v1/beta/files", files={"file": ("f", b"x")}, data={"purpose": "parse"})
    own = made.json()["id"]
    others = [f"fil-00000000-0000-4000-8000-{number:012x}" for number in range(40_000)]
    found = await http.post(QUERY, json={"filter": {"file_ids": [*others, own]}})
    assert found.status_code == 200, found.text
    assert [one["id"] for one in found.json()["items"]] == [own]
    found = await http.post(QUERY, json={"filter": {"file_ids": others}})
    assert found.json()["items"] == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"filter": {"file_ids": [' + b"1," * 600_000 + b"1]}}", "filter.file_ids"),
        (b"[" + b"[]," * 600_000 + b"[]]", "body"),
        (b'{"filter": [' + b"{}," * 600_000 + b"{}]}", "body"),
        (("[" + "[]," * 300_000 + "[]]").encode("utf-16")[:2_000_000], "body"),
        (b"{" + b",".join(b'"%d":1' % number for number in range(60_000)) + b"}", "body"),
    ],
)
async def test_a_million_values_are_refused_before_each_is_checked(
    http: httpx.AsyncClient, anonymous: httpx.AsyncClient, body: bytes, where: str
) -> None:
    """Checking them takes up to 20 seconds, for which nobody else is answered. Checked, they are no 400."""
    for client in (http, anonymous):
        found = await client.post(QUERY, content=body, headers=JSON)
        assert (found.status_code, found.json()["detail"].partition(":")[0]) == (400, where), found.text
        assert "100,000" in found.text


@pytest.mark.parametrize("mark", [",", "[", "{", '["', "\\{"])
async def test_marks_in_a_text_are_no_values(http: httpx.AsyncClient, mark: str) -> None:
    found = await http.post(DIRECTORIES, json={"name": "d", "description": mark * 200_000})
    assert found.status_code == 201, found.text


async def test_so_many_objects_and_lists_are_not_even_read(http: httpx.AsyncClient) -> None:
    """What is no JSON in the end would be 422, were it read."""
    for body in (b"[" + b"[]," * 101_000, b'["[{",' + b"{}," * 101_000):
        found = await http.post(QUERY, content=body, headers=JSON)
        assert (found.status_code, found.json()["detail"][:5]) == (400, "body:")


async def test_of_many_wrong_ids_the_first_is_told(http: httpx.AsyncClient) -> None:
    found = await http.post(QUERY, json={"filter": {"file_ids": ["x", *[1] * 90_000]}})
    assert found.status_code == 422
    assert [one["loc"] for one in found.json()["detail"]] == [["body", "filter", "file_ids", 1]]


@pytest.mark.parametrize(
    "kind", ["application/JSON", "Application/Json ;charset=utf-8", "application/LD+json"]
)
async def test_the_kind_of_a_body_is_known_in_any_case(http: httpx.AsyncClient, kind: str) -> None:
    deep = b'{"name": "d", "system_metadata": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}"
    for body, where in ((deep, "system_metadata.a.0.0"), (b'{"name": "\\u0000"}', "name: ")):
        found = await http.post(DIRECTORIES, content=body, headers={"content-type": kind})
        assert (found.status_code, found.json()["detail"][: len(where)]) == (400, where), found.text


MULTIPART = "multipart/form-data; boundary=json"


@pytest.mark.parametrize(
    "kinds", [[MULTIPART], ["application/json", MULTIPART], [MULTIPART, "application/json"]]
)
async def test_a_body_is_bounded_whatever_it_says_that_it_is(
    http: httpx.AsyncClient, anonymous: httpx.AsyncClient, kinds: list[str]
) -> None:
    """A page that takes JSON reads it whole before anybody asks for the key."""
    headers = [("content-type", kind) for kind in kinds]

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (1 << 20)

    for client in (http, anonymous):
        for content in (b" " * (3 << 20), pieces()):
            found = await client.post(DIRECTORIES, content=content, headers=headers)
            assert (found.status_code, "2,097,152 bytes" in found.text) == (413, True), found.text


async def test_a_file_is_no_json_whatever_its_boundary_is(http: httpx.AsyncClient) -> None:
    parts = (b'name="purpose"\r\n\r\nparse', b'name="file"; filename="f"\r\n\r\n' + b"x" * (3 << 20))
    body = b"".join(b"--json\r\ncontent-disposition: form-data; " + part + b"\r\n" for part in parts)
    found = await http.post(
        "/api/v1/beta/files", content=body + b"--json--", headers={"content-type": MULTIPART}
    )
    assert (found.status_code, found.json().get("size_bytes")) == (201, 3 << 20), found.text
