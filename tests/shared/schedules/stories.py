"""One story for each interleaving: it must go well as the code is, and fail when its guard is taken out."""

from dataclasses import replace
from pathlib import Path

from sqlalchemy import text

from services.worker import results as worker_results
from shared.batches import draining, following, telling
from shared.batches.advance import Step
from shared.jobs import reclaim, running
from shared.jobs.running import Hand
from shared.pausing import Point
from shared.queue.messages import Advance, Dispatch
from tests.shared.conftest import KIND, done
from tests.shared.schedules.stage import Stage


async def a_late_holder(stage: Stage) -> None:
    """Rule 1: a holder stands before its flush, loses its lease, and wakes when another holds the file."""
    batch_id = await stage.granted(1)
    late = await stage.mill.taken()
    end = done(late.chunk, late.files[0])
    flush = await stage.conductor.stopped(stage.mill.flush(late.chunk, [end]), Point.BEFORE_FLUSH)
    await stage.expire()
    assert await stage.sweep() == 1
    owner = await stage.mill.taken()
    assert owner.chunk.token != late.chunk.token
    assert await flush.end() is Hand.FENCED
    assert await stage.hand_in(owner) is Hand.GO_ON
    token = await stage.mill.one("SELECT token FROM jobs WHERE batch_id = :b", b=batch_id)
    assert token == owner.chunk.token
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)


async def a_late_result(stage: Stage, folder: Path) -> None:
    """Rule 2: the late holder stores its result after that of its successor was accepted."""
    batch_id = await stage.granted(1)
    late = await stage.mill.taken()
    await stage.expire()
    await stage.sweep()
    owner = await stage.mill.taken()
    keys = {}
    for name, held in (("owner", owner), ("late", late)):
        keys[name] = worker_results.Keys(held.chunk).of(held.files[0])
        (folder / name).write_bytes(name.encode())
        if name == "owner":
            await stage.resources.storage.put(keys[name], folder / name)
            end = done(held.chunk, held.files[0])
            await stage.mill.close(held.chunk, [replace(end, result_key=keys[name])])
        else:
            await stage.resources.storage.put(keys[name], folder / name)
            assert await stage.hand_in(held) is Hand.FENCED
    accepted = await stage.mill.one("SELECT result_key FROM jobs WHERE batch_id = :b", b=batch_id)
    fetched = await stage.resources.storage.fetch(accepted, folder)
    assert fetched.read_bytes() == b"owner"


async def two_readers_of_a_directory(stage: Stage) -> None:
    """Rules 4 and 5: a second advance comes while the first stands inside its second page."""
    batch_id = await stage.mill.open_batch(5)
    await stage.mill.advance(batch_id)
    first = await stage.conductor.stopped(stage.mill.advance(batch_id), Point.SPREAD_PAGE)
    second = await stage.conductor.beside(stage.mill.advance(batch_id))
    assert not second.task.done(), "it waits for the batch and does not leave"
    await first.end()
    await second.end()
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)


async def a_settle_beside_a_reopening(stage: Stage) -> None:
    """Rule 5: somebody who holds the batch opens work in it while a settle is on its way."""
    batch_id = await stage.granted(1)
    await stage.hand_in(await stage.mill.taken())
    await stage.mill.sql(
        "WITH d AS (DELETE FROM chunks WHERE batch_id = :b RETURNING ok)"
        " UPDATE batches SET ok = 1 WHERE id = :b AND EXISTS (SELECT 1 FROM d)",
        b=batch_id,
    )
    async with stage.resources.unit_of_work() as rival:
        await rival.session.execute(
            text("SELECT id FROM batches WHERE id = :b FOR NO KEY UPDATE"), {"b": batch_id}
        )
        await rival.session.execute(
            text(
                "INSERT INTO chunks (project_id, job_type, queue, batch_id, lo, hi, size, rank)"
                " VALUES (:p, :t, 'parse', :b, 1, 1, 1, 0)"
            ),
            {"p": stage.mill.project_id, "t": KIND, "b": batch_id},
        )
        settle = await stage.conductor.beside(stage.mill.advance(batch_id))
        await rival.commit()
    assert await settle.end() is Step.WAITING
    assert (await stage.mill.batch(batch_id)).finished_at is None


async def one_file_kills_its_worker(stage: Stage) -> None:
    """Rule 6: a chunk of eight dies with its worker as often as its first file is in it."""
    batch_id = await stage.granted(8)
    first = await stage.mill.taken()
    assert len(first.files) > 1
    poison = first.files[0].job_id
    await stage.expire()
    await stage.sweep()
    while (held := await stage.mill.take()) is not None:
        if poison in [file.job_id for file in held.files]:
            await stage.expire()
            await stage.sweep()
        else:
            await stage.hand_in(held)
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)
    failed = await stage.mill.sql("SELECT id, error_code FROM jobs WHERE status = 'FAILED'")
    assert [tuple(row) for row in failed] == [(poison, "WORKER_LOST")]


async def a_sweeper_that_was_away(stage: Stage) -> None:
    """Rule 9: every lease is over, and so is the sweeper's own."""
    await stage.granted(4)
    held = await stage.mill.taken()
    await stage.expire()
    await stage.mill.sql("UPDATE sweeps SET last_ok_at = clock_timestamp() - interval '20 s'")
    sweep = await stage.conductor.stopped(stage.sweep(), Point.SWEEP_ASKED)
    assert await sweep.end() == 0
    assert await stage.hand_in(held) is Hand.GO_ON


async def two_dispatches(stage: Stage) -> None:
    """Rule 10: one has counted and stands; the other counts and grants as well."""
    await stage.mill.add_worker()
    for _ in range(2):
        await stage.mill.advance(await stage.mill.open_batch(6))
    await stage.mill.sql("UPDATE lanes SET max_jobs = 2")
    first = await stage.conductor.stopped(stage.mill.dispatch(), Point.LANE_COUNTED)
    second = await stage.conductor.beside(stage.mill.dispatch())
    await first.end()
    await second.end()
    granted = await stage.mill.one("SELECT sum(size) FROM chunks WHERE state IN ('READY', 'TAKEN')")
    assert granted == 2


async def a_drain_beside_a_dispatch(stage: Stage) -> None:
    """Rules 5 and 16: a dispatch has granted and not committed when the batch is stopped and drained."""
    batch_id = await stage.mill.open_batch(6)
    await stage.mill.advance(batch_id)
    dispatch = await stage.conductor.stopped(stage.mill.dispatch(), Point.GRANTED)
    async with stage.resources.unit_of_work() as uow:
        # The stop itself waits for the batch too: it is asked beside, and the drain behind it.
        stop = await stage.conductor.beside(
            draining.stop(uow.session, batch_id, end="CANCELLED", code=None, message=None)
        )
        assert not stop.task.done()
        await dispatch.end()
        assert await stop.end()
        await uow.commit()
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id, "CANCELLED")


async def an_end_between_the_reads_of_a_split(stage: Stage) -> None:
    """Rule 21: a file ends after the sweeper read what is open and before it counts the rest."""
    batch_id = await stage.granted(8)
    lost = await stage.mill.taken()
    assert len(lost.files) > 1
    await stage.mill.flush(lost.chunk, [done(lost.chunk, lost.files[0])])
    await stage.expire()
    sweep = await stage.conductor.stopped(stage.sweep(), Point.SPLIT_READ)
    # Past the chunk's lock, which would keep a real cancel out as well: the exclusion must do it alone.
    await stage.mill.sql(
        "UPDATE jobs SET status = 'CANCELLED', finished_at = now(), token = :tok WHERE id = :j",
        tok=lost.chunk.token,
        j=lost.files[-1].job_id,
    )
    assert await sweep.end() == 1
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)


async def bells_of_rows(stage: Stage) -> None:
    """Unit of work: at the moment of the commit the rows are there and nothing is rung."""
    batch_id = await stage.mill.open_batch(3)
    stage.bells.rung.clear()
    advance = await stage.conductor.stopped(stage.mill.advance(batch_id), Point.COMMITTED)
    assert await stage.mill.one("SELECT count(*) FROM jobs WHERE batch_id = :b", b=batch_id) == 3
    assert not stage.bells.rung
    await advance.end()
    assert stage.bells.rung


async def the_last_two_chunks(stage: Stage) -> None:
    """Rule 4: the bell of the last chunk comes while an advance, that saw it open, still holds the batch."""
    for _ in range(2):
        await stage.mill.add_worker()
    batch_id = await stage.granted(2)
    one, other = await stage.mill.taken(), await stage.mill.taken()
    await stage.hand_in(one)
    first = await stage.conductor.stopped(stage.mill.advance(batch_id), Point.FOLDED)
    await stage.hand_in(other)
    second = await stage.conductor.beside(stage.mill.advance(batch_id))
    await first.end()
    assert await second.end() is Step.ENDED, "the news of the last chunk is not lost"
    await stage.mill.assert_exact(batch_id)


async def a_flush_beside_the_sweep(stage: Stage) -> None:
    """Rules 1 and 21: the holder has its chunk locked when its lease ends; the sweeper passes it by."""
    batch_id = await stage.granted(2)
    held = await stage.mill.taken()
    ends = [done(held.chunk, file) for file in held.files]
    await stage.expire()
    flush = await stage.conductor.stopped(stage.mill.flush(held.chunk, ends), Point.CHUNK_HELD)
    async with stage.resources.unit_of_work() as uow:
        found = await reclaim.lock_expired(uow.session, limit=10)
    assert found == []
    assert await flush.end() is Hand.GO_ON
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)


async def a_cancel_at_the_last_close(stage: Stage) -> None:
    """Rule 16: the stop is accepted while the last close has written and not committed; it is the end."""
    batch_id = await stage.granted(1)
    held = await stage.mill.taken()
    close = await stage.conductor.stopped(stage.hand_in(held), Point.FLUSHED)
    cancel = await stage.conductor.beside(stage.cancel(batch_id))
    await close.end()
    await cancel.end()
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id, "CANCELLED")
    assert (await stage.mill.batch(batch_id)).ok == 1, "what finished first keeps its result"


async def a_bell_heard_twice(stage: Stage) -> None:
    """Rule 14a: two chains of looks at one batch; the second moves it too, and does not win the bell."""
    batch_id = await stage.mill.open_batch(9)
    stage.bells.rung.clear()
    await stage.mill.advance(batch_id)
    # As if it had been this very moment, however slow the machine is.
    await stage.mill.sql("UPDATE batches SET rung_at = now() + interval '1 min' WHERE id = :b", b=batch_id)
    await stage.mill.advance(batch_id)
    assert len(stage.bells.heard(Advance)) == 1


async def a_take_after_the_stop(stage: Stage) -> None:
    """Rule 16: the stop is answered, nobody has drained yet, and a worker looks for work."""
    batch_id = await stage.granted(4)
    await stage.cancel(batch_id)
    assert await stage.mill.take() is None
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id, "CANCELLED")


async def two_events_at_once(stage: Stage) -> None:
    """Rule 29: a second event is written while the first is not committed; no number is seen before it."""
    batch_id = await stage.mill.open_batch(1)

    async def tell(kind: str) -> None:
        async with stage.resources.unit_of_work() as uow:
            await telling.tell(uow.session, batch_id, kind, {})
            await uow.commit()

    async with stage.resources.unit_of_work() as first:
        await telling.tell(first.session, batch_id, "first", {})
        second = await stage.conductor.beside(tell("second"))
        assert not second.task.done(), "a later number would be seen before an earlier one"
        await first.commit()
    await second.end()
    rows = await stage.mill.sql("SELECT n, kind FROM batch_events WHERE batch_id = :b ORDER BY n", b=batch_id)
    assert [tuple(row) for row in rows] == [(1, "first"), (2, "second")]


async def a_listener_between_two_events(stage: Stage) -> None:
    """Rule 29: somebody reads while an event is written and not committed, and another one comes: what the
    listener goes on from hides nothing."""
    batch_id = await stage.mill.open_batch(1)

    async def tell(kind: str) -> None:
        async with stage.resources.unit_of_work() as uow:
            await telling.tell(uow.session, batch_id, kind, {})
            await uow.commit()

    async def heard(after: int) -> list[tuple[int, str]]:
        events = await following.news(stage.resources.reader, {batch_id: after})
        return [(event.n, event.kind) for event in events]

    async with stage.resources.unit_of_work() as first:
        await telling.tell(first.session, batch_id, "first", {})
        second = await stage.conductor.beside(tell("second"))
        early = await heard(0)
        await first.commit()
    await second.end()
    late = await heard(early[-1][0] if early else 0)
    assert [*early, *late] == [(1, "first"), (2, "second")], "a listener missed an event"


async def a_loss_before_later_grants(stage: Stage) -> None:
    """Rule 15: a chunk is lost while others, granted after it, wait: its files are taken first."""
    batch_id = await stage.granted(12)
    lost = await stage.mill.taken()
    assert await stage.mill.one("SELECT count(*) FROM chunks WHERE state = 'READY'") > 0
    await stage.expire()
    await stage.sweep()
    again = [(await stage.mill.taken()).files[0].job_id for _ in lost.files]
    assert again == [file.job_id for file in lost.files]
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)


async def uploads_around_a_create(stage: Stage) -> None:
    """Rule 7: one upload is under way while the batch is created and ends behind its reader, two come after
    the create, when the first page is read."""
    async with stage.resources.unit_of_work() as under_way:
        await under_way.session.execute(
            text(
                "INSERT INTO directory_files (project_id, directory_id, file_id, display_name, unique_id,"
                " size_bytes, sha256) VALUES (:p, :d, :f, 'under way', 'under way', 1, '')"
            ),
            {"p": stage.mill.project_id, "d": stage.mill.directory_id, "f": stage.mill.file_id},
        )
        batch_id = await stage.mill.open_batch(3)
        spread = await stage.conductor.stopped(stage.mill.advance(batch_id), Point.SPREAD_PAGE)
        await stage.mill.add_files(2)
        await under_way.session.commit()
        await spread.end()
    await stage.bring_to_end(batch_id)
    await stage.mill.assert_exact(batch_id)
    assert (await stage.mill.batch(batch_id)).total == 3, "what was acknowledged before, and nothing else"


async def an_end_while_a_dispatch_decides(stage: Stage) -> None:
    """Rule 11: a dispatch has counted and will refuse; what it counted ends before it says so."""
    await stage.mill.add_worker()
    await stage.mill.advance(await stage.mill.open_batch(3))
    await stage.mill.sql("UPDATE lanes SET max_jobs = 1")
    await stage.mill.dispatch()
    held = await stage.mill.taken()
    # As a lane is whose last dispatch refused nothing, and to which no bell is out.
    await stage.mill.sql("UPDATE lanes SET wait = NULL, rung_at = now() - interval '1 hour'")
    dispatch = await stage.conductor.stopped(stage.mill.dispatch(), Point.LANE_COUNTED)
    await stage.hand_in(held)
    stage.bells.rung.clear()
    async with stage.resources.unit_of_work() as uow:
        await running.tell_of_end(uow, held.chunk)
    rung = stage.bells.heard(Dispatch)
    assert await dispatch.end() == 0
    assert await stage.mill.one("SELECT wait->>'code' FROM lanes") == "PROJECT_CONCURRENCY"
    assert rung, "the refusal was nobody's to wake"


async def a_grant_to_one_that_waited(stage: Stage) -> None:
    """Rule 22: a batch of three files at a limit of one waits behind another, and then runs one at a time."""
    await stage.mill.add_worker()
    first, second = await stage.mill.open_batch(1), await stage.mill.open_batch(2)
    await stage.mill.sql("UPDATE lanes SET max_jobs = 1")
    await stage.mill.advance(first)
    await stage.mill.dispatch()
    held = await stage.mill.taken()
    await stage.mill.advance(second)
    await stage.mill.dispatch()
    assert (await stage.mill.batch(second)).status == "THROTTLED"
    await stage.hand_in(held)
    while (await stage.mill.batch(second)).fed_seq < 1:
        await stage.mill.dispatch()
    row = await stage.mill.batch(second)
    assert row.fed_seq < row.total
    assert await stage.mill.one("SELECT wait->>'code' FROM lanes") == "PROJECT_CONCURRENCY"
    assert (row.status, row.wait) == ("RUNNING", None), "one that runs at its full allowed speed"
