"""A creating request that comes twice makes one thing."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from shared.retention import sweeping
from shared.retention.sweeping import Walk
from shared.wiring import Resources
from tests.conftest import Tenant

DIRECTORIES = "/api/v1/beta/directories"
FILES = "/api/v1/beta/files"
FAST = {"product_type": "parse_v2", "tier": "fast", "version": "latest"}
SCHEMA = {"data_schema": {"type": "object", "properties": {"total": {"type": "number"}}}}
SENDING = "x-stainless-retry-count"


def keyed(key: str, **more: str) -> dict[str, str]:
    return {"Idempotency-Key": key, **more}


async def sql(resources: Resources, statement: str, **given: Any) -> Any:
    async with resources.unit_of_work() as uow:
        found = await uow.session.execute(text(statement), given)
        await uow.commit()
        return found.scalars().all() if getattr(found, "returns_rows", False) else None


async def count(resources: Resources, table: str) -> int:
    return int((await sql(resources, f"SELECT count(*) FROM {table}"))[0])  # noqa: S608


async def pass_time(resources: Resources, seconds: float) -> None:
    """For answers that are kept, so much later; the clock is the database's."""
    await sql(
        resources,
        "UPDATE answers SET created_at = created_at - make_interval(secs => CAST(:s AS float8)),"
        " expires_at = expires_at - make_interval(secs => CAST(:s AS float8))",
        s=seconds,
    )


class Asks:
    """Every page that creates, with a good request for each."""

    def __init__(self, directory: str, file: str) -> None:
        job = {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}
        self.pages: dict[str, tuple[str, dict[str, Any], str]] = {
            "directory": (DIRECTORIES, {"json": {"name": "d"}}, "directories"),
            "configuration": (
                "/api/v1/beta/configurations",
                {"json": {"name": "c", "parameters": FAST}},
                "configurations",
            ),
            "webhook": (
                "/api/v1/beta/webhook-configs",
                {"json": {"webhook_url": "https://example.com/hook", "webhook_signing_secret": "of ours"}},
                "webhook_configs",
            ),
            "batch": (
                "/api/v2/batches",
                {"json": {"source_directory_id": directory, "config": {"job": job}}},
                "batches",
            ),
            "parse": (
                "/api/v2/parse",
                {"json": {"file_id": file, "tier": "fast", "version": "latest"}},
                "jobs",
            ),
            "extract": ("/api/v2/extract", {"json": {"file_input": file, "configuration": SCHEMA}}, "jobs"),
            "file": (FILES, {"files": {"file": ("a.txt", b"twice")}, "data": {"purpose": "parse"}}, "files"),
            "upload and parse": (
                "/api/v2/parse/upload",
                {
                    "files": {"file": ("b.txt", b"once more")},
                    "data": {"configuration": '{"tier":"fast","version":"latest"}'},
                },
                "jobs",
            ),
        }


@pytest.fixture
async def asks(http: httpx.AsyncClient, resources: Resources) -> Asks:
    directory = (await http.post(DIRECTORIES, json={"name": "source"})).json()["id"]
    await http.post(f"{DIRECTORIES}/{directory}/files/upload", files={"upload_file": ("x.txt", b"x")})
    file = await http.post(FILES, files={"file": ("f.txt", b"first")}, data={"purpose": "parse"})
    return Asks(directory, file.json()["id"])


PAGES = ("directory", "configuration", "webhook", "batch", "parse", "extract", "file", "upload and parse")


@pytest.mark.parametrize("page", PAGES)
async def test_the_same_key_gives_the_first_answer_again(
    http: httpx.AsyncClient, resources: Resources, asks: Asks, page: str
) -> None:
    path, sent, table = asks.pages[page]
    before = await count(resources, table)
    first = await http.post(path, headers=keyed("one"), **sent)
    assert first.is_success, first.text
    assert "idempotent-replayed" not in first.headers
    again = await http.post(path, headers=keyed("one"), **sent)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert await count(resources, table) == before + 1


@pytest.mark.parametrize("page", PAGES)
async def test_a_client_that_sends_again_gets_the_answer_it_missed(
    http: httpx.AsyncClient, resources: Resources, asks: Asks, page: str
) -> None:
    path, sent, table = asks.pages[page]
    before = await count(resources, table)
    first = await http.post(path, headers={SENDING: "0"}, **sent)
    for sending in ("1", "2"):
        again = await http.post(path, headers={SENDING: sending}, **sent)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["idempotent-replayed"] == "true"
    assert await count(resources, table) == before + 1


async def test_another_request_with_the_key_is_422(http: httpx.AsyncClient, resources: Resources) -> None:
    await http.post(DIRECTORIES, json={"name": "a"}, headers=keyed("k"))
    for path, body in ((DIRECTORIES, {"name": "b"}), ("/api/v1/beta/configurations", {"name": "a"})):
        refused = await http.post(path, json=body, headers=keyed("k"))
        assert refused.status_code == 422
        [told] = refused.json()["detail"]
        assert told["loc"] == ["header", "Idempotency-Key"]
        assert "another request" in told["msg"]
    upload = {"files": {"file": ("a.txt", b"1")}, "data": {"purpose": "parse"}}
    assert (await http.post(FILES, headers=keyed("f"), **upload)).status_code == 201  # type: ignore[arg-type]
    for other in (
        {"files": {"file": ("a.txt", b"2")}, "data": {"purpose": "parse"}},
        {"files": {"file": ("b.txt", b"1")}, "data": {"purpose": "parse"}},
        {"files": {"file": ("a.txt", b"1")}, "data": {"purpose": "extract"}},
    ):
        assert (await http.post(FILES, headers=keyed("f"), **other)).status_code == 422  # type: ignore[arg-type]
    assert await count(resources, "directories") == await count(resources, "files") == 1


async def test_bytes_of_an_upload_that_was_answered_before_are_not_kept(
    http: httpx.AsyncClient, resources: Resources
) -> None:
    upload: dict[str, Any] = {"files": {"file": ("a.txt", b"kept once")}, "data": {"purpose": "parse"}}
    for _ in range(3):
        await http.post(FILES, headers=keyed("f"), **upload)
    keys = await sql(resources, "SELECT storage_key FROM files")
    stored = [blob async for page in resources.storage.list_pages("p/") for blob in page]
    assert len(keys) == len(stored) == 1


async def test_a_refused_request_leaves_its_key_free(http: httpx.AsyncClient, resources: Resources) -> None:
    for body in ({"name": ""}, {"name": "n", "type": "index"}):
        assert (await http.post(DIRECTORIES, json=body, headers=keyed("k"))).status_code == 422
    missing = {"file_id": f"fil-{uuid4()}", "tier": "fast", "version": "latest"}
    assert (await http.post("/api/v2/parse", json=missing, headers=keyed("k"))).status_code == 404
    assert await count(resources, "answers") == 0
    assert (await http.post(DIRECTORIES, json={"name": "n"}, headers=keyed("k"))).status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256, "caf\xe9", "a\tb"])
async def test_a_key_that_is_none_is_422(http: httpx.AsyncClient, resources: Resources, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    refused = await http.post(DIRECTORIES, json={"name": "n"}, headers=headers)
    assert refused.status_code == 422, refused.text
    assert refused.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]
    assert await count(resources, "directories") == 0


async def test_of_twenty_at_once_one_is_carried_out(http: httpx.AsyncClient, resources: Resources) -> None:
    async def ask() -> httpx.Response:
        return await http.post(DIRECTORIES, json={"name": "raced"}, headers=keyed("race"))

    answers = await asyncio.gather(*(ask() for _ in range(20)))
    made = {one.content for one in answers if one.status_code == 201}
    late = [one for one in answers if one.status_code != 201]
    assert len(made) == 1
    assert await count(resources, "directories") == 1
    for one in late:
        assert one.status_code == 409
        assert one.headers["x-should-retry"] == "true"
        assert int(one.headers["retry-after"]) >= 1
    assert (await ask()).content in made


async def test_twenty_who_send_again_at_once_make_no_more(
    http: httpx.AsyncClient, resources: Resources
) -> None:
    async def ask(sending: int) -> httpx.Response:
        return await http.post(DIRECTORIES, json={"name": "again"}, headers={SENDING: str(sending)})

    first = await ask(0)
    answers = await asyncio.gather(*(ask(sending) for sending in range(1, 21)))
    assert {one.json()["id"] for one in answers if one.status_code == 201} <= {first.json()["id"]}
    assert {one.status_code for one in answers} <= {201, 409}
    assert await count(resources, "directories") == 1


async def test_two_who_mean_the_same_each_get_their_own(
    http: httpx.AsyncClient, resources: Resources
) -> None:
    async def ask(sending: int) -> str:
        return str(
            (await http.post(DIRECTORIES, json={"name": "same"}, headers={SENDING: str(sending)})).json()[
                "id"
            ]
        )

    first = {await ask(0), await ask(0)}
    assert len(first) == 2
    # Both lost their answers: each is given one of the two, and not both the same.
    assert {await ask(1), await ask(1)} == first
    assert {await ask(2), await ask(2)} == first
    assert await count(resources, "directories") == 2


async def test_a_request_that_is_carried_out_now_is_409(
    http: httpx.AsyncClient, resources: Resources, tenant: Tenant
) -> None:
    """The first one stands before its commit; its lock is what the second meets."""
    from shared.answers import service as answers
    from shared.answers.service import Sent

    body = b'{"name":"slow"}'
    json_type = {"content-type": "application/json"}
    seen: list[Sent] = []
    begin = answers.begin

    async def watched(uow: Any, sent: Sent) -> Any:
        seen.append(sent)
        return await begin(uow, sent)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "begin", watched)
        await http.post(DIRECTORIES, content=body, headers={**json_type, SENDING: "0"})
    async with resources.unit_of_work() as uow:
        await begin(uow, seen[0])
        busy = await http.post(DIRECTORIES, content=body, headers={**json_type, SENDING: "1"})
        other = await http.post(DIRECTORIES, content=body, headers={**json_type, SENDING: "0"})
    assert (busy.status_code, busy.headers["x-should-retry"]) == (409, "true")
    assert other.status_code == 201
    assert (
        await http.post(DIRECTORIES, content=body, headers={**json_type, SENDING: "1"})
    ).status_code == 201
    assert await count(resources, "directories") == 2


async def test_a_key_is_good_for_a_day_and_a_sending_for_two_minutes(
    http: httpx.AsyncClient, resources: Resources
) -> None:
    async def ask(**headers: str) -> str:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return str((await http.post(DIRECTORIES, json={"name": "old"}, headers=given)).json()["id"])

    keyed_id = await ask(idempotency_key="k")
    sent_id = await ask(x_stainless_retry_count="0")
    await pass_time(resources, 110)
    assert await ask(x_stainless_retry_count="1") == sent_id
    await pass_time(resources, 20)
    assert await ask(x_stainless_retry_count="2") != sent_id
    await pass_time(resources, 23.8 * 3600)
    assert await ask(idempotency_key="k") == keyed_id
    await pass_time(resources, 3 * 24 * 3600)
    # Not swept yet, and over all the same.
    assert await ask(idempotency_key="k") != keyed_id


async def test_retention_removes_what_is_over(http: httpx.AsyncClient, resources: Resources) -> None:
    for key in ("a", "b"):
        await http.post(DIRECTORIES, json={"name": key}, headers=keyed(key))
    await pass_time(resources, 25 * 3600)
    await http.post(DIRECTORIES, json={"name": "c"}, headers=keyed("c"))
    async with resources.unit_of_work() as uow:
        done = await sweeping.sweep(uow, Walk(), within_s=10)
    assert done["answers"] == 2
    assert await sql(resources, "SELECT idempotency_key FROM answers") == ["c"]


async def test_another_project_has_keys_of_its_own(
    http: httpx.AsyncClient, anonymous: httpx.AsyncClient, neighbour: Tenant
) -> None:
    ours = await http.post(DIRECTORIES, json={"name": "n"}, headers=keyed("shared"))
    their_key = {"authorization": f"Bearer {neighbour.key}"}
    theirs = await anonymous.post(DIRECTORIES, json={"name": "n"}, headers=keyed("shared", **their_key))
    assert theirs.status_code == 201
    assert theirs.json()["id"] != ours.json()["id"]
    again = await anonymous.post(DIRECTORIES, json={"name": "n"}, headers={SENDING: "1", **their_key})
    assert again.json()["id"] not in {ours.json()["id"], theirs.json()["id"]}


async def test_an_operator_names_the_project_whose_key_it_is(
    anonymous: httpx.AsyncClient, tenant: Tenant, neighbour: Tenant, operator_key: str
) -> None:
    headers = keyed("k", authorization=f"Bearer {operator_key}")
    made = [
        await anonymous.post(
            DIRECTORIES, json={"name": "n"}, params={"project_id": str(one.project_id)}, headers=headers
        )
        for one in (tenant, neighbour)
    ]
    assert [one.status_code for one in made] == [201, 201]
    assert made[0].json()["project_id"] != made[1].json()["project_id"]


async def test_who_does_not_count_creates_each_time(http: httpx.AsyncClient, resources: Resources) -> None:
    for headers in ({}, {}, {SENDING: "many"}, {SENDING: "-1"}):
        assert (await http.post(DIRECTORIES, json={"name": "n"}, headers=headers)).status_code == 201
    assert await count(resources, "directories") == 4
    assert await count(resources, "answers") == 0
