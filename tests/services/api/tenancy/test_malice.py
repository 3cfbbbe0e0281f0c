"""What no client of good will sends, to each page: an answer below 500 with a reason, and nothing is done."""

import json
from typing import Any

import httpx
import pytest

from tests.services.api.tenancy.owned import Owned
from tests.services.api.tenancy.pages import KEYED, OPERATIONS, Page
from tests.services.api.tenancy.requests import good

WITH_JSON = [
    page for page in KEYED if "application/json" in OPERATIONS[page].get("requestBody", {}).get("content", {})
]
BODIES = (
    *(b"", b"NaN", b"{", b"[]", b'"x"', b"1", b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"\\ud800": "\\udfff"}'),
    *(b"[" * 5_000, b'{"a":' * 5_000, b'{"a": 1' + b"0" * 5_000 + b"}", b'{"a": "\\u0000"}'),
)
TYPES = (
    *("text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", ""),
    *(
        "multipart/form-data; boundary=",
        "application/json; charset=utf-7",
        "application/octet-stream",
        "\xff",
    ),
)


def spoiled(body: dict[str, Any]) -> list[bytes]:
    """The good body with each field made something else, twice there, or beside something odd."""
    text = json.dumps(body)
    found = []
    for name in body:
        for odd in (
            "NaN",
            "-Infinity",
            "1e400",
            '"\\ud800"',
            '"\\u0000"',
            "[[[]]]",
            '{"": null}',
            "1" + "0" * 30,
        ):
            rest = {other: value for other, value in body.items() if other != name}
            found.append(f"{{{json.dumps(name)}: {odd}, {json.dumps(rest)[1:]}".replace(", }", "}").encode())
            found.append(f"{text[:-1]}, {json.dumps(name)}: {odd}}}".encode())
    return found


async def test_no_body_is_a_failure_of_the_server(http: httpx.AsyncClient, ours: Owned) -> None:
    assert len(WITH_JSON) >= 12
    for page in WITH_JSON:
        path, sent = good(ours, page)
        for body in (*BODIES, *spoiled(sent["json"])):
            headers = {"content-type": "application/json"}
            found = await http.request(page.method, path, content=body, headers=headers)
            assert found.status_code < 500, (page, body[:200], found.text)
            assert found.is_success or found.json()["detail"], (page, body[:200])


async def test_a_body_of_another_type_is_refused(http: httpx.AsyncClient, ours: Owned) -> None:
    for page in WITH_JSON:
        path, sent = good(ours, page)
        body = json.dumps(sent["json"]).encode()
        for kind in TYPES:
            headers = [(b"content-type", kind.encode("latin-1"))]
            found = await http.request(page.method, path, content=body, headers=headers)
            assert found.status_code < 500, (page, kind, found.text)
            wanted = found.is_success or found.json()["detail"]
            assert wanted if "json" in kind else found.status_code >= 400, (page, kind, found.text)


@pytest.mark.parametrize("how", ["x-http-method-override", "x-http-method", "x-method-override", "_method"])
async def test_a_method_is_what_the_request_line_says(http: httpx.AsyncClient, ours: Owned, how: str) -> None:
    before = await ours.view()
    for page in KEYED:
        if page.method == "DELETE":
            path, _ = good(ours, page)
            for method in ("GET", "POST"):
                sent: dict[str, Any] = {"params": {how: "DELETE"}, "headers": {how: "DELETE"}}
                found = await http.request(method, path, **sent)
                assert found.status_code in {200, 405}, (page, method, found.text)
    assert await ours.view() == before


async def test_other_methods_do_nothing_anywhere(http: httpx.AsyncClient, ours: Owned) -> None:
    before = await ours.view()
    methods = {path: {page.method for page in KEYED if page.path == path} for path in {p.path for p in KEYED}}
    # Under another method these are the file or the job with that id, of which there is none.
    shadows = tuple(
        path for path in methods if path.endswith(("/upload", "/versions", "/query", "/bulk-delete"))
    )
    for path, known in methods.items():
        filled, _ = good(ours, Page("GET", path))
        for method in ("HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "POST", "PROPFIND"):
            if method in known or (method == "HEAD" and "GET" in known):
                continue
            found = await http.request(method, filled)
            refused = {404, 405, 422} if path in shadows else {405}
            assert found.status_code in refused, (method, path)
            assert found.status_code != 405 or known <= set(found.headers["allow"].split(", ")), (
                method,
                path,
            )
    assert await ours.view() == before
