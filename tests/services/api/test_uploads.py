"""Multipart bodies, good and bad: what is read, and what is left behind."""

import asyncio
import hashlib
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text
from uvicorn.config import HTTPProtocolType

from shared.config import Settings
from shared.wiring import Resources
from tests.conftest import Server, Tenant
from tests.twins import HeardBells

FILES = "/api/v1/beta/files"
BOUNDARY = "b0und"
KIND = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
LIMIT = 300_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a small limit."""
    return settings.model_copy(update={"api": settings.api.model_copy(update={"max_upload_bytes": LIMIT})})


@pytest.fixture
async def place(http: httpx.AsyncClient) -> str:
    """Where a directory takes uploads."""
    made = await http.post("/api/v1/beta/directories", json={"name": "d"})
    return f"/api/v1/beta/directories/{made.json()['id']}/files/upload"


def part(name: str, value: bytes, head: str = "") -> bytes:
    top = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{head}\r\n\r\n'
    return top.encode() + value + b"\r\n"


def form(*parts: bytes, end: bytes = f"--{BOUNDARY}--\r\n".encode()) -> bytes:
    return b"".join(parts) + end


A_FILE = part("upload_file", b"bytes", '; filename="a.txt"')


def left(tmp_path: Path) -> list[Path]:
    return [p for p in (tmp_path / "blobs" / "p").rglob("*") if p.is_file()]


async def rows(resources: Resources) -> int:
    async with resources.unit_of_work() as uow:
        return int((await uow.session.execute(text("SELECT count(*) FROM files"))).scalar_one())


async def test_fields_count_before_and_after_the_file(http: httpx.AsyncClient, place: str) -> None:
    body = form(
        part("display_name", "Größe".encode()),
        A_FILE,
        part("unique_id", b"u"),
        part("metadata", b'{"k": [1]}'.replace(b"1", b'"v"')),
    )
    found = (await http.post(place, content=body, headers=KIND)).json()
    assert (found["display_name"], found["unique_id"]) == ("Größe", "u")
    assert found["metadata"] == {"k": ["v"]}


@pytest.mark.parametrize("size", [1, 2, 7, 61, 64_000])
async def test_the_bytes_are_the_same_however_they_are_cut(
    http: httpx.AsyncClient, resources: Resources, place: str, size: int
) -> None:
    content = b"\r\n--b0un" + os.urandom(900) + b"\r\n--" + b"\r\n--b0und"[:-1] + b"\r\r\n-"
    body = form(part("upload_file", content, '; filename="a"'))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    found = await http.post(place, content=pieces(), headers=KIND)
    assert found.status_code == 201
    async with resources.unit_of_work() as uow:
        stored = (await uow.session.execute(text("SELECT storage_key, sha256, size_bytes FROM files"))).one()
    assert await resources.storage.read(stored.storage_key) == content
    assert stored.sha256 == hashlib.sha256(content).digest()
    assert stored.size_bytes == len(content)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("", "upload"),
        ('; filename=""', "upload"),
        ('; filename="../../x"', "../../x"),
        ('; filename="a%22b.txt"', 'a"b.txt'),
        ('; filename="100%.txt"', "100%.txt"),
        ('; filename="日本.pdf"', "日本.pdf"),
        ('; filename="a\x01b"', "ab"),
        (f'; filename="{"x" * 3_000}"', "x" * 3_000),
        (f'; filename="{"日" * 2_900}"', "日" * 2_900),
    ],
)
async def test_a_file_has_the_name_it_came_with(
    http: httpx.AsyncClient, place: str, head: str, name: str
) -> None:
    found = await http.post(place, content=form(part("upload_file", b"x", head)), headers=KIND)
    assert (found.status_code, found.json().get("display_name")) == (201, name)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "last boundary"),
        (b"hello", "malformed"),
        (form(), "no part named"),
        (form(part("file", b"x")), "no part named 'upload_file'"),
        (form(A_FILE, end=b""), "last boundary"),
        (A_FILE[:-4], "last boundary"),
        (form(A_FILE, A_FILE), "two parts"),
        (form(A_FILE, part("metadata", b"{")), "JSON object"),
        (form(A_FILE, part("metadata", b"[1]")), "JSON object"),
        (form(A_FILE, part("metadata", b"[" * 100_000)), "JSON object"),
        (form(A_FILE, part("metadata", b'{"a": {"b": 1}}')), "metadata"),
        (form(A_FILE, part("unique_id", b"\xff")), "UTF-8"),
        (form(A_FILE, part("display_name", b"x" * 3_001)), "3,000"),
        (form(part("upload_file", b"x", f'; filename="{"x" * 3_001}"')), "3,000"),
        (form(*(part(f"f{n}", b"") for n in range(70)), A_FILE), "64 parts"),
        (form(A_FILE.replace(b"form-data", b"attachment")), "form-data name"),
        (form(A_FILE.replace(b'; name="upload_file"', b"")), "form-data name"),
        (form(A_FILE.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1)), "decoded"),
        (form(A_FILE.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 1)), "malformed"),
    ],
)
async def test_a_bad_form_is_refused_with_the_reason_and_leaves_nothing(
    http: httpx.AsyncClient, resources: Resources, place: str, tmp_path: Path, body: bytes, says: str
) -> None:
    found = await http.post(place, content=body, headers=KIND)
    assert found.status_code == 400
    assert says in found.json()["detail"]
    assert left(tmp_path) == []
    assert await rows(resources) == 0


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=b0und",
        f"multipart/form-data; boundary={'b' * 300}",
    ],
)
async def test_another_content_type_is_refused(http: httpx.AsyncClient, place: str, kind: str) -> None:
    found = await http.post(place, content=form(A_FILE), headers={"content-type": kind})
    assert found.status_code == 400
    assert "multipart/form-data" in found.json()["detail"]


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1, 4 * LIMIT, 60 * LIMIT])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_file_over_the_limit_is_413_and_leaves_nothing(
    http: httpx.AsyncClient, resources: Resources, place: str, tmp_path: Path, size: int, announced: bool
) -> None:
    body = form(part("upload_file", b"x" * size, '; filename="a"'))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    found = await http.post(place, content=body if announced else pieces(), headers=KIND)
    assert found.status_code == (201 if size == LIMIT else 413)
    assert len(left(tmp_path)) == await rows(resources) == (1 if size == LIMIT else 0)
    if size > LIMIT:
        assert "300,000 bytes" in found.json()["detail"]


async def test_a_text_field_has_a_limit(http: httpx.AsyncClient, place: str, tmp_path: Path) -> None:
    body = form(A_FILE, part("display_name", b"x" * ((1 << 20) + 1)))
    assert (await http.post(place, content=body, headers=KIND)).status_code == 413
    assert left(tmp_path) == []


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_refusal_reaches_a_client_that_still_sends(
    settings: Settings, bells: HeardBells, http: HTTPProtocolType
) -> None:
    """A server that hangs up meanwhile makes the client see a broken pipe, and the SDKs try five times."""
    server = Server(settings, bells, http=http)
    await server.start()
    address = urlsplit(server.url)

    def send_slowly() -> bytes:
        with socket.create_connection((address.hostname, address.port), timeout=10) as line:
            line.sendall(
                f"POST {FILES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer wrong\r\n"
                f"content-type: {KIND['content-type']}\r\ncontent-length: 4000000\r\n\r\n".encode()
            )
            for _ in range(4):
                time.sleep(0.1)
                line.sendall(b"x" * 1_000_000)
            return line.recv(100)

    try:
        assert (await asyncio.to_thread(send_slowly)).startswith(b"HTTP/1.1 401")
    finally:
        await server.stop()


async def test_a_client_that_waits_for_leave_is_answered_at_once(
    api_url: str,
) -> None:
    address = urlsplit(api_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        f"POST {FILES} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
        f"content-type: {KIND['content-type']}\r\ncontent-length: 4000000\r\n\r\n".encode()
    )
    async with asyncio.timeout(3):
        assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()


async def test_a_client_that_goes_away_leaves_nothing(
    api_url: str, tenant: Tenant, resources: Resources, place: str, tmp_path: Path
) -> None:
    address = urlsplit(api_url)
    _reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        f"POST {place} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {tenant.key}\r\n"
        f"content-type: {KIND['content-type']}\r\ncontent-length: 250000\r\n\r\n"
    )
    writer.write(head.encode() + part("upload_file", b"x" * 100_000, '; filename="a"')[:-2])
    await writer.drain()
    await asyncio.sleep(0.3)
    writer.transport.abort()
    await asyncio.sleep(0.7)
    assert left(tmp_path) == []
    assert await rows(resources) == 0


async def test_a_client_that_dawdles_holds_no_transaction(
    api_url: str, tenant: Tenant, resources: Resources, place: str
) -> None:
    address = urlsplit(api_url)
    for sent in (b"", part("display_name", b"x")[:-2], part("upload_file", b"x", '; filename="a"')[:-2]):
        _reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head = (
            f"POST {place} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {tenant.key}\r\n"
            f"content-type: {KIND['content-type']}\r\ncontent-length: 250000\r\n\r\n"
        )
        writer.write(head.encode() + sent)
        await writer.drain()
        await asyncio.sleep(0.3)
        async with resources.unit_of_work() as uow:
            held = await uow.session.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name = 'batchmill-api' AND state <> 'idle'"
                )
            )
            assert held.scalar_one() == 0, sent
        writer.transport.abort()


async def test_an_empty_upload_to_a_directory_is_taken(http: httpx.AsyncClient, place: str) -> None:
    found = await http.post(place, content=form(part("upload_file", b"", '; filename="e"')), headers=KIND)
    assert found.status_code == 201


async def test_sending_an_upload_twice_is_sending_it_once(
    http: httpx.AsyncClient, resources: Resources, place: str, tmp_path: Path
) -> None:
    found = [await http.post(place, content=form(A_FILE), headers=KIND) for _ in range(2)]
    assert [one.status_code for one in found] == [201, 201]
    assert found[0].json() == found[1].json()
    assert len(left(tmp_path)) == await rows(resources) == 1


async def test_other_bytes_under_the_same_id_are_409_not_to_be_retried(
    http: httpx.AsyncClient, resources: Resources, place: str, tmp_path: Path
) -> None:
    await http.post(place, content=form(A_FILE), headers=KIND)
    other = A_FILE.replace(b"bytes", b"other")
    found = await http.post(place, content=form(other), headers=KIND)
    assert found.status_code == 409
    assert found.headers["x-should-retry"] == "false"
    assert len(left(tmp_path)) == await rows(resources) == 1


class TestFiles:
    def body(self, content: bytes = b"x", head: str = '; filename="a"', **fields: str) -> bytes:
        texts = (part(name, value.encode()) for name, value in fields.items())
        return form(part("file", content, head), *texts)

    async def test_all_it_says_is_kept(self, http: httpx.AsyncClient) -> None:
        body = self.body(purpose="user_data", external_file_id="e")
        found = (await http.post(FILES, content=body, headers=KIND)).json()
        assert (found["purpose"], found["external_file_id"], found["size_bytes"]) == ("user_data", "e", 1)

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"content": b"", "purpose": "parse"}, "empty"),
            ({"head": "", "purpose": "parse"}, "no file name"),
            ({}, "purpose"),
            ({"purpose": ""}, "purpose"),
            ({"purpose": "fun"}, "purpose must be one of"),
        ],
    )
    async def test_the_documented_refusals(
        self,
        http: httpx.AsyncClient,
        resources: Resources,
        tmp_path: Path,
        changes: dict[str, Any],
        says: str,
    ) -> None:
        found = await http.post(FILES, content=self.body(**changes), headers=KIND)
        assert found.status_code == 400
        assert says in found.json()["detail"]
        assert left(tmp_path) == []
        assert await rows(resources) == 0

    async def test_a_form_without_file_is_refused(self, http: httpx.AsyncClient) -> None:
        found = await http.post(FILES, content=form(part("purpose", b"parse")), headers=KIND)
        assert (found.status_code, "'file'" in found.json()["detail"]) == (400, True)


class TestParseUploads:
    async def send(self, http: httpx.AsyncClient, configuration: object) -> httpx.Response:
        body = form(
            part("configuration", json.dumps(configuration).encode()),
            part("file", b"x", '; filename="a.txt"'),
        )
        return await http.post("/api/v2/parse/upload", content=body, headers=KIND)

    async def test_a_good_one_is_a_job(self, http: httpx.AsyncClient) -> None:
        found = await self.send(http, {"tier": "fast", "version": "latest", "user_metadata": {"a": "b"}})
        assert found.status_code == 200
        job = found.json()
        assert (job["status"], job["name"], job["tier"]) == ("PENDING", "a.txt", "fast")
        assert job["user_metadata"] == {"a": "b"}

    @pytest.mark.parametrize(
        ("configuration", "status"),
        [
            ({"tier": "fast"}, 422),
            ({"tier": "turbo", "version": "latest"}, 422),
            ({"tier": "fast", "version": "latest", "unknown": 1}, 422),
            ([], 422),
            ({"tier": "fast", "version": "latest", "source_url": "https://x"}, 400),
            ({"tier": "fast", "version": "latest", "webhook_configurations": [{}]}, 422),
            ({"configuration_id": "cfg-PARSE_SLOW"}, 404),
        ],
    )
    async def test_a_bad_configuration_leaves_nothing(
        self,
        http: httpx.AsyncClient,
        resources: Resources,
        tmp_path: Path,
        configuration: object,
        status: int,
    ) -> None:
        found = await self.send(http, configuration)
        assert found.status_code == status
        if status == 422:
            assert found.json()["detail"][0]["loc"][:2] == ["body", "configuration"]
        assert left(tmp_path) == []
        assert await rows(resources) == 0
