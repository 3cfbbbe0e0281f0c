"""Requests that contradict each other, side by side: some are refused, none fails, what is left is whole."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from services.api.error_handlers import answer_unexpected
from shared.config import Settings
from shared.db.engine import open_engine
from tests.conftest import Tenant

DIRECTORIES = "/api/v1/beta/directories"
CONFIGURATIONS = "/api/v1/beta/configurations"
TIER = {"tier": "fast", "version": "latest"}
FAST = {"product_type": "parse_v2", **TIER}
AT_ONCE = 20
ROUNDS = 5


async def statuses(*requests: Awaitable[httpx.Response]) -> Counter[int]:
    """Of all of them, sent at once; one that fails the server fails the test."""
    found = await asyncio.gather(*requests)
    for one in found:
        assert one.status_code < 500, one.text
        assert one.is_success or one.json()["detail"]
    return Counter(one.status_code for one in found)


async def made(http: httpx.AsyncClient, path: str, **sent: Any) -> str:
    found = await http.post(path, **sent)
    assert found.is_success, found.text
    return str(found.json()["id"])


@pytest.fixture
async def http(api_url: str, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """With our key. It keeps no connection for long: a busy server may end one just when it is used again."""
    headers, limits = {"authorization": f"Bearer {tenant.key}"}, httpx.Limits(keepalive_expiry=1)
    async with httpx.AsyncClient(base_url=api_url, headers=headers, timeout=60, limits=limits) as made:
        yield made


@pytest.fixture
async def directory(http: httpx.AsyncClient) -> str:
    return await made(http, DIRECTORIES, json={"name": "d"})


async def entry_in(http: httpx.AsyncClient, directory: str, name: str = "a") -> str:
    content = uuid4().hex.encode()
    return await made(http, f"{DIRECTORIES}/{directory}/files/upload", files={"upload_file": (name, content)})


def batch_of(directory: str, config: str = "cfg-PARSE_FAST") -> dict[str, Any]:
    job = {"type": "parse_v2", "configuration_id": config}
    return {"source_directory_id": directory, "config": {"job": job}}


async def test_one_unique_id_has_one_content(http: httpx.AsyncClient, directory: str) -> None:
    place = f"{DIRECTORIES}/{directory}/files"
    sent = [{"files": {"upload_file": ("a", uuid4().hex.encode())}} for _ in range(AT_ONCE)]
    found = await statuses(*(http.post(f"{place}/upload", **one) for one in sent))  # type: ignore[arg-type]
    assert found == {201: 1, 409: AT_ONCE - 1}
    assert len((await http.get(place)).json()["items"]) == 1


async def test_one_name_is_one_configuration(http: httpx.AsyncClient) -> None:
    body = {"name": "n", "parameters": FAST}
    found = await statuses(*(http.post(CONFIGURATIONS, json=body) for _ in range(AT_ONCE)))
    assert found.keys() <= {201, 409}
    assert found[201] >= 1
    assert len((await http.get(CONFIGURATIONS)).json()["items"]) == 1


async def test_names_that_are_exchanged_stay_apart(http: httpx.AsyncClient) -> None:
    names = [f"n{number}" for number in range(4)]
    configs = [await made(http, CONFIGURATIONS, json={"name": name, "parameters": FAST}) for name in names]
    for _ in range(ROUNDS):
        found = await statuses(
            *(http.put(f"{CONFIGURATIONS}/{one}", json={"name": "same"}) for one in configs),
            *(
                http.put(f"{CONFIGURATIONS}/{one}", json={"name": name})
                for one, name in zip(configs, names, strict=True)
            ),
        )
        assert found.keys() <= {200, 409}
        left = [one["name"] for one in (await http.get(CONFIGURATIONS)).json()["items"]]
        assert len(left) == len(set(left)) == len(names)


async def test_a_batch_is_made_of_what_is_being_deleted(http: httpx.AsyncClient) -> None:
    for _ in range(ROUNDS):
        directory = await made(http, DIRECTORIES, json={"name": "d"})
        entry = await entry_in(http, directory)
        config = await made(http, CONFIGURATIONS, json={"name": uuid4().hex, "parameters": FAST})
        found = await statuses(
            *(http.post("/api/v2/batches", json=batch_of(directory, config)) for _ in range(4)),
            http.delete(f"{DIRECTORIES}/{directory}/files/{entry}"),
            http.delete(f"{DIRECTORIES}/{directory}"),
            http.delete(f"{CONFIGURATIONS}/{config}"),
        )
        assert found.keys() <= {201, 204, 404, 409}
        gone = await http.post("/api/v2/batches", json=batch_of(directory))
        assert gone.status_code == 404
    for batch in (await http.get("/api/v2/batches")).json()["items"]:
        assert (await http.get(f"/api/v2/batches/{batch['id']}/results")).status_code == 200


async def test_a_batch_is_pulled_both_ways(http: httpx.AsyncClient, directory: str) -> None:
    await entry_in(http, directory)
    for _ in range(ROUNDS):
        batch = f"/api/v2/batches/{await made(http, '/api/v2/batches', json=batch_of(directory))}"
        found = await statuses(
            *(http.post(f"{batch}/{verb}") for verb in ("pause", "resume", "cancel", "redrive") * 3),
            *(http.patch(batch, json={"failure_threshold": {"count": 1}}) for _ in range(3)),
        )
        assert found.keys() <= {200, 409}
        assert found[200] >= 1
        # Asked once it is asked: no resume takes a cancel back.
        assert (await http.post(f"{batch}/resume")).status_code in {200, 409}
        again = await http.post(f"{batch}/cancel")
        assert again.status_code in {200, 409}, again.text


async def test_a_file_is_moved_renamed_and_deleted(http: httpx.AsyncClient, directory: str) -> None:
    other = await made(http, DIRECTORIES, json={"name": "other"})
    for number in range(ROUNDS):
        entry = await entry_in(http, directory, f"a{number}")
        place = f"{DIRECTORIES}/{directory}/files"
        found = await statuses(
            *(http.patch(f"{place}/{entry}", json={"target_directory_id": other}) for _ in range(3)),
            *(http.patch(f"{place}/{entry}", json={"display_name": f"n{turn}"}) for turn in range(3)),
            http.post("/api/v2/batches", json=batch_of(directory)),
            http.post(f"{place}/bulk-delete", json={"directory_file_ids": [entry]}),
            http.delete(f"{place}/{entry}"),
        )
        assert found.keys() <= {200, 201, 204, 404, 409}
        left = [await http.get(f"{DIRECTORIES}/{one}/files/{entry}") for one in (directory, other)]
        assert sum(one.status_code == 200 for one in left) <= 1, "it is in two directories"


async def test_two_files_move_to_one_name(http: httpx.AsyncClient, directory: str) -> None:
    sources = [await made(http, DIRECTORIES, json={"name": "s"}) for _ in range(4)]
    entries = [(source, await entry_in(http, source, "same")) for source in sources]
    found = await statuses(
        *(
            http.patch(f"{DIRECTORIES}/{source}/files/{entry}", json={"target_directory_id": directory})
            for source, entry in entries
        )
    )
    assert found[200] == 1, found
    assert found.keys() <= {200, 409}
    assert len((await http.get(f"{DIRECTORIES}/{directory}/files")).json()["items"]) == 1


async def test_files_are_deleted_twice_in_two_orders(http: httpx.AsyncClient, directory: str) -> None:
    place = f"{DIRECTORIES}/{directory}/files"
    for number in range(ROUNDS):
        entries = [await entry_in(http, directory, f"{number}-{turn}") for turn in range(8)]
        orders = (entries, entries[::-1], entries[::2] + entries[1::2])
        found = await statuses(
            *(http.post(f"{place}/bulk-delete", json={"directory_file_ids": one}) for one in orders * 2)
        )
        assert found == {204: 1, 404: 5}
        assert (await http.get(place)).json()["items"] == []


async def test_a_job_is_made_of_a_file_that_is_being_deleted(http: httpx.AsyncClient) -> None:
    for _ in range(ROUNDS):
        sent: Any = {"files": {"file": ("f", uuid4().hex.encode())}, "data": {"purpose": "parse"}}
        file = await made(http, "/api/v1/beta/files", **sent)
        job = await made(http, "/api/v2/parse", json={"file_id": file, **TIER})
        found = await statuses(
            *(http.post("/api/v2/parse", json={"file_id": file, **TIER}) for _ in range(3)),
            *(http.post(f"/api/v2/parse/{job}/cancel") for _ in range(3)),
            *(http.delete(f"/api/v2/parse/{job}", params={"force": "true"}) for _ in range(2)),
            *(http.delete(f"/api/v1/beta/files/{file}") for _ in range(2)),
        )
        assert found.keys() <= {200, 204, 404, 409}
        assert (await http.get(f"/api/v1/beta/files/{file}")).status_code == 404
        assert (await http.get(f"/api/v2/parse/{job}")).status_code == 404


@pytest.mark.parametrize("state", ["40P01", "40001", "23505"])
def test_who_is_given_up_for_another_is_told_to_send_it_again(state: str) -> None:
    error = RuntimeError("secret")
    error.sqlstate = state  # type: ignore[attr-defined]
    answer = answer_unexpected(error, "id")
    assert (answer.status_code, "x-should-retry" in answer.headers) == (409, False)
    assert b"secret" not in answer.body


async def test_who_found_no_free_connection_is_told_without_a_trace(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    """Of three thousand at once each wrote a hundred lines, which kept the server from all others."""
    engine = open_engine(settings.database_url(), name="test", pool_size=1)
    engine.sync_engine.pool._timeout = 0.01  # type: ignore[attr-defined]
    try:
        async with engine.connect():
            with pytest.raises(NoFreeConnection) as refused:
                await engine.connect()
    finally:
        await engine.dispose()
    answer = answer_unexpected(refused.value, "id")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    written = capsys.readouterr()
    told = written.out + written.err + caplog.text
    assert "no database connection was free in time" in told
    assert "Traceback" not in told
