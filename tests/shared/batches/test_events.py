"""The rows that listeners read: which there are, what they say, how many stay, and what they cost."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text

from shared.batches import following, telling
from shared.batches import service as batch_service
from shared.lanes.limits import Hold
from tests.shared.batches.by_hand import limit, opened
from tests.shared.conftest import Mill

SUMS = ("total", "ok", "failed", "cancelled", "unmapped", "reused")


async def told(mill: Mill, batch_id: UUID) -> list[Any]:
    """All events of the batch, which have no gap."""
    rows = await mill.sql(
        "SELECT n, at, kind, data FROM batch_events WHERE batch_id = :b ORDER BY n", b=batch_id
    )
    first = rows[0].n
    assert [row.n for row in rows] == list(range(first, first + len(rows)))
    assert rows[-1].n == (await mill.batch(batch_id)).event_no
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    return list(rows)


async def later(mill: Mill, batch_id: UUID) -> None:
    """As if the last event had been told a second sooner."""
    await mill.sql("UPDATE batch_events SET at = at - interval '1 s' WHERE batch_id = :b", b=batch_id)


async def run_one(mill: Mill, an_end: Any, code: str | None = None) -> int:
    """Take a chunk and end its files; answers how many."""
    held = await mill.taken()
    await mill.close(held.chunk, [an_end(held.chunk, file, code) for file in held.files])
    return len(held.files)


async def test_a_batch_tells_its_start_its_progress_and_its_end(mill: Mill, an_end: Any) -> None:
    batch_id = await opened(mill, 40)
    await mill.dispatch()
    done = 0
    for _ in range(2):
        done += await run_one(mill, an_end)
        await later(mill, batch_id)
        await mill.dispatch()
    rows = await told(mill, batch_id)
    assert rows[0].kind == "batch.running"
    assert rows[-1].kind == "batch.progress"
    assert (rows[-1].data["total"], rows[-1].data["ok"], rows[-1].data["status"]) == (40, done, "RUNNING")
    assert rows[-1].data["rate"] > 0
    await mill.run_all(batch_id)
    rows = await told(mill, batch_id)
    last = rows[-1]
    assert last.kind == "batch.completed"
    row = await mill.batch(batch_id)
    assert {name: last.data[name] for name in SUMS} == {name: getattr(row, name) for name in SUMS}
    assert sum(one.kind in following.FINAL for one in rows) == 1


async def test_what_comes_close_together_is_told_once(mill: Mill, an_end: Any) -> None:
    """However often a batch is looked at: twice a second, and only news."""
    batch_id = await opened(mill, 400)
    await mill.sql("UPDATE batches SET seconds_per_file = 0.5 WHERE id = :b", b=batch_id)
    before = (await mill.batch(batch_id)).event_no
    for _ in range(10):
        await mill.dispatch()
        await run_one(mill, an_end)
    ran_s = await mill.one(
        "SELECT extract(epoch FROM clock_timestamp() - started_at)::float8 FROM batches WHERE id = :b",
        b=batch_id,
    )
    rows = await told(mill, batch_id)
    assert len(rows) - before <= ran_s / telling.OFTEN_S + 1
    await later(mill, batch_id)
    await mill.advance(batch_id)
    count = len(await told(mill, batch_id))
    await later(mill, batch_id)
    for _ in range(5):
        await mill.advance(batch_id)
    assert len(await told(mill, batch_id)) == count, "nothing is new"


@pytest.mark.parametrize("files", [200, 2_000])
async def test_files_that_fail_are_named_some_of_them(mill: Mill, an_end: Any, files: int) -> None:
    """By the look at the batch, where all of it is granted; else by the next grant."""
    batch_id = await opened(mill, files)
    await mill.sql("UPDATE batches SET seconds_per_file = 0.01 WHERE id = :b", b=batch_id)
    await mill.dispatch()
    failed = await run_one(mill, an_end, "TIMEOUT")
    assert failed > 20
    if (await mill.batch(batch_id)).fed_seq == files:
        await mill.advance(batch_id)
    else:
        await mill.dispatch()
    rows = await told(mill, batch_id)
    named = [one for row in rows for one in row.data.get("failures", ())]
    assert len(named) == 20, "enough to see what goes wrong; all of them are counted"
    assert {one["code"] for one in named} == {"TIMEOUT"}
    assert rows[-1].data["failed"] == failed
    found = await mill.sql("SELECT id, name FROM jobs WHERE status = 'FAILED'")
    assert {(one["job"], one["name"]) for one in named} <= {(str(job), name) for job, name in found}


async def test_the_last_files_that_fail_are_named_in_the_end(mill: Mill, an_end: Any) -> None:
    batch_id = await opened(mill, 1)
    await mill.dispatch()
    await run_one(mill, an_end, "TIMEOUT")
    await mill.run_all(batch_id)
    last = (await told(mill, batch_id))[-1]
    assert (last.kind, [one["code"] for one in last.data["failures"]]) == ("batch.completed", ["TIMEOUT"])


async def test_a_refusal_and_its_end_are_told_with_the_reason(mill: Mill) -> None:
    batch_id = await opened(mill, 4)
    await limit(mill, hold=Hold("moving house"))
    await mill.dispatch()
    last = (await told(mill, batch_id))[-1]
    assert (last.kind, last.data["status"], last.data["wait"]["code"]) == (
        "batch.throttled",
        "THROTTLED",
        "MAINTENANCE",
    )
    await mill.dispatch()
    assert (await told(mill, batch_id))[-1].n == last.n, "the same reason is no news"
    await limit(mill)
    await mill.dispatch()
    last = (await told(mill, batch_id))[-1]
    assert (last.kind, last.data["status"], "wait" in last.data) == ("batch.running", "RUNNING", False)


async def test_a_stop_is_told_once_and_then_the_end(mill: Mill) -> None:
    batch_id = await opened(mill, 4)
    for _ in range(2):
        async with mill.resources.unit_of_work() as uow:
            await batch_service.cancel_batch(uow, mill.project_id, batch_id)
            await uow.commit()
    await mill.run_all(batch_id)
    rows = [row for row in await told(mill, batch_id) if row.kind != "batch.progress"]
    assert [row.kind for row in rows] == ["batch.running", "batch.stopping", "batch.cancelled"]
    assert (rows[1].data["stop_as"], rows[1].data["status"]) == ("CANCELLED", "RUNNING")
    assert rows[-1].data["cancelled"] == 4


async def test_a_batch_keeps_its_last_events_only(mill: Mill) -> None:
    batch_id = await opened(mill, 1)
    async with mill.resources.unit_of_work() as uow:
        for _ in range(telling.KEPT + 3 * telling.SLACK):
            await telling.tell(uow.session, batch_id, "batch.progress", {})
        await uow.commit()
    kept = len(await told(mill, batch_id))
    assert telling.KEPT <= kept <= telling.KEPT + telling.SLACK
    await mill.run_all(batch_id)
    rows = await told(mill, batch_id)
    assert (len(rows), rows[-1].kind) == (telling.KEPT_AFTER_END, "batch.completed")
    await mill.assert_exact(batch_id)


async def test_events_of_an_older_version_are_gone_on_from(mill: Mill, an_end: Any) -> None:
    batch_id = await opened(mill, 4)
    await mill.sql(
        "UPDATE batch_events SET data = jsonb_build_object('status', 'RUNNING'), at = at - interval '1 s'"
        " WHERE batch_id = :b",
        b=batch_id,
    )
    await mill.dispatch()
    await run_one(mill, an_end)
    await mill.run_all(batch_id)
    assert (await told(mill, batch_id))[-1].data["ok"] == 4


async def test_a_worker_says_nothing_and_a_look_says_it_in_one_statement_more(
    mill: Mill, an_end: Any
) -> None:
    """What runs for each file and each chunk is as it was before there were events."""
    batch_id = await opened(mill, 8)
    await mill.dispatch()
    held = await mill.taken()
    heard: list[str] = []

    def hear(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        heard.append(statement)

    engine = mill.resources.engine.sync_engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        await mill.close(held.chunk, [an_end(held.chunk, file) for file in held.files])
        assert heard
        assert not [one for one in heard if "batch_events" in one]
        heard.clear()
        await later(mill, batch_id)
        heard.clear()
        await mill.advance(batch_id)
        assert len([one for one in heard if "batch_events" in one]) == 1
    finally:
        event.remove(engine, "before_cursor_execute", hear)


@pytest.mark.parametrize("batches", [1, 300])
async def test_news_are_looked_up_by_the_index(mill: Mill, batches: int) -> None:
    """The one statement of all listeners must not walk through the table, however many it asks for."""
    async with mill.resources.unit_of_work() as uow:
        await uow.session.execute(text("SET LOCAL enable_seqscan = on"))
        made = await mill.open_batch(1)
        await uow.session.execute(
            text(
                "INSERT INTO batch_events (batch_id, n, kind, data)"
                " SELECT :b, n, 'x', '{}' FROM generate_series(1, 20000) n"
            ),
            {"b": made},
        )
        await uow.session.execute(text("ANALYZE batch_events"))
        plan = await uow.session.execute(
            text(
                "EXPLAIN SELECT e.n FROM unnest(CAST(:i AS uuid[]), CAST(:n AS int[])) AS w(id, n)"
                " CROSS JOIN LATERAL (SELECT * FROM batch_events WHERE batch_id = w.id AND n > w.n"
                "  ORDER BY n LIMIT 200) e ORDER BY e.batch_id, e.n"
            ),
            {"i": [made] * batches, "n": [19_999] * batches},
        )
        lines = "\n".join(plan.scalars())
    assert "Index" in lines
    assert "Seq Scan" not in lines
