"""A new batch out of the browser: by one form, and file by file."""

import secrets
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from shared.wiring import Resources
from tests.services.api.console.conftest import CONSOLE

FAST = "cfg-PARSE_FAST"
Files = list[tuple[str, tuple[str, bytes]]]


def form(**more: str) -> dict[str, str]:
    return {"once": secrets.token_hex(16), "configuration": FAST, "name": "Papers", **more}


def files(*names: str) -> Files:
    return [("upload_file", (name, name.encode())) for name in names]


async def rows(resources: Resources, statement: str) -> list[Any]:
    async with resources.unit_of_work() as uow:
        return [tuple(row) for row in await uow.session.execute(text(statement))]


async def test_one_form_makes_directory_files_and_batch(
    ours: httpx.AsyncClient, resources: Resources
) -> None:
    answer = await ours.post(f"{CONSOLE}/new", data=form(), files=files("a.txt", "b.txt", "c.txt"))
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith(f"{CONSOLE}/batches/bat-")
    assert await rows(resources, "SELECT name FROM directories") == [("Papers",)]
    assert await rows(resources, "SELECT display_name FROM directory_files ORDER BY pos") == [
        ("a.txt",),
        ("b.txt",),
        ("c.txt",),
    ]
    assert await rows(resources, "SELECT configuration_id, job_type FROM batches") == [(FAST, "parse_v2")]
    page = await ours.get(answer.headers["location"])
    assert "Papers" in page.text


async def test_a_form_sent_twice_opens_one_batch(ours: httpx.AsyncClient, resources: Resources) -> None:
    sent = form()
    first = await ours.post(f"{CONSOLE}/new", data=sent, files=files("a.txt"))
    again = await ours.post(f"{CONSOLE}/new", data=sent, files=files("a.txt"))
    assert first.headers["location"] == again.headers["location"]
    assert await rows(resources, "SELECT count(*) FROM batches") == [(1,)]
    assert await rows(resources, "SELECT count(*) FROM directories") == [(1,)]
    other = {**sent, "configuration": "cfg-PARSE_AGENTIC"}
    assert (await ours.post(f"{CONSOLE}/new", data=other, files=files("a.txt"))).status_code == 409


async def test_file_by_file(ours: httpx.AsyncClient, resources: Resources) -> None:
    place = (await ours.post(f"{CONSOLE}/directories", data={"name": "Scans"})).json()
    for name in ("a/x.txt", "b/x.txt", "a/x.txt"):
        sent = {"unique_id": name, "display_name": name}
        answer = await ours.post(place["files"], data=sent, files=files("x.txt"))
        assert (answer.status_code, answer.json()) == (201, {"name": name})
    sent = form(directory=place["id"])
    made = [(await ours.post(f"{CONSOLE}/batches", data=sent)).json() for _ in range(2)]
    assert made[0] == made[1]
    assert await rows(resources, "SELECT count(*) FROM batches") == [(1,)]
    assert await rows(resources, "SELECT unique_id FROM directory_files ORDER BY pos") == [
        ("a/x.txt",),
        ("b/x.txt",),
    ]
    clash = await ours.post(
        place["files"],
        data={"unique_id": "a/x.txt"},
        files=files("other.txt"),
        headers={"accept": "application/json"},
    )
    assert clash.status_code == 409
    assert "other bytes" in clash.json()["detail"]


async def test_saved_configurations_may_be_chosen(
    ours: httpx.AsyncClient, resources: Resources, tenant: Any
) -> None:
    headers = {"authorization": f"Bearer {tenant.key}"}
    schema = {"type": "object", "properties": {"total": {"type": "number"}}}
    body = {"name": "Totals <b>", "parameters": {"product_type": "extract_v2", "data_schema": schema}}
    saved = (await ours.post("/api/v1/beta/configurations", json=body, headers=headers)).json()
    page = (await ours.get(f"{CONSOLE}/new")).text
    assert f'value="{saved["id"]}"' in page
    assert "Totals &lt;b&gt;" in page
    sent = form(configuration=saved["id"])
    assert (await ours.post(f"{CONSOLE}/new", data=sent, files=files("a.txt"))).status_code == 303
    assert await rows(resources, "SELECT job_type FROM batches") == [("extract_v2",)]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"configuration": ""}, 400),
        ({"configuration": "cfg-NOTHING"}, 404),
        ({"once": "short"}, 400),
        ({"once": ""}, 400),
    ],
)
async def test_what_is_wrong_is_told_before_files_are_kept(
    ours: httpx.AsyncClient, resources: Resources, change: dict[str, str], status: int
) -> None:
    answer = await ours.post(f"{CONSOLE}/new", data=form(**change), files=files("a.txt"))
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert await rows(resources, "SELECT count(*) FROM directories") == [(0,)]
    assert await rows(resources, "SELECT count(*) FROM files") == [(0,)]


async def test_a_form_without_a_file_is_refused(ours: httpx.AsyncClient, resources: Resources) -> None:
    # A browser sends an empty part without a name where nothing was chosen.
    none = [("upload_file", ("", b"", "application/octet-stream"))]
    answer = await ours.post(f"{CONSOLE}/new", data=form(), files=none)
    assert answer.status_code == 400
    assert "Choose at least one file" in answer.text
    assert await rows(resources, "SELECT count(*) FROM batches") == [(0,)]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"name=%ff", "application/x-www-form-urlencoded"),
        (b"name=a%00b", "application/x-www-form-urlencoded"),
        (b"a=1&" * 60, "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"\xff\xfe", "text/plain"),
    ],
)
@pytest.mark.parametrize("path", ["login", "directories", "batches"])
async def test_no_body_is_a_failure_of_the_server(
    ours: httpx.AsyncClient, path: str, body: bytes, kind: str
) -> None:
    answer = await ours.post(f"{CONSOLE}/{path}", content=body, headers={"content-type": kind})
    assert 400 <= answer.status_code < 500, answer.text
