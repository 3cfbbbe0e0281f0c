"""Every id of one project at every place of every page, asked for by the other: 404, and nothing changes."""

from itertools import product
from typing import Any

import httpx
from sqlalchemy import text

from shared.tables import metadata
from shared.wiring import Resources
from tests.conftest import Tenant
from tests.services.api.tenancy.owned import MOVING, Owned, tokens_of
from tests.services.api.tenancy.pages import (
    KEYED,
    LABELS,
    LINKED,
    OPERATIONS,
    OURS,
    PLACES,
    SPEAKS_OF,
    TENANTS_LISTS,
    Page,
    Place,
)
from tests.services.api.tenancy.requests import GOOD, good, reads_a_body, with_another

NEVER_DONE = Page("POST", "/api/v2/extract/schema/generate")
"""400 for want of a model, before any id is looked at."""


def test_every_id_is_known() -> None:
    """A new parameter or field that looks like an id: say in `pages` what it speaks of."""
    known = {*SPEAKS_OF, *LABELS}
    assert [str(place) for place in PLACES if place.leaf not in known] == []
    assert len(OURS) > 40


def test_every_body_has_a_request() -> None:
    """A new page that reads a body: say in `requests` what a good one is."""
    said = {(page.method, page.path) for page in KEYED if reads_a_body(page)}
    assert said == GOOD.keys()


async def rows_of(resources: Resources, tenant: Tenant) -> dict[str, Any]:
    """All rows of a project, as they are stored."""
    async with resources.unit_of_work() as uow:
        return {
            table.name: (
                await uow.session.execute(
                    text(
                        f"SELECT to_jsonb(t)::text FROM {table.name} t WHERE project_id = :p"  # noqa: S608
                        " ORDER BY 1"
                    ),
                    {"p": tenant.project_id},
                )
            )
            .scalars()
            .all()
            for table in metadata.sorted_tables
            if "project_id" in table.c and table.name != "api_keys"  # it tells when the key was used
        }


def wrong_answer(place: Place, found: httpx.Response) -> bool:
    """Anything but 404; a filter of a list may also match nothing."""
    lists = place.where == "query" or place.name.startswith("filter.")
    if lists and found.status_code == 200:
        return bool(found.json()["items"])
    if place.page == NEVER_DONE:
        return found.status_code not in {400, 404}
    return found.status_code != 404


async def trespasses(
    http: httpx.AsyncClient, ours: Owned, theirs: Owned, *, but: str = "nothing"
) -> list[str]:
    """All that was not refused; `but` is a parameter that is not asked for."""
    found = []
    for place in OURS:
        if place.name == but:
            continue
        for kind in SPEAKS_OF[place.leaf]:
            shown = theirs.first[kind]
            for value in (shown, shown.partition("-")[2]):
                path, sent = with_another(ours, place, value)
                answer = await http.request(place.page.method, path, **sent)
                if wrong_answer(place, answer):
                    found.append(f"{place} = {kind} {value}: {answer.status_code} {answer.text[:200]}")
    for page in KEYED:
        if "{" in page.path and f"{{{but}}}" not in page.path:
            path, _ = good(theirs, page)
            _, sent = good(ours, page)
            answer = await http.request(page.method, path, **sent)
            if answer.status_code != 404:
                found.append(f"{page}, all ids theirs: {answer.status_code} {answer.text[:200]}")
    return found


async def test_what_is_theirs_is_404_at_every_place(
    http: httpx.AsyncClient,
    ours: Owned,
    theirs: Owned,
    resources: Resources,
    neighbour: Tenant,
    tenant: Tenant,
) -> None:
    owners = {neighbour: theirs, tenant: ours}
    before = [(await owned.view(), await rows_of(resources, who)) for who, owned in owners.items()]
    assert await trespasses(http, ours, theirs) == []
    after = [(await owned.view(), await rows_of(resources, who)) for who, owned in owners.items()]
    assert before == after


async def test_an_operator_who_names_our_project_meets_nothing_of_theirs(
    operator: httpx.AsyncClient, ours: Owned, theirs: Owned
) -> None:
    before = await theirs.view()
    # In a path it is the project that is asked for, and an operator may see each.
    assert await trespasses(operator, ours, theirs, but="project_id") == []
    assert await theirs.view() == before


async def test_our_own_are_found_at_the_same_places(http: httpx.AsyncClient, ours: Owned) -> None:
    """Else the matrix would prove nothing: a good request is no 404."""
    for page in KEYED:
        if page.method == "DELETE":
            continue
        path, sent = good(ours, page)
        found = await http.request(page.method, path, **sent)
        assert found.is_success or found.status_code in {400, 409}, (page, found.text)
    for place in OURS:
        within_one_directory = place.leaf == "directory_file_ids"
        if place.where == "body" and place.page.method == "POST" and not within_one_directory:
            kind = (
                "extract_config_id"
                if place.leaf == "configuration_id" and "/extract" in place.page.path
                else (SPEAKS_OF[place.leaf][0])
            )
            path, sent = with_another(ours, place, ours.second[kind])
            found = await http.request("POST", path, **sent)
            assert found.is_success or found.status_code == 409 or place.page == NEVER_DONE, (
                place,
                found.text,
            )


async def test_nobody_works_in_another_project_by_naming_it(
    http: httpx.AsyncClient, ours: Owned, theirs: Owned, resources: Resources, neighbour: Tenant
) -> None:
    before = await rows_of(resources, neighbour)
    organization = (await theirs.http.get("/api/v1/projects")).json()[0]["organization_id"]
    asked = 0
    for page in KEYED:
        names = {one["name"] for one in OPERATIONS[page].get("parameters", ()) if one["in"] == "query"}
        for name, value in (("project_id", theirs.first["project_id"]), ("organization_id", organization)):
            if name not in names:
                continue
            for owned in (ours, theirs):
                path, sent = good(owned, page)
                found = await http.request(page.method, path, **sent, params={name: value})
                asked += 1
                nothing = found.status_code == 200 and found.json() in ([], {"items": [], **NO_MORE})
                assert found.status_code == 404 or nothing, (page, name, found.text)
    assert asked > 100
    assert await rows_of(resources, neighbour) == before


NO_MORE = {"next_page_token": None, "total_size": None}


OF_NOBODY = {Page("GET", "/api/v2/parse/versions")}


async def test_no_list_shows_what_is_theirs(http: httpx.AsyncClient, ours: Owned, theirs: Owned) -> None:
    foreign = {*theirs.first.values(), *theirs.second.values()}
    gets = [page for page in KEYED if page.method == "GET" and "{" not in page.path]
    lists = [page for page in gets if page not in OF_NOBODY]
    assert len(lists) >= 8
    for page in (*lists, *TENANTS_LISTS):
        path, _ = good(ours, page)
        found = await http.get(path, params={"include_total": "true", "include_deleted": "true"})
        assert found.status_code == 200
        body = found.json()
        assert body if isinstance(body, list) else body["items"], (page, "would prove nothing")
        assert not [one for one in foreign if one.partition("-")[2] in found.text], page


async def test_their_page_tokens_turn_no_page_of_ours(
    http: httpx.AsyncClient, ours: Owned, theirs: Owned
) -> None:
    tokens = await tokens_of(theirs)
    one_project_has_no_second = {"/api/v2/projects"}
    assert {page.path for page in TENANTS_LISTS} - {page.path for page in tokens} == one_project_has_no_second
    for page, token in tokens.items():
        path, _ = good(ours, page)
        found = await http.get(path, params={"page_token": token})
        assert found.status_code == 400, (page, found.text)
        assert "page_token" in found.json()["detail"]
        elsewhere = [other for other in tokens if other != page]
        for other in elsewhere:
            path, _ = good(theirs, other)
            assert (await theirs.http.get(path, params={"page_token": token})).status_code == 400


async def test_their_page_token_in_a_body_turns_no_page_of_ours(ours: Owned, theirs: Owned) -> None:
    query = "/api/v1/beta/files/query"
    token = (await theirs.http.post(query, json={"page_size": 1})).json()["next_page_token"]
    asked = {"page_size": 1, "page_token": token}
    assert (await theirs.http.post(query, json=asked)).status_code == 200
    assert (await ours.http.post(query, json=asked)).status_code == 400


async def test_their_link_opens_their_file_only(
    anonymous: httpx.AsyncClient, ours: Owned, theirs: Owned
) -> None:
    """Whichever parts of two links are put together, and whatever they are hung on."""
    links = []
    for owned in (ours, theirs):
        found = await owned.http.get(f"/api/v1/beta/files/{owned.first['file_id']}/content")
        links.append(dict(httpx.URL(found.json()["url"]).params))
    mixed = [
        {name: links[which][name] for name, which in zip(links[0], mix, strict=True)}
        for mix in product((0, 1), repeat=3)
    ]
    for owned, own in zip((ours, theirs), links, strict=True):
        for page in LINKED:
            path = page.path.format_map({**owned.ids(page.path), "part": "text"})
            for params in mixed:
                right = page == LINKED[0] and params == own
                found = await anonymous.get(path, params=params)
                assert found.status_code == (200 if right else 403), (page, params, found.text)


async def test_a_parse_of_an_upload_names_no_configuration_of_theirs(
    http: httpx.AsyncClient, theirs: Owned
) -> None:
    """The form's field is JSON as text, which the matrix does not look into."""
    named = f'{{"configuration_id": "{theirs.first["config_id"]}"}}'
    sent: dict[str, Any] = {"files": {"file": ("f", b"x")}, "data": {"configuration": named}}
    found = await http.post("/api/v2/parse/upload", **sent)
    assert found.status_code == 404, found.text
    assert (await http.get("/api/v1/beta/files")).json()["items"] == []


async def test_ids_count_with_and_without_prefix(http: httpx.AsyncClient, ours: Owned) -> None:
    bare = Owned(http, {name: shown.partition("-")[2] for name, shown in ours.first.items()})
    for page in KEYED:
        if page.method == "GET" and "{" in page.path and not page.path.endswith(MOVING):
            path, bare_path = good(ours, page)[0], good(bare, page)[0]
            assert (await http.get(path)).json() == (await http.get(bare_path)).json()


ODD = (
    *("x", "prj-", "-", "%00", "%ff", "%2e%2e", "..%2f", "a%2fb", "%252f", "bat-bat-x", "'; drop", "{0}"),
    *(
        "0" * 5_000,
        "%F0%9F%92%A9",
        "%ED%A0%80",
        "%EF%BF%BE",
        "%0d%0ax:%20y",
        "%e2%80%ae",
        "NaN",
        "-1",
        "null",
    ),
    *("00000000-0000-0000-0000-000000000000", "fil-00000000-0000-0000-0000-00000000000G"),
)


async def test_odd_ids_are_the_ids_of_nothing(http: httpx.AsyncClient, ours: Owned) -> None:
    for place in OURS:
        if place.where != "path":
            continue
        for odd in ODD:
            path, sent = with_another(ours, place, odd)
            found = await http.request(place.page.method, path, **sent)
            assert found.status_code == 404, (place, odd[:80], found.text[:200])
            assert len(found.text) < 1_000
