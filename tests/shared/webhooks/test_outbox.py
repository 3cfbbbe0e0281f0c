"""What is written down to be told, in the transaction of the move, and that nobody pays for it who has no
webhook."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

from shared.batches import redrive
from shared.batches import service as batch_service
from shared.batches.advance import Step
from shared.jobs import opening, sweeping
from shared.jobs import service as job_service
from shared.webhooks import announcing
from shared.webhooks.service import Endpoint
from tests.shared.conftest import Mill, done

URL = "https://hooks.example.com/"
ALL = Endpoint(URL, None, None, "json", None)

Told = Callable[..., Awaitable[list[tuple[str, str]]]]


@pytest.fixture
def told(mill: Mill) -> Told:
    async def read(subject: UUID | None = None) -> list[tuple[str, str]]:
        rows = await mill.sql(
            "SELECT event_type, data->>'status' FROM webhook_deliveries"
            " WHERE coalesce(subject_id = CAST(:s AS uuid), true) ORDER BY id",
            s=subject,
        )
        return [(row[0], row[1]) for row in rows]

    return read


async def hook(mill: Mill, owner: UUID, about: str, endpoint: Endpoint = ALL) -> None:
    async with mill.resources.unit_of_work() as uow:
        await announcing.attach(uow, mill.project_id, owner, about=about, endpoints=[endpoint])
        await uow.commit()


async def test_a_batch_tells_its_states_and_nothing_of_its_jobs(mill: Mill, told: Told) -> None:
    batch = await mill.open_batch(3)
    await hook(mill, batch, "BATCH")
    await mill.run_all(batch)
    assert await told() == [("batch.running", "RUNNING"), ("batch.success", "COMPLETED")]
    (data,) = await mill.sql("SELECT data FROM webhook_deliveries WHERE event_type = 'batch.success'")
    assert data.data == {
        "id": f"bat-{batch}",
        "batch_id": f"bat-{batch}",
        "status": "COMPLETED",
        "project_id": f"prj-{mill.project_id}",
        "source_directory_id": f"dir-{mill.directory_id}",
        "failure_code": None,
    }


async def test_jobs_tell_theirs_where_the_configuration_has_webhooks(mill: Mill, told: Told) -> None:
    batch = await mill.open_batch(3)
    await hook(mill, batch, "JOBS")
    await mill.advance(batch)
    await mill.dispatch()
    held = await mill.taken()
    await mill.flush(held.chunk, [done(held.chunk, held.files[0], code="TIMEOUT")])
    await mill.close(held.chunk, [done(held.chunk, file) for file in held.files])
    await mill.run_all(batch)
    ids = [row[0] for row in await mill.sql("SELECT id FROM jobs WHERE batch_id = :b ORDER BY seq", b=batch)]
    begun = [("parse.pending", "PENDING"), ("parse.running", "RUNNING")]
    assert await told(ids[0]) == [*begun, ("parse.error", "FAILED")]
    assert await told(ids[1]) == [*begun, ("parse.success", "COMPLETED")]
    (row,) = await mill.sql("SELECT data, event_id FROM webhook_deliveries WHERE event_type = 'parse.error'")
    assert row.data == {
        "id": f"pjb-{ids[0]}",
        "job_id": f"pjb-{ids[0]}",
        "status": "FAILED",
        "project_id": f"prj-{mill.project_id}",
        "batch_id": f"bat-{batch}",
        "error_code": "TIMEOUT",
    }
    assert (row.event_id.version, str(row.event_id.variant)) == (8, "specified in RFC 4122")


async def test_only_events_that_were_asked_for(mill: Mill, told: Told) -> None:
    batch = await mill.open_batch(2)
    await hook(mill, batch, "BATCH", Endpoint(URL, ["batch.success", "parse.success"], None, "json", None))
    await hook(mill, batch, "JOBS", Endpoint(URL, ["parse.error"], None, "json", None))
    await mill.run_all(batch)
    assert await told() == [("batch.success", "COMPLETED")]


async def test_a_cancel_tells_of_every_job_once(mill: Mill, told: Told) -> None:
    batch = await mill.open_batch(40)
    await hook(mill, batch, "BATCH")
    await hook(mill, batch, "JOBS", Endpoint(URL, ["parse.cancelled", "parse.success"], None, "json", None))
    await mill.sql("UPDATE batches SET seconds_per_file = 0.25")
    await mill.advance(batch)
    await mill.dispatch()
    held = await mill.taken()
    async with mill.resources.unit_of_work() as uow:
        await batch_service.cancel_batch(uow, mill.project_id, batch)
        await uow.commit()
    await mill.close(held.chunk, [done(held.chunk, held.files[0])])
    for _ in range(10):
        if await mill.advance(batch) is Step.ENDED:
            break
    await mill.assert_exact(batch, "CANCELLED")
    news = await told()
    assert news.count(("parse.success", "COMPLETED")) == 1
    assert news.count(("parse.cancelled", "CANCELLED")) == 39
    assert [one for one in news if one[0].startswith("batch")] == [
        ("batch.running", "RUNNING"),
        ("batch.cancelled", "CANCELLED"),
    ]


async def test_a_redrive_tells_those_of_the_old_batch(mill: Mill, told: Told) -> None:
    batch = await mill.open_batch(2)
    await hook(mill, batch, "BATCH")
    await hook(mill, batch, "JOBS", Endpoint(URL, ["parse.success"], None, "json", None))
    await mill.advance(batch)
    await mill.dispatch()
    held = await mill.taken()
    await mill.close(held.chunk, [done(held.chunk, file, code="TIMEOUT") for file in held.files])
    await mill.run_all(batch)
    async with mill.resources.unit_of_work() as uow:
        again = await redrive.redrive_batch(uow, mill.project_id, batch, redrive.RedriveKind.FAILED)
        await uow.commit()
    assert await told(again.id) == [("batch.pending", "PENDING")]
    await mill.run_all(again.id)
    assert (await told(again.id))[-1] == ("batch.success", "COMPLETED")
    assert (await told())[-3:].count(("parse.success", "COMPLETED")) == 2


async def test_a_lost_worker_tells_what_the_row_says(mill: Mill, told: Told) -> None:
    batch = await mill.open_batch(1)
    await hook(mill, batch, "JOBS")
    await mill.advance(batch)
    await mill.dispatch()
    for _ in range(3):
        await mill.taken()
        await mill.sql("UPDATE chunks SET due_at = now() - interval '1 s'")
        await mill.sql("UPDATE sweeps SET last_ok_at = clock_timestamp()")
        for _ in range(2):
            async with mill.resources.unit_of_work() as uow:
                await sweeping.sweep_lost(uow)
    assert await told() == [
        ("parse.pending", "PENDING"),
        ("parse.running", "RUNNING"),
        ("parse.error", "FAILED"),
    ]


async def open_job(mill: Mill, *webhooks: Endpoint) -> UUID:
    async with mill.resources.unit_of_work() as uow:
        view = await opening.open_parse_job(
            uow,
            project_id=mill.project_id,
            file_id=mill.file_id,
            name="f",
            size_bytes=1,
            sha256=None,
            parameters={"tier": "fast"},
            webhooks=webhooks,
        )
        await uow.commit()
    return view.id


async def test_a_job_alone_tells_its_life(mill: Mill, told: Told) -> None:
    job = await open_job(mill, ALL)
    silent = await open_job(mill)
    for _ in range(2):
        held = await mill.taken()
        await mill.close(held.chunk, [done(held.chunk, file) for file in held.files])
    assert await told(job) == [
        ("parse.pending", "PENDING"),
        ("parse.running", "RUNNING"),
        ("parse.success", "COMPLETED"),
    ]
    assert await told(silent) == []
    other = await open_job(mill, ALL)
    async with mill.resources.unit_of_work() as uow:
        await job_service.cancel_job(uow, mill.project_id, "parse_v2", other)
        await uow.commit()
    assert await told(other) == [("parse.pending", "PENDING"), ("parse.cancelled", "CANCELLED")]


async def test_what_is_rolled_back_tells_nothing_and_a_fenced_holder_neither(mill: Mill, told: Told) -> None:
    job = await open_job(mill, ALL)
    held = await mill.taken()
    await mill.sql("UPDATE chunks SET token = gen_random_uuid()")
    await mill.close(held.chunk, [done(held.chunk, file) for file in held.files])
    async with mill.resources.unit_of_work() as uow:
        await mill.sql("SELECT 1")
        await announcing.batch_moved(uow, uuid4())
    assert await told(job) == [("parse.pending", "PENDING"), ("parse.running", "RUNNING")]


@contextmanager
def statements(mill: Mill) -> Iterator[list[str]]:
    """The statements of the block, those that begin and end transactions not counted."""
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    engine = mill.resources.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_without_webhooks_nothing_more_is_asked_of_the_database(mill: Mill) -> None:
    """Each step's statements are those of before there were webhooks, and none writes of them."""
    batch = await mill.open_batch(4)
    with statements(mill) as advanced:
        await mill.advance(batch)
    await mill.dispatch()
    with statements(mill) as taken:
        held = await mill.taken()
    with statements(mill) as flushed:
        await mill.flush(held.chunk, [done(held.chunk, held.files[0])])
    with statements(mill) as closed:
        await mill.close(held.chunk, [done(held.chunk, file) for file in held.files[1:]])
    assert (len(taken), len(flushed), len(closed)) == (3, 2, 3)
    assert not [one for one in (*advanced, *taken, *flushed, *closed) if "webhook_deliveries" in one]


async def test_the_same_news_twice_is_one_row(mill: Mill, told: Told) -> None:
    batch = await mill.open_batch(1)
    await hook(mill, batch, "BATCH")
    await hook(mill, batch, "BATCH")
    for _ in range(3):
        async with mill.resources.unit_of_work() as uow:
            await announcing.batch_moved(uow, batch)
            await uow.commit()
    assert await told() == [("batch.pending", "PENDING")] * 2
    assert await mill.one("SELECT count(DISTINCT event_id) FROM webhook_deliveries") == 1
