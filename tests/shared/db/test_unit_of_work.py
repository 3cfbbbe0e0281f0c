"""One commit, then the bells; and nothing without the commit."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, InternalError

from shared.db.outage import is_lock_wait, is_outage
from shared.db.reader import NotNow
from shared.queue.messages import Advance, Work
from shared.wiring import Resources

BELL = Advance(uuid4())


async def test_a_bell_rings_after_the_commit_and_once(resources: Resources, bells: Any) -> None:
    async with resources.unit_of_work() as uow:
        uow.ring(BELL)
        uow.ring(BELL)
        assert bells.rung == []
        await uow.commit()
        assert bells.rung == [BELL]
        await uow.commit()
        assert bells.rung == [BELL]


async def test_bells_that_wake_slots_are_counted(resources: Resources, bells: Any) -> None:
    async with resources.unit_of_work() as uow:
        uow.ring_again(Work("parse"))
        uow.ring_again(Work("parse"))
        await uow.commit()
    assert bells.rung == [Work("parse"), Work("parse")]


async def test_without_a_commit_nothing_is_kept_and_nothing_rings(resources: Resources, bells: Any) -> None:
    async with resources.unit_of_work() as uow:
        await uow.session.execute(text("INSERT INTO organizations (name) VALUES ('o')"))
        uow.ring(BELL)
    async with resources.unit_of_work() as uow:
        assert (await uow.session.execute(text("SELECT count(*) FROM organizations"))).scalar_one() == 0
    assert bells.rung == []


async def test_a_commit_that_fails_rings_nothing(resources: Resources, bells: Any) -> None:
    async with resources.unit_of_work() as uow:
        await uow.session.execute(text("CREATE TEMP TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
        await uow.session.execute(text("INSERT INTO t VALUES (1), (1)"))
        uow.ring(BELL)
        with pytest.raises(IntegrityError):
            await uow.commit()
    assert bells.rung == []


async def test_an_outage_is_told_from_a_wrong_statement(resources: Resources) -> None:
    async with resources.unit_of_work() as uow:
        with pytest.raises(Exception, match="terminat") as away:
            await uow.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert is_outage(away.value)
    async with resources.unit_of_work() as uow:
        with pytest.raises(Exception, match="nowhere") as wrong:
            await uow.session.execute(text("SELECT * FROM nowhere"))
    assert not is_outage(wrong.value)


async def test_a_driver_that_is_cut_off_between_two_steps_met_an_outage(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells of a fault of its own then."""

    async def cut_off(*_: Any, **__: Any) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")

    async with resources.unit_of_work() as uow:
        await uow.session.execute(text("SELECT 1"))
        with monkeypatch.context() as patch:
            patch.setattr(asyncpg.Connection, "prepare", cut_off)
            with pytest.raises(InternalError) as away:
                await uow.session.execute(text("SELECT 2"))
        assert is_outage(away.value)
    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "fetch", cut_off)
        with pytest.raises(NotNow):
            await resources.reader.fetch("SELECT 1")
    assert [list(row) for row in await resources.reader.fetch("SELECT 1")] == [[1]]


async def test_a_lock_that_does_not_come_is_neither(resources: Resources, mill: Any) -> None:
    batch_id = await mill.open_batch(1)
    statement = text("SELECT 1 FROM batches WHERE id = :b FOR UPDATE")
    async with resources.unit_of_work() as holder:
        await holder.session.execute(statement, {"b": batch_id})
        async with resources.unit_of_work() as waiter:
            await waiter.session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(Exception, match="lock timeout") as waited:
                await waiter.session.execute(statement, {"b": batch_id})
    assert is_lock_wait(waited.value)
    assert not is_outage(waited.value)
