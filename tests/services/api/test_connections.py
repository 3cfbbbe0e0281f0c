"""Raw bytes on the port: what is no request, what never becomes one, and what wants to be two."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from services.api import listening, middleware
from tests.conftest import Tenant

GET = b"GET /health HTTP/1.1\r\nhost: x\r\n"
FILES = "/api/v1/beta/files"
DIRECTORIES = "/api/v1/beta/directories"
WITHIN_S = 20


@asynccontextmanager
async def line(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the server."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def said(url: str, *pieces: bytes) -> bytes:
    """All that the server says to these bytes, until it ends the connection."""
    async with asyncio.timeout(WITHIN_S), line(url) as (reader, writer):
        got = b""
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            while more := await reader.read(65_536):
                got += more
        except ConnectionError:
            pass
        return got


def statuses(answer: bytes) -> list[int]:
    return [int(one[:3]) for one in answer.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (GET + b"x: " + b"a" * 200_000 + b"\r\n\r\n", 431),
        (GET + b"x" * 200_000 + b": a\r\n\r\n", 431),
        (GET + b"".join(b"x-%d: a\r\n" % n for n in range(200)) + b"\r\n", 431),
        (GET + b"a: b\r\n" * 20_000 + b"\r\n", 431),
        (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 431),
        (b"GET /health?" + b"a=b&" * 50_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 431),
        (b"\x00\x01\x02 garbage\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 400),
        (b"GET /health HTTP/9.9\r\n\r\n", 400),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (GET + b"a\x00b: c\r\n\r\n", 400),
        (GET + b"a: b\x00c\r\n\r\n", 400),
        (GET + b"a: b\rx-forged: 1\r\n\r\n", 400),
        (GET + b" folded: b\r\n\r\n", 400),
        (GET + b"content-length: -1\r\n\r\n", 400),
        (GET + b"content-length: 1e3\r\n\r\n", 400),
        (GET + b"content-length: 99999999999999999999999\r\n\r\n", 400),
        (GET + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd", 400),
        (GET + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (GET + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n", 400),
        (GET + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (GET + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_refused_once_and_the_connection_ends(
    api_url: str, request_bytes: bytes, status: int
) -> None:
    answer = await said(api_url, request_bytes)
    assert statuses(answer) == [status], answer[:300]
    assert b"connection: close" in answer
    assert b"x-forged" not in answer


async def test_a_head_below_the_bounds_is_served(api_url: str) -> None:
    many = b"".join(b"x-%d: %s\r\n" % (n, b"a" * 500) for n in range(90))
    assert statuses(await said(api_url, GET + many + b"connection: close\r\n\r\n")) == [200]


async def test_a_thousand_ids_fit_into_a_query(http: httpx.AsyncClient) -> None:
    ids = ["fil-019e8a52-6a3e-7c62-9b1d-3a4a1f0f9e11"] * 1_000
    assert (await http.get(FILES, params={"file_ids": ids})).status_code == 200


@pytest.mark.parametrize(
    ("pieces", "wanted"),
    [
        ([GET + b"\r\n" + GET + b"connection: close\r\n\r\n"], [200, 200]),
        ([(GET + b"\r\n") * 200 + GET + b"connection: close\r\n\r\n"], [200] * 201),
        ([b"GET /health HTTP/1.0\r\n\r\n"], [200]),
        ([b"GET http://evil.example/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"], [200]),
        ([GET + b"connection: upgrade, close\r\nupgrade: websocket\r\n\r\n"], [200]),
        ([b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"], [404]),
        ([GET + b"content-length: 3\r\n\r\nabcGARBAGE \x00\r\n\r\n"], [400]),
    ],
)
async def test_other_manners_of_asking_are_answered(
    api_url: str, pieces: Sequence[bytes], wanted: list[int]
) -> None:
    assert statuses(await said(api_url, *pieces)) == wanted


async def test_a_body_announced_too_large_is_refused_before_it_comes(api_url: str, tenant: Tenant) -> None:
    for path, kind, size in (
        (DIRECTORIES, "application/json", 3_000_000),
        (FILES, "multipart/form-data; boundary=b", 2**40),
    ):
        head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {tenant.key}\r\nconnection: close\r\n"
            f"content-type: {kind}\r\ncontent-length: {size}\r\n\r\n"
        )
        assert statuses(await said(api_url, head.encode())) == [413]


async def test_a_host_that_is_none_gets_into_no_link(
    api_url: str, tenant: Tenant, http: httpx.AsyncClient
) -> None:
    made = await http.post(FILES, files={"file": ("a", b"x")}, data={"purpose": "parse"})
    path = f"{FILES}/{made.json()['id']}/content"
    for host in ("evil.example/@x", "a b", 'x"y', "x:99999", ""):
        head = f"GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {tenant.key}\r\n"
        answer = await said(api_url, f"{head}connection: close\r\n\r\n".encode())
        assert statuses(answer) == [400] or f'"url":"{api_url}/'.encode() in answer, answer


async def test_what_follows_a_chunked_body_is_no_header(api_url: str, tenant: Tenant) -> None:
    head = (
        f"POST {DIRECTORIES} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        "transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    ).encode()
    body = b"d\r\n" + b'{"name": "d"}' + b"\r\n0\r\n"
    smuggled = f"authorization: Bearer {tenant.key}\r\n\r\n".encode()
    assert statuses(await said(api_url, head, body + smuggled)) == [401]


@pytest.mark.parametrize("rest", [b"0\r\nx: " + b"a" * 600_000, b"3;" + b"e" * 600_000])
async def test_what_a_body_carries_beside_itself_is_bounded(
    api_url: str, tenant: Tenant, rest: bytes
) -> None:
    head = (
        f"POST {DIRECTORIES} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {tenant.key}\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{{\r\n"
    ).encode()
    assert b" 20" not in await said(api_url, head, rest)


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [(b"", [408]), (b"GET /hea", [408]), (GET + b"x: ", [408]), (GET + b"\r\n\r\n", [200])],
)
async def test_a_connection_without_a_request_is_ended(
    api_url: str, monkeypatch: pytest.MonkeyPatch, sent: bytes, wanted: list[int]
) -> None:
    monkeypatch.setattr(listening, "HEAD_WITHIN_S", 0.5)
    assert statuses(await said(api_url, sent)) == wanted


async def trickle(url: str, head: bytes) -> bytes:
    """What is said to a head that is followed by a byte every 50 ms; nothing when the line was cut."""
    async with asyncio.timeout(WITHIN_S), line(url) as (reader, writer):
        writer.write(head)
        try:
            while True:
                writer.write(b"a")
                try:
                    async with asyncio.timeout(0.05):
                        return await reader.read(65_536)
                except TimeoutError:
                    continue
        except ConnectionError:
            return b""


async def test_a_head_that_trickles_is_ended(api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_WITHIN_S", 0.5)
    assert statuses(await trickle(api_url, GET)) in ([408], [])


TRICKLES = (
    (DIRECTORIES, "application/json", "{"),
    (FILES, "multipart/form-data; boundary=b", '--b\r\nContent-Disposition: form-data; name="purpose"\r\n'),
    (
        FILES,
        "multipart/form-data; boundary=b",
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
    ),
)


async def test_a_body_that_trickles_is_408_and_leaves_nothing(
    api_url: str, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "PATIENCE_S", 0.5)
    for path, kind, start in TRICKLES:
        head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {tenant.key}\r\n"
            f"content-type: {kind}\r\ncontent-length: 100000\r\n\r\n{start}"
        )
        assert statuses(await trickle(api_url, head.encode())) == [408]
    assert [one for one in (tmp_path / "blobs" / "p").rglob("*") if one.is_file()] == []


async def test_two_hundred_that_dawdle_keep_nobody_waiting(
    api_url: str, tenant: Tenant, http: httpx.AsyncClient
) -> None:
    head = (
        f"POST {FILES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {tenant.key}\r\n"
        "content-type: multipart/form-data; boundary=b\r\ncontent-length: 100000\r\n\r\n--b\r\n"
    ).encode()
    async with AsyncExitStack() as open_lines:
        for number in range(200):
            _reader, writer = await open_lines.enter_async_context(line(api_url))
            writer.write((head, b"GET /hea", b"")[number % 3])
        async with asyncio.timeout(WITHIN_S):
            assert (await http.post(DIRECTORIES, json={"name": "d"})).status_code == 201
            assert (await http.get("/health")).status_code == 200


async def test_five_hundred_at_once_are_all_answered(api_url: str) -> None:
    answers = await asyncio.gather(*(said(api_url, GET + b"connection: close\r\n\r\n") for _ in range(500)))
    assert [statuses(one) for one in answers] == [[200]] * 500


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/health", "GET, HEAD"),
        ("OPTIONS", DIRECTORIES, "GET, HEAD, POST"),
        ("TRACE", DIRECTORIES, "GET, HEAD, POST"),
        ("PUT", FILES + "/fil-x", "DELETE, GET, HEAD"),
        ("DELETE", "/api/v2/batches/bat-x", "GET, HEAD, PATCH"),
        ("PROPFIND", DIRECTORIES, "GET, HEAD, POST"),
        ("PUT", DIRECTORIES + "/dir-x/files/upload", "POST"),
        ("PUT", "/api/v2/parse/upload", "POST"),
        ("PUT", DIRECTORIES + "/dir-x/files/dfl-x", "DELETE, GET, HEAD, PATCH"),
    ],
)
async def test_another_method_is_told_which_there_are(
    http: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    found = await http.request(method, path)
    assert (found.status_code, found.headers.get("allow")) == (405, allow)


async def test_a_method_nowhere_is_404(http: httpx.AsyncClient) -> None:
    assert (await http.request("HEAD", "/nowhere")).status_code == 404
