"""Page tokens: signed, of one list with one set of filters, and for a while."""

import time
from uuid import uuid4

import httpx
import pytest

from services.api import paging
from services.api.signing import Signer
from shared.errors import InvalidInput
from shared.projects import service as project_service
from shared.wiring import Resources
from tests.conftest import Tenant

DIRECTORIES = "/api/v1/beta/directories"
OURS = Signer(b"key")
LIST = b"12345678"


def test_a_token_comes_back_as_its_position() -> None:
    after = uuid4()
    assert paging.read_token(OURS, paging.write_token(OURS, after, LIST), LIST) == after


def test_every_changed_character_is_seen() -> None:
    token = paging.write_token(OURS, uuid4(), LIST)
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        changed = token[:place] + other + token[place + 1 :]
        # The last character carries unused bits: some of its changes are no change of the bytes.
        if place < len(token) - 1:
            with pytest.raises(InvalidInput):
                paging.read_token(OURS, changed, LIST)


@pytest.mark.parametrize("token", ["", "x", "page_token", "日本", "=" * 9, "A" * 5_000, "\udce9"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput):
        paging.read_token(OURS, token, LIST)


def test_another_servers_and_another_lists_are_refused() -> None:
    token = paging.write_token(OURS, uuid4(), LIST)
    with pytest.raises(InvalidInput, match="gave out"):
        paging.read_token(Signer(b"other"), token, LIST)
    with pytest.raises(InvalidInput, match="other filters"):
        paging.read_token(OURS, token, b"87654321")


def test_an_old_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    token = paging.write_token(OURS, uuid4(), LIST)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + paging.LIFE_S - 60)
    paging.read_token(OURS, token, LIST)
    monkeypatch.setattr(time, "time", lambda: now + paging.LIFE_S + 60)
    with pytest.raises(InvalidInput, match="24 hours"):
        paging.read_token(OURS, token, LIST)


@pytest.fixture
async def five(http: httpx.AsyncClient) -> list[str]:
    """The ids of five directories, newest first."""
    made = [(await http.post(DIRECTORIES, json={"name": "d"})).json()["id"] for _ in range(5)]
    return made[::-1]


@pytest.mark.parametrize("size", [1, 2, 5, 6])
async def test_a_list_is_read_once_and_never_by_an_empty_page(
    http: httpx.AsyncClient, five: list[str], size: int
) -> None:
    found: list[str] = []
    params = {"page_size": str(size), "include_total": "true"}
    while True:
        page = (await http.get(DIRECTORIES, params=params)).json()
        assert page["items"]
        assert page["total_size"] == 5
        found += [item["id"] for item in page["items"]]
        if page["next_page_token"] is None:
            break
        params["page_token"] = page["next_page_token"]
    assert found == five


async def test_a_total_is_counted_only_when_asked(http: httpx.AsyncClient, five: list[str]) -> None:
    assert (await http.get(DIRECTORIES)).json()["total_size"] is None


async def test_a_token_fits_its_list_only(
    http: httpx.AsyncClient, api_url: str, neighbour: Tenant, five: list[str]
) -> None:
    first = {"page_size": "2", "name": "d"}
    token = (await http.get(DIRECTORIES, params=first)).json()["next_page_token"]
    for same in ({**first, "page_size": "3"}, {"name": "d", "include_total": "true", "type": ""}):
        assert (await http.get(DIRECTORIES, params={**same, "page_token": token})).status_code == 200
    for other in ({}, {"name": "e"}, {"name": "d", "type": "user"}):
        found = await http.get(DIRECTORIES, params={**other, "page_token": token})
        assert (found.status_code, "other filters" in found.text) == (400, True)
    assert (await http.get("/api/v2/batches", params={"name": "d", "page_token": token})).status_code == 400
    headers = {"authorization": f"Bearer {neighbour.key}"}
    found = await http.get(DIRECTORIES, params={**first, "page_token": token}, headers=headers)
    assert found.status_code == 400


async def test_rows_that_come_or_go_between_pages_break_nothing(
    http: httpx.AsyncClient, five: list[str]
) -> None:
    page = (await http.get(DIRECTORIES, params={"page_size": "2"})).json()
    await http.delete(f"{DIRECTORIES}/{page['items'][1]['id']}")
    await http.post(DIRECTORIES, json={"name": "new"})
    params = {"page_size": "9", "page_token": page["next_page_token"]}
    rest = (await http.get(DIRECTORIES, params=params)).json()
    assert [item["id"] for item in rest["items"]] == five[2:]


async def test_an_operator_pages_through_all_projects(
    api_url: str, resources: Resources, operator_key: str, tenant: Tenant, neighbour: Tenant
) -> None:
    async with httpx.AsyncClient(
        base_url=api_url, headers={"authorization": f"Bearer {operator_key}"}
    ) as http:
        first = (await http.get("/api/v2/projects", params={"page_size": "1"})).json()
        params = {"page_size": "1", "page_token": first["next_page_token"]}
        second = (await http.get("/api/v2/projects", params=params)).json()
    assert {page["items"][0]["name"] for page in (first, second)} == {"ours", "theirs"}
    assert second["next_page_token"] is None
    async with resources.unit_of_work() as uow:
        assert len(await project_service.list_keys(uow)) == 3
