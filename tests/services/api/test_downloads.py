"""Links to bytes: the signature is the permission."""

from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit
from uuid import uuid4

import httpx
import pytest

from services.api.downloads import Links, safe_headers
from services.api.signing import Signer
from shared.config import Settings
from shared.errors import NotAllowed
from shared.ids import Kind, show
from tests.conftest import Server, Tenant
from tests.twins import HeardBells

FILES = "/api/v1/beta/files"


@pytest.fixture
async def file(http: httpx.AsyncClient) -> str:
    """The id of a stored file."""
    made = await http.post(
        FILES, files={"file": ('dir/Grö"ße;x.html', b"<script>")}, data={"purpose": "parse"}
    )
    return str(made.json()["id"])


def changed(url: str, **values: str) -> str:
    parts = urlsplit(url)
    query = {name: texts[0] for name, texts in parse_qs(parts.query).items()} | values
    return urlunsplit(parts._replace(query=urlencode(query)))


async def test_a_link_gives_the_bytes_to_whoever_holds_it(
    http: httpx.AsyncClient, anonymous: httpx.AsyncClient, file: str
) -> None:
    link = (await http.get(f"{FILES}/{file}/content")).json()
    assert link["form_fields"] is None
    found = await anonymous.get(link["url"])
    assert (found.status_code, found.content) == (200, b"<script>")
    assert found.headers["content-type"] == "application/octet-stream"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-disposition"].startswith('attachment; filename="Groex.html"') or (
        found.headers["content-disposition"].startswith("attachment; filename=")
    )


async def test_a_changed_link_is_403(
    http: httpx.AsyncClient, anonymous: httpx.AsyncClient, neighbour: Tenant, file: str
) -> None:
    url = (await http.get(f"{FILES}/{file}/content")).json()["url"]
    for changes in (
        {"expires": "9999999999"},
        {"signature": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"signature": "日"},
        {"project_id": show(Kind.PROJECT, neighbour.project_id)},
    ):
        assert (await anonymous.get(changed(url, **changes))).status_code == 403
    assert (await anonymous.get(url.replace(file, f"fil-{uuid4()}"))).status_code == 403
    assert (await anonymous.get(url.split("?")[0])).status_code == 422


def test_a_link_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    links = Links("http://x", Signer(b"k"))
    project, file = uuid4(), uuid4()
    made = links.to(project, file, life_s=60)
    query = parse_qs(urlsplit(made.url).query)
    expires, signature = int(query["expires"][0]), query["signature"][0]
    links.check(project, file, expires, signature)
    monkeypatch.setattr("time.time", lambda: expires + 1)
    with pytest.raises(NotAllowed, match="ended"):
        links.check(project, file, expires, signature)


@pytest.mark.parametrize(
    ("asked", "life"), [(None, 3600), (0, 3600), (-1, 3600), (60, 60), (10**12, 7 * 24 * 3600)]
)
def test_a_link_lives_an_hour_or_as_asked(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, life: int
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000_000)
    made = Links("http://x", Signer(b"k")).to(uuid4(), uuid4(), life_s=asked)
    assert made.expires_at.timestamp() == 1_000_000 + life


@pytest.mark.parametrize(
    "name", ['a"; filename="b.exe', "a\r\nset-cookie: x", "..\\..\\x", "../x", "日本", "", "\u202egnp.exe"]
)
def test_no_name_breaks_out_of_its_header(name: str) -> None:
    value = safe_headers(name)["content-disposition"]
    value.encode("ascii")
    assert value.startswith('attachment; filename="')
    assert value.count('"') == 2
    assert not set("\r\n\\/") & set(value)


async def test_a_links_base_is_the_public_url(settings: Settings, bells: HeardBells, tenant: Tenant) -> None:
    api = settings.api.model_copy(update={"public_url": "https://mill.example/base/"})
    server = Server(settings.model_copy(update={"api": api}), bells)
    await server.start()
    headers = {"authorization": f"Bearer {tenant.key}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        made = await http.post(FILES, files={"file": ("f", b"x")}, data={"purpose": "parse"})
        link = (await http.get(f"{FILES}/{made.json()['id']}/content")).json()["url"]
    await server.stop()
    assert link.startswith(f"https://mill.example/base{FILES}/fil-")


async def test_lists_have_links_when_asked(
    http: httpx.AsyncClient, anonymous: httpx.AsyncClient, file: str
) -> None:
    directory = (await http.post("/api/v1/beta/directories", json={"name": "d"})).json()["id"]
    entries = f"/api/v1/beta/directories/{directory}/files"
    entry = (await http.post(entries, json={"file_id": file})).json()["id"]
    for path in (FILES, entries):
        for expand, there in ((None, False), ("download_url", True), ("other,download_url", True)):
            params = {"expand": expand} if expand else {}
            item = (await http.get(path, params=params)).json()["items"][0]
            assert (item["download_url"] is not None) == there
    one = (await http.get(f"{entries}/{entry}", params={"expand": "download_url"})).json()
    assert (await anonymous.get(one["download_url"]["url"])).content == b"<script>"
    await http.delete(f"{FILES}/{file}")
    assert (await anonymous.get(one["download_url"]["url"])).content == b"<script>"
