"""Forms that nobody means well with: refused or taken, and nothing left behind that has no row."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from shared.config import Settings
from shared.wiring import Resources

FILES = "/api/v1/beta/files"
KIND = {"content-type": "multipart/form-data; boundary=b"}
LIMIT = 300_000
END = b"--b--\r\n"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a small limit."""
    return settings.model_copy(update={"api": settings.api.model_copy(update={"max_upload_bytes": LIMIT})})


def part(disposition: bytes, value: bytes, *more: bytes) -> bytes:
    heads = [b"Content-Disposition: form-data; " + disposition, *more]
    return b"--b\r\n" + b"\r\n".join(heads) + b"\r\n\r\n" + value + b"\r\n"


PURPOSE = part(b'name="purpose"', b"parse")
A_FILE = part(b'name="file"; filename="a.txt"', b"x")


def left(tmp_path: Path) -> list[str]:
    return [p.name for p in (tmp_path / "blobs" / "p").rglob("*") if p.is_file()]


async def rows(resources: Resources) -> int:
    async with resources.unit_of_work() as uow:
        return int((await uow.session.execute(text("SELECT count(*) FROM files"))).scalar_one())


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/form-data", A_FILE + END, 400),
        ("multipart/form-data; boundary=", A_FILE + END, 400),
        ("multipart/form-data; boundary=wrong", A_FILE + END, 400),
        ("multipart/form-data; boundary=" + "b" * 5_000, A_FILE + END, 400),
        ("multipart/mixed; boundary=b", A_FILE + END, 400),
        ("application/x-www-form-urlencoded", b"file=x&purpose=parse", 400),
        ("multipart/form-data; boundary=b; boundary=c", b"--c\r\n" + A_FILE + END, 400),
        ("\xff\xfe;;;===", A_FILE + END, 400),
        ("b", PURPOSE * 5_000 + A_FILE + END, 400),
        ("b", b"--b\r\n" * 50_000, 400),
        ("b", part(b'name="file"; filename="a"', b"x", b"X: " + b"a" * 100_000) + END, 400),
        ("b", part(b'name="file"; filename="a"', b"x", *[b"X: a"] * 5_000) + END, 400),
        ("b", part(b'name="purpose"', b"x" * 3_000_000) + A_FILE + END, 413),
        ("b", A_FILE + part(b'name="purpose"', b"x" * 3_000_000) + END, 413),
        ("b", A_FILE + part(b'name="purpose"', b"pa\x00rse") + END, 400),
        ("b", A_FILE + PURPOSE + part(b'name="external_file_id"', b"\x00") + END, 400),
        ("b", A_FILE + PURPOSE + part(b'name="external_file_id"', b"\xed\xa0\x80") + END, 400),
        ("b", A_FILE + part(b'name="purpose"; filename="p"', b"parse") + END, 400),
        ("b", part(b'name="file"', b"x") + PURPOSE + END, 400),
        ("b", PURPOSE + END, 400),
        ("b", A_FILE + A_FILE + PURPOSE + END, 400),
        ("b", part(b'name="file"; filename="a"', b"x", b"Content-Transfer-Encoding: base64") + END, 400),
        ("b", b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END, 400),
        ("b", A_FILE + PURPOSE, 400),
        ("b", part(b'name="file"; filename="a"', b"x" * (LIMIT + 1)) + PURPOSE + END, 413),
        ("b", PURPOSE + part(b'name="file"; filename="a"', b"x" * (9 << 20)) + END, 413),
    ],
)
async def test_a_hostile_form_is_refused_and_leaves_nothing(
    http: httpx.AsyncClient, resources: Resources, tmp_path: Path, kind: str, body: bytes, status: int
) -> None:
    said = KIND["content-type"] if kind == "b" else kind
    headers = [(b"content-type", said.encode("latin-1"))]

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    for content in (body, pieces()):
        try:
            found = await http.post(FILES, content=content, headers=headers)
        except httpx.WriteError:
            continue  # it was cut while it was still talking
        assert (found.status_code, bool(found.json()["detail"])) == (status, True), found.text
    assert left(tmp_path) == []
    assert await rows(resources) == 0


NAMES = (
    "a\x00b.txt",
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\win.ini",
    "C:\\x.txt",
    "CON",
    "nul.txt",
    "\u202egnp.exe",
    "\U0001f600.pdf",
    ".",
    "..",
    " ",
    "x" * 5_000,
    "a%0d%0ax-forged: 1",
    "a;b=c.txt",
    "a\ttab",
    "\u2028line",
)


async def test_a_name_is_only_a_name(http: httpx.AsyncClient, resources: Resources, tmp_path: Path) -> None:
    taken = 0
    for name in NAMES:
        body = part(b'name="file"; filename="' + name.encode() + b'"', b"bytes") + PURPOSE + END
        found = await http.post(FILES, content=body, headers=KIND)
        assert found.status_code in (201, 400), (name, found.text)
        if found.status_code == 400:
            continue
        taken += 1
        file_id = found.json()["id"]
        link = (await http.get(f"{FILES}/{file_id}/content")).json()["url"]
        got = await http.get(link)
        assert (got.status_code, got.content) == (200, b"bytes")
        assert got.headers["content-disposition"].startswith("attachment; filename=")
        assert got.headers["content-disposition"].isprintable()
        assert got.headers["content-disposition"].isascii()
        assert "x-forged" not in got.headers
        assert file_id.removeprefix("fil-") in left(tmp_path)
    assert taken == len(left(tmp_path)) == await rows(resources) > 5
    async with resources.unit_of_work() as uow:
        keys = await uow.session.execute(text("SELECT id, project_id, storage_key FROM files"))
        assert all(key == f"p/{project}/f/{file}" for file, project, key in keys)


async def test_a_hundred_at_once_are_all_kept(http: httpx.AsyncClient, tmp_path: Path) -> None:
    made = await http.post("/api/v1/beta/directories", json={"name": "d"})
    place = f"/api/v1/beta/directories/{made.json()['id']}/files/upload"

    async def send(number: int) -> int:
        body = part(b'name="upload_file"; filename="%d.txt"' % number, b"%d" % number) + END
        return (await http.post(place, content=body, headers=KIND)).status_code

    assert await asyncio.gather(*map(send, range(100))) == [201] * 100
    assert len(left(tmp_path)) == 100


async def test_the_same_upload_many_times_at_once_is_one(
    http: httpx.AsyncClient, resources: Resources, tmp_path: Path
) -> None:
    made = await http.post("/api/v1/beta/directories", json={"name": "d"})
    place = f"/api/v1/beta/directories/{made.json()['id']}/files/upload"
    body = part(b'name="upload_file"; filename="a.txt"', b"x" * 1_000) + END
    answers = await asyncio.gather(*(http.post(place, content=body, headers=KIND) for _ in range(10)))
    assert {one.status_code for one in answers} == {201}
    assert len({one.json()["id"] for one in answers}) == 1
    assert len(left(tmp_path)) == await rows(resources) == 1


async def test_a_store_that_cannot_take_it_is_503_and_no_row(
    http: httpx.AsyncClient, resources: Resources, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "blobs" / "p"
    in_the_way.write_bytes(b"a file where the folder of all projects should be")
    found = await http.post(FILES, content=A_FILE + PURPOSE + END, headers=KIND)
    assert (found.status_code, "retry-after" in found.headers) == (503, True)
    assert await rows(resources) == 0
    in_the_way.unlink()
    assert (await http.post(FILES, content=A_FILE + PURPOSE + END, headers=KIND)).status_code == 201
