"""The OpenAPI document is true, committed, and read without any other host."""

import gc
import json
import re
import weakref
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from services.api import openapi, openapi_examples
from services.api.app import create_app
from services.api.write_openapi import text
from shared.config import Settings
from tests.architecture.sources import ROOT

COMMITTED = ROOT / "docs" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(text())
OPERATIONS = {name: operation for name, _, operation in openapi.operations(DOCUMENT)}
OPEN = {
    "GET /health",
    "GET /ready",
    "GET /metrics",
    "GET /api/v1/beta/files/{file_id}/download",
    "GET /api/v2/parse/{job_id}/content/{part}",
}


def test_the_committed_document_is_this_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == text(), "renew docs/openapi.json with: make openapi"


@pytest.mark.parametrize(
    "table",
    [
        openapi.CONFLICTS,
        openapi.UPLOADS,
        openapi.SUMMARIES,
        openapi_examples.BODIES,
        openapi_examples.ANSWERS,
    ],
    ids=["conflicts", "uploads", "summaries", "bodies", "answers"],
)
def test_tables_name_operations_that_are_there(table: dict[str, Any]) -> None:
    assert set(table) <= set(OPERATIONS)


def test_each_operation_says_what_it_is_and_who_may() -> None:
    for name, operation in OPERATIONS.items():
        assert re.fullmatch(r"[A-Z][A-Za-z' ,]+", operation["summary"]), name
        assert operation["description"], name
        schemes = [next(iter(one)) for one in operation.get("security", ())]
        assert schemes == ([] if name in OPEN else ["bearer", "session"]), name
        codes = set(operation["responses"])
        assert codes >= ({"400"} if name in OPEN else {"400", "401", "429", "503"}), name
        assert ("404" in codes) >= ("{" in name), name
    assert {scheme["type"] for scheme in DOCUMENT["components"]["securitySchemes"].values()} == {
        "http",
        "apiKey",
    }


def test_each_reference_leads_somewhere() -> None:
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT))):
        found: Any = DOCUMENT
        for part in reference.split("/"):
            found = found[part]


def examples() -> list[tuple[str, Any, Any]]:
    return [
        (name, content["schema"], content["example"])
        for name, operation in OPERATIONS.items()
        for one in (operation.get("requestBody", {}), *operation["responses"].values())
        for content in one.get("content", {}).values()
        if "example" in content
    ]


def test_examples_are_what_they_are_examples_of() -> None:
    assert len(examples()) == len(openapi_examples.BODIES) + len(openapi_examples.ANSWERS)
    for name, schema, example in examples():
        whole = {**schema, "components": DOCUMENT["components"]}
        errors = [error.message for error in Draft202012Validator(whole).iter_errors(example)]
        assert not errors, (name, errors)


class TestPages:
    async def test_they_load_from_here_alone(self, anonymous: httpx.AsyncClient) -> None:
        for page, least in (("/docs", 4), ("/redoc", 3)):
            html = await anonymous.get(page)
            assert html.status_code == 200
            asked = re.findall(r"""(?:src|href|url|spec-url)\s*[=:]\s*["']([^"']+)["']""", html.text)
            assert len(asked) >= least, html.text
            assert "//" not in "".join(asked)
            for url in asked:
                assert (await anonymous.get(url)).status_code == 200, url
        assert "oauth" not in (await anonymous.get("/docs")).text.lower().replace("oauth2redirecturl", "")

    async def test_the_matrix_is_where_refusals_point(
        self, http: httpx.AsyncClient, anonymous: httpx.AsyncClient
    ) -> None:
        refused = await http.post("/api/v1/pipelines", json={})
        assert refused.status_code == 404
        place = re.search(r"see (\S+)$", refused.json()["detail"])
        assert place is not None
        found = await anonymous.get(place[1])
        assert found.text == (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
        assert found.headers["content-type"] == "text/plain; charset=utf-8"

    async def test_the_document_is_served(self, anonymous: httpx.AsyncClient) -> None:
        assert (await anonymous.get("/openapi.json")).json() == DOCUMENT

    async def test_other_methods_on_them_are_405(self, http: httpx.AsyncClient) -> None:
        for path in ("/docs", "/redoc", "/docs/compatibility", "/openapi.json"):
            found = await http.post(path)
            assert (found.status_code, "GET" in found.headers["allow"]) == (405, True), path
        assert (await http.get("/docs/assets/nothing.js")).status_code == 404
        assert (await http.delete("/docs/assets/swagger-ui.css")).status_code == 405


def test_an_application_that_nobody_holds_is_gone() -> None:
    made = weakref.ref(create_app(Settings(secret_key="x")))  # type: ignore[arg-type]
    gc.collect()
    assert made() is None
