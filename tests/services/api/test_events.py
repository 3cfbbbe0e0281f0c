"""The events of a batch over real connections: in order, without gap or repeat, cheap, and ended in time."""

import asyncio
import itertools
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from services.api import batch_events
from shared.batches import telling
from shared.config import Settings
from shared.wiring import Resources
from tests.conftest import Server, Tenant
from tests.services.api.listeners import SOON_S, Ear, ear, path_of, whole
from tests.shared.conftest import Mill, done
from tests.twins import HeardBells


@pytest.fixture
async def mill(resources: Resources, tenant: Tenant, tmp_path: Path) -> Mill:
    """Moves batches of the project that asks."""
    # A server that starts later looks for the newest file in its storage.
    (tmp_path / "blobs").mkdir(exist_ok=True)
    (tmp_path / "blobs" / "k").write_bytes(b"x")
    async with resources.unit_of_work() as uow:
        directory = await uow.session.execute(
            text("INSERT INTO directories (project_id, name) VALUES (:p, 'd') RETURNING id"),
            {"p": tenant.project_id},
        )
        file = await uow.session.execute(
            text(
                "INSERT INTO files (project_id, name, size_bytes, sha256, storage_key)"
                " VALUES (:p, 'f', 1, '', 'k') RETURNING id"
            ),
            {"p": tenant.project_id},
        )
        await uow.commit()
    return Mill(resources, tenant.project_id, directory.scalar_one(), file.scalar_one())


async def tell(mill: Mill, batch_id: UUID, kind: str = "batch.progress") -> None:
    async with mill.resources.unit_of_work() as uow:
        await telling.tell(uow.session, batch_id, kind, {})
        await uow.commit()


async def rows(mill: Mill, batch_id: UUID) -> list[tuple[int, str]]:
    found = await mill.sql("SELECT n, kind FROM batch_events WHERE batch_id = :b ORDER BY n", b=batch_id)
    return [(row.n, row.kind) for row in found]


async def test_a_batch_is_followed_from_its_state_to_its_end(http: httpx.AsyncClient, mill: Mill) -> None:
    batch_id = await mill.open_batch(9)
    async with ear(http, batch_id) as heard:
        kind = heard.response.headers["content-type"]
        assert kind.partition(";")[0] == "text/event-stream"
        assert heard.response.headers["cache-control"] == "no-store"
        assert heard.response.headers["x-accel-buffering"] == "no"
        await heard.wait_for(lambda e: e.kinds == ["state"])
        await mill.run_all(batch_id)
        await heard.wait_for(lambda e: e.ended)
    assert heard.heard[0].data["status"] == "PENDING"
    told = await rows(mill, batch_id)
    assert [(event.n, event.kind) for event in heard.heard[1:]] == told
    last = heard.heard[-1]
    assert last.kind == "batch.completed"
    assert {k: last.data[k] for k in ("total", "open", "completed", "failed")} == {
        "total": 9,
        "open": 0,
        "completed": 9,
        "failed": 0,
    }
    seen = (await http.get(path_of(batch_id).removesuffix("/events"))).json()
    assert (last.data["batch_id"], last.data["status"]) == (seen["id"], seen["status"])


async def test_who_comes_again_misses_nothing_and_hears_nothing_twice(
    http: httpx.AsyncClient, mill: Mill
) -> None:
    batch_id = await mill.open_batch(4)
    await mill.advance(batch_id)
    for _ in range(5):
        await tell(mill, batch_id)
    for sent in ({"headers": {"last-event-id": "2"}}, {"params": {"last_event_id": "2"}}):
        async with ear(http, batch_id, **sent) as heard:
            await heard.wait_for(lambda e: len(e.heard) == 4)
            await tell(mill, batch_id)
            await heard.wait_for(lambda e: len(e.heard) == 5)
        assert heard.numbers == list(range(3, 3 + len(heard.numbers)))
        assert "state" not in heard.kinds
        await mill.sql("DELETE FROM batch_events WHERE batch_id = :b AND n > 6", b=batch_id)
        await mill.sql("UPDATE batches SET event_no = 6 WHERE id = :b", b=batch_id)
    async with ear(http, batch_id, headers={"last-event-id": "6"}) as heard:
        await tell(mill, batch_id)
        await heard.wait_for(lambda e: e.numbers == [7])


@pytest.mark.parametrize("known", ["7", "99999999999999999999999", "2"])
async def test_a_number_that_is_not_there_begins_anew(
    http: httpx.AsyncClient, mill: Mill, known: str
) -> None:
    """From the future, from beyond all numbers, and one that was removed."""
    batch_id = await mill.open_batch(4)
    await mill.advance(batch_id)
    for _ in range(5):
        await tell(mill, batch_id)
    await mill.sql("DELETE FROM batch_events WHERE batch_id = :b AND n < 4", b=batch_id)
    async with ear(http, batch_id, headers={"last-event-id": known}) as heard:
        await heard.wait_for(lambda e: e.kinds == ["reset"])
        assert (heard.heard[0].n, heard.heard[0].data["total"]) == (6, 4)
        await tell(mill, batch_id)
        await heard.wait_for(lambda e: e.numbers == [6, 7])


async def test_a_final_batch_is_told_and_the_stream_ends(http: httpx.AsyncClient, mill: Mill) -> None:
    batch_id = await mill.open_batch(2)
    await mill.run_all(batch_id)
    (state,) = await whole(http, batch_id)
    assert (state.kind, state.data["status"], state.data["completed"]) == ("state", "COMPLETED", 2)
    told = await rows(mill, batch_id)
    known = {"last-event-id": str(told[0][0])}
    assert [(event.n, event.kind) for event in await whole(http, batch_id, headers=known)] == told[1:]
    over = await http.get(path_of(batch_id), headers={"last-event-id": str(told[-1][0])})
    assert (over.status_code, over.content) == (204, b"")


async def test_what_there_is_now_can_be_asked_for(http: httpx.AsyncClient, mill: Mill) -> None:
    batch_id = await mill.open_batch(2)
    await mill.advance(batch_id)
    (state,) = await whole(http, batch_id, params={"wait": "false"})
    assert (state.kind, state.data["waiting"]["code"]) == ("state", "NO_WORKER")
    assert await whole(http, batch_id, params={"wait": "false", "last_event_id": state.n}) == []


async def test_a_head_is_answered_and_listens_to_nothing(http: httpx.AsyncClient, mill: Mill) -> None:
    batch_id = await mill.open_batch(2)
    async with asyncio.timeout(SOON_S):
        head = await http.head(path_of(batch_id))
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")
        while "batchmill_http_listeners 0.0" not in (await http.get("/metrics")).text:
            await asyncio.sleep(0.05)


async def test_silence_has_signs_of_life(
    http: httpx.AsyncClient, mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_events, "HEARTBEAT_S", 0.1)
    batch_id = await mill.open_batch(1)
    async with ear(http, batch_id) as heard:
        await heard.wait_for(lambda e: e.signs >= 3)
    assert heard.kinds == ["state"]


async def test_a_stream_ends_after_a_while_so_that_the_key_is_asked_for_again(
    http: httpx.AsyncClient, mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_events, "LIVES_S", 0.5)
    batch_id = await mill.open_batch(1)
    async with ear(http, batch_id) as heard:
        await heard.wait_for(lambda e: e.ended)
    assert heard.kinds == ["state"]


async def test_refusals(
    http: httpx.AsyncClient, anonymous: httpx.AsyncClient, neighbour: Tenant, mill: Mill
) -> None:
    batch_id = await mill.open_batch(1)
    theirs = {"authorization": f"Bearer {neighbour.key}"}
    assert (await anonymous.get(path_of(batch_id), headers=theirs)).status_code == 404
    assert (await anonymous.get(path_of(batch_id))).status_code == 401
    for bad in ("x", "-1", "1.5", ""):
        refused = await http.get(path_of(batch_id), headers={"last-event-id": bad})
        assert refused.status_code == 422, bad
        assert refused.json()["detail"][0]["loc"][-1].lower() == "last-event-id"
    assert (await http.get(path_of(batch_id).replace("bat-", "bat-x"))).status_code == 404
    assert (await http.get(path_of(batch_id), params={"wait": "perhaps"})).status_code == 422
    await mill.sql("UPDATE batches SET deleted_at = now() WHERE id = :b", b=batch_id)
    assert (await http.get(path_of(batch_id))).status_code == 404


@asynccontextmanager
async def served(settings: Settings, bells: HeardBells, tenant: Tenant) -> AsyncIterator[Any]:
    """A server of these settings, and a client of it with our key."""
    server = Server(settings, bells)
    await server.start()
    headers = {"authorization": f"Bearer {tenant.key}"}
    limits = httpx.Limits(max_connections=None)
    try:
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60, limits=limits) as http:
            yield server, http
    finally:
        await server.stop()


@pytest.mark.parametrize(("most", "most_per_key", "status"), [(2, 9, 503), (9, 2, 429)])
async def test_there_is_room_for_so_many(  # noqa: PLR0917 - fixtures, and a case of three
    settings: Settings,
    bells: HeardBells,
    tenant: Tenant,
    mill: Mill,
    most: int,
    most_per_key: int,
    status: int,
) -> None:
    api = settings.api.model_copy(update={"listeners": most, "listeners_per_key": most_per_key})
    batch_id = await mill.open_batch(1)
    async with served(settings.model_copy(update={"api": api}), bells, tenant) as (_, http):
        async with ear(http, batch_id) as one, ear(http, batch_id) as other:
            for each in (one, other):
                await each.wait_for(lambda e: e.kinds == ["state"])
            assert "batchmill_http_listeners 2.0" in (await http.get("/metrics")).text
            refused = await http.get(path_of(batch_id))
            assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (status, True)
            assert "follow" in refused.json()["detail"]
            assert (await http.get(path_of(batch_id), params={"wait": "false"})).status_code == 200
        async with asyncio.timeout(SOON_S):
            # Who has gone makes room.
            while True:
                async with http.stream("GET", path_of(batch_id)) as again:
                    if again.status_code == 200:
                        break
                await asyncio.sleep(0.05)


async def test_a_server_that_ends_does_not_wait_for_listeners(
    settings: Settings, bells: HeardBells, tenant: Tenant, mill: Mill
) -> None:
    batch_id = await mill.open_batch(1)
    async with served(settings, bells, tenant) as (server, http), ear(http, batch_id) as heard:
        await heard.wait_for(lambda e: e.kinds == ["state"])
        await server.stop()
        # A body that is cut off, as after two seconds, raises in the client and never ends.
        await heard.wait_for(lambda e: e.ended)


async def test_listeners_hold_no_connection_of_the_database(
    settings: Settings, bells: HeardBells, tenant: Tenant, mill: Mill
) -> None:
    batches = [await mill.open_batch(1) for _ in range(2)]
    async with served(settings, bells, tenant) as (_, http):
        tasks = []
        for n in range(30):
            request = http.build_request("GET", path_of(batches[n % 2]))
            tasks.append(asyncio.create_task(http.send(request, stream=True)))
        async with asyncio.timeout(SOON_S):
            streams = await asyncio.gather(*tasks)
        assert {one.status_code for one in streams} == {200}
        await asyncio.sleep(1.2)
        open_now = await mill.one(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'batchmill-api%'"
            " AND datname = current_database()"
        )
        assert open_now <= settings.database.pool_size + settings.database.pool_size // 2
        in_transactions = await mill.one(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'batchmill-api%'"
            " AND datname = current_database() AND xact_start < now() - interval '1 s'"
        )
        assert in_transactions == 0
        # All of the pool is there for others.
        answers = await asyncio.gather(
            *(http.get(path_of(batches[0]).removesuffix("/events")) for _ in range(20))
        )
        assert {one.status_code for one in answers} == {200}
        for one in streams:
            await one.aclose()


async def test_events_come_after_the_database_was_away(http: httpx.AsyncClient, mill: Mill) -> None:
    batch_id = await mill.open_batch(1)
    async with ear(http, batch_id) as heard:
        await heard.wait_for(lambda e: e.kinds == ["state"])
        await mill.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'batchmill-api%' AND datname = current_database()"
        )
        for _ in range(3):
            await tell(mill, batch_id)
        await heard.wait_for(lambda e: e.numbers == [0, 1, 2, 3])


async def test_a_listener_that_reads_slowly_is_given_all_of_it(http: httpx.AsyncClient, mill: Mill) -> None:
    """More than is remembered in the process comes while it does not read."""
    batch_id = await mill.open_batch(1)
    count = 700
    async with http.stream("GET", path_of(batch_id)) as response:
        for _ in range(count // 70):
            async with mill.resources.unit_of_work() as uow:
                for _ in range(70):
                    await telling.tell(uow.session, batch_id, "batch.progress", {"pad": "x" * 200})
                await uow.commit()
        await asyncio.sleep(1.5)
        heard = Ear(response)
        task = asyncio.create_task(heard.listen())
        await heard.wait_for(lambda e: len(e.heard) > count)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert heard.numbers == list(range(count + 1))


async def cut_off(
    http: httpx.AsyncClient, batch_id: UUID, cuts: list[float]
) -> tuple[int, list[tuple[int, str]]]:
    """What a listener hears of a whole batch that is cut off after each of `cuts` seconds, and the number it
    began with."""
    known, began, found = None, 0, []
    while True:
        sent: dict[str, Any] = {} if known is None else {"headers": {"last-event-id": str(known)}}
        async with ear(http, batch_id, **sent) as heard:
            ends = time.monotonic() + (cuts.pop() if cuts else SOON_S)
            while not heard.ended and time.monotonic() < ends:
                await asyncio.sleep(0.005)
        for event in heard.heard:
            assert event.kind != "reset"
            known = event.n
            if event.kind == "state":
                began = event.n
            else:
                found.append((event.n, event.kind))
        if heard.heard and heard.heard[-1].is_final:
            return began, found


async def test_many_reconnects_bring_each_event_once(http: httpx.AsyncClient, mill: Mill) -> None:
    """Listeners that are cut off again and again while a batch runs."""
    drawn = random.Random(31)
    batch_id = await mill.open_batch(60)
    cuts = [[drawn.uniform(0, 0.3) for _ in range(8)] for _ in range(6)]

    async def work() -> None:
        await mill.advance(batch_id)
        for n in itertools.count():
            if n >= 40 and not any(cuts):
                break
            await tell(mill, batch_id)
            await asyncio.sleep(0.02)
        await mill.run_all(batch_id)

    async with asyncio.timeout(60):
        worker = asyncio.create_task(work())
        heard = await asyncio.gather(*(cut_off(http, batch_id, pauses) for pauses in cuts))
        await worker
    told = await rows(mill, batch_id)
    assert len(told) > 40
    for began, found in heard:
        assert found == [event for event in told if event[0] > began], "a gap or a repeat"


async def test_names_with_strange_signs_stay_one_event(http: httpx.AsyncClient, mill: Mill) -> None:
    batch_id = await mill.open_batch(1)
    await mill.sql("UPDATE directory_files SET display_name = E'a\\u2028b\\r\\n\\nid: 9\\n\"c'")
    await mill.advance(batch_id)
    await mill.dispatch()
    held = await mill.taken()
    await mill.close(held.chunk, [done(held.chunk, file, "TIMEOUT") for file in held.files])
    await mill.run_all(batch_id)
    last = (await whole(http, batch_id, params={"last_event_id": 1}))[-1]
    assert last.data["failures"][0]["name"] == 'a\u2028b\r\n\nid: 9\n"c'
    assert last.data["failures"][0]["job_id"].startswith("pjb-")
    assert json.loads(json.dumps(last.data)) == last.data
