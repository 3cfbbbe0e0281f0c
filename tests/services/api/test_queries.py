"""How lists may be asked: by a body, by repeated parameters and by commas; and what else is only read."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.ids import Kind, show
from tests.conftest import Tenant

FILES = "/api/v1/beta/files"
CONFIGURATIONS = "/api/v1/beta/configurations"
DIRECTORIES = "/api/v1/beta/directories"
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}}


async def stored(http: httpx.AsyncClient, *names: str) -> list[str]:
    return [
        (await http.post(FILES, files={"file": (name, b"x")}, data={"purpose": "parse"})).json()["id"]
        for name in names
    ]


async def queried(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    found = await http.post(f"{FILES}/query", json=body)
    assert found.status_code == 200, found.text
    return dict(found.json())


class TestFilesByBody:
    async def test_pages_follow_each_other(self, http: httpx.AsyncClient) -> None:
        ids = await stored(http, "c", "a", "b")
        first = await queried(http, page_size=2, order_by="name")
        assert [one["name"] for one in first["items"]] == ["a", "b"]
        rest = await queried(http, page_size=2, order_by="name", page_token=first["next_page_token"])
        assert [one["name"] for one in rest["items"]] == ["c"]
        assert rest["next_page_token"] is None
        newest = await queried(http, order_by="created_at desc")
        assert [one["id"] for one in newest["items"]] == ids[::-1]

    async def test_a_token_belongs_to_its_filters(self, http: httpx.AsyncClient) -> None:
        await stored(http, "a", "b")
        token = (await queried(http, page_size=1))["next_page_token"]
        for body in ({"filter": {"file_name": "a"}}, {"order_by": "name"}):
            found = await http.post(f"{FILES}/query", json={**body, "page_token": token})
            assert found.status_code == 400
            assert "other filters" in found.json()["detail"]

    async def test_filters_narrow(self, http: httpx.AsyncClient, tenant: Tenant, neighbour: Tenant) -> None:
        ids = await stored(http, "a", "b")
        mine = show(Kind.PROJECT, tenant.project_id)
        for narrow, names in (
            ({"file_name": "a"}, ["a"]),
            ({"file_ids": [ids[1].removeprefix("fil-"), "x"]}, ["b"]),
            ({"data_source_id": str(uuid4())}, []),
            ({"only_manually_uploaded": True, "project_id": mine}, ["b", "a"]),
            ({"external_file_id": "e"}, []),
        ):
            found = await queried(http, filter=narrow)
            assert [one["name"] for one in found["items"]] == names, narrow
        theirs = {"filter": {"project_id": show(Kind.PROJECT, neighbour.project_id)}}
        assert (await http.post(f"{FILES}/query", json=theirs)).status_code == 404

    @pytest.mark.parametrize("order", ["size", "name desc", "id desc", "created_at asc", "name,id"])
    async def test_other_orders_are_refused(self, http: httpx.AsyncClient, order: str) -> None:
        for found in (
            await http.post(f"{FILES}/query", json={"order_by": order}),
            await http.get(FILES, params={"order_by": order}),
        ):
            assert found.status_code == 400
            assert "order_by" in found.json()["detail"]


@pytest.mark.parametrize(
    "query", ["types=user&types=ephemeral", "types=user,ephemeral", "types=user, ephemeral"]
)
async def test_directories_of_several_types(http: httpx.AsyncClient, query: str) -> None:
    for kind in ("user", "ephemeral"):
        await http.post(DIRECTORIES, json={"name": kind, "type": kind})
    found = (await http.get(f"{DIRECTORIES}?{query}")).json()["items"]
    assert [one["name"] for one in found] == ["ephemeral", "user"]


async def test_configurations_of_several_products(http: httpx.AsyncClient) -> None:
    for parameters in (
        {"product_type": "parse_v2", "tier": "fast", "version": "latest"},
        {"product_type": "extract_v2", "data_schema": SCHEMA},
        {"product_type": "split_v1", "categories": [{"name": "a"}]},
    ):
        made = await http.post(CONFIGURATIONS, json={"name": "n", "parameters": parameters})
        assert made.json()["parameters"].items() >= parameters.items()
    found = (await http.get(f"{CONFIGURATIONS}?product_type=parse_v2,split_v1&name=&latest_only=true")).json()
    assert [one["product_type"] for one in found["items"]] == ["split_v1", "parse_v2"]
    refused = await http.get(f"{CONFIGURATIONS}?product_type=parse_v2,x")
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["query", "product_type", 1]


@pytest.mark.parametrize(
    "options",
    [
        {"agentic_options": {"custom_promt": "x"}},
        {"output_options": {"markdown": {"tables": {"compact": True}}}},
        {"processing_options": {"auto_mode_configuration": [{"parsing_conf": {"tier": "best"}}]}},
        {"input_options": {"docx": {}}},
    ],
)
async def test_an_option_that_the_contract_does_not_know_is_422(
    http: httpx.AsyncClient, options: dict[str, Any]
) -> None:
    parameters = {"product_type": "parse_v2", "tier": "fast", "version": "latest", **options}
    found = await http.post(CONFIGURATIONS, json={"name": "n", "parameters": parameters})
    assert found.status_code == 422, found.text
    assert found.json()["detail"][0]["loc"][:4] == ["body", "parameters", "parse_v2", next(iter(options))]


async def test_versions_are_what_latest_means(http: httpx.AsyncClient) -> None:
    found = (await http.get("/api/v2/parse/versions")).json()
    assert set(found.pop("latest")) == set(found)
    assert all(len(versions) == 1 for versions in found.values())
    parameters = {"product_type": "parse_v2", "tier": "agentic", "version": found["agentic"][0]}
    made = await http.post(CONFIGURATIONS, json={"name": "n", "parameters": parameters})
    assert made.status_code == 201


async def test_a_schema_comes_back_as_a_configuration(http: httpx.AsyncClient) -> None:
    generate = "/api/v2/extract/schema/generate"
    made = await http.post(generate, json={"name": "invoice", "data_schema": SCHEMA})
    assert made.json() == {
        "name": "invoice",
        "parameters": {"product_type": "extract_v2", "data_schema": SCHEMA},
    }
    assert (await http.post(CONFIGURATIONS, json=made.json())).status_code == 201
    for body in ({}, {"prompt": "an invoice"}, {"prompt": "x", "data_schema": SCHEMA}, {"file_id": "dfl-x"}):
        refused = await http.post(generate, json=body)
        assert refused.status_code == 400
        assert "not available on this server" in refused.json()["detail"]
    bad = await http.post(generate, json={"data_schema": {"type": "array"}})
    assert (bad.status_code, "schema_validation" in bad.json()["detail"]) == (400, True)


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_project_of_another_organisation_is_404(
    http: httpx.AsyncClient, tenant: Tenant, version: str
) -> None:
    one = f"/api/{version}/projects/{show(Kind.PROJECT, tenant.project_id)}"
    own = (await http.get(one)).json()["organization_id"]
    for named in (own, own.removeprefix("org-")):
        assert (await http.get(one, params={"organization_id": named})).status_code == 200
    for named in (f"org-{uuid4()}", "x"):
        assert (await http.get(one, params={"organization_id": named})).status_code == 404
