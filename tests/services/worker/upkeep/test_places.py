"""Many deliveries side by side: who holds how many places, and who dies with some in hand."""

import asyncio
from uuid import uuid4

import pytest

from services.worker.upkeep import deliver, trying
from services.worker.upkeep.deliver import Deliverer
from shared.outbound.targets import Policy
from shared.webhooks import ledger, schedule
from shared.webhooks.service import Gate
from shared.webhooks.vault import Vault
from tests.services.worker.upkeep.conftest import Receiver, Tell, hangs, over, receiving, rows, sending, until
from tests.shared.conftest import Mill


async def test_a_dead_server_keeps_no_other_waiting(
    mill: Mill, tell: Tell, gate: Gate, receiver: Receiver
) -> None:
    """Hundreds for one that hangs are older; the other is told meanwhile."""
    async with receiving(hangs) as dead:
        await tell(dead.url, times=600)
        async with sending(mill.resources, Deliverer(gate, keep_days=1)):

            async def busy() -> bool:
                return dead.open_now >= deliver.AT_ONCE_OF_DESTINATION

            await until(busy)
            await tell(receiver.url, times=100)
            await until(over(mill, but=600))
        assert dead.most_open <= deliver.AT_ONCE_OF_DESTINATION
    assert len(receiver.heard) == 100
    assert receiver.most_open <= deliver.AT_ONCE_OF_DESTINATION
    assert len(dead.heard) < 300, "they did not wait for those"


async def test_after_a_failure_a_server_has_one_place(
    mill: Mill, tell: Tell, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "TRY_WITHIN_S", 0.3)
    async with receiving(hangs) as dead:
        await tell(dead.url, times=60)
        async with sending(mill.resources, Deliverer(gate, keep_days=1)):

            async def has_failed() -> bool:
                return len(dead.heard) >= 12

            await until(has_failed)
            before, in_hand = len(dead.heard), 0
            while len(dead.heard) < before + 4:
                held = "SELECT count(*) FROM webhook_deliveries WHERE token IS NOT NULL"
                in_hand = max(in_hand, await mill.one(held))
            assert in_hand <= 2, "one, and one whose end is not written yet"


async def test_a_project_holds_a_part_of_the_places(
    mill: Mill, tell: Tell, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "AT_ONCE_OF_PROJECT", 10)
    servers = []
    async with receiving(hangs) as a, receiving(hangs) as b, receiving(hangs) as c:
        servers = [a, b, c]
        for server in servers:
            await tell(server.url, times=20)
        async with sending(mill.resources, Deliverer(gate, keep_days=1)):

            async def full() -> bool:
                return sum(server.open_now for server in servers) >= 10

            await until(full)
            await asyncio.sleep(1)
            assert sum(server.most_open for server in servers) == 10


async def test_who_comes_back_after_its_lease_changes_nothing(
    mill: Mill, tell: Tell, gate: Gate, receiver: Receiver
) -> None:
    await tell(receiver.url)
    first, second = Deliverer(gate, keep_days=1), Deliverer(gate, keep_days=1)
    try:
        async with mill.resources.unit_of_work() as uow:
            assert await first.start_due(uow) == 1
            assert await second.start_due(uow) == 0
        await mill.sql("UPDATE webhook_deliveries SET due_at = now()")
        async with mill.resources.unit_of_work() as uow:
            assert await second.start_due(uow) == 1

        async def both() -> bool:
            return len(receiver.heard) == 2

        await until(both)
        await asyncio.sleep(0.2)
        async with mill.resources.unit_of_work() as uow:
            await first.settle(uow)
        assert (await rows(mill))[0].status == "PENDING"
        async with mill.resources.unit_of_work() as uow:
            await second.settle(uow)
        assert (await rows(mill))[0].status == "SENT"
    finally:
        await first.close()
        await second.close()


async def test_a_delivery_that_kills_its_senders_is_given_up(
    mill: Mill, tell: Tell, gate: Gate, receiver: Receiver
) -> None:
    await tell(receiver.url)
    await mill.sql("UPDATE webhook_deliveries SET attempts = :n", n=schedule.SENDERS_LOST)
    async with sending(mill.resources, Deliverer(gate, keep_days=1)):
        await until(over(mill))
    (row,) = await rows(mill)
    assert row.status == "DEAD"
    assert "was lost 16 times" in row.last_error
    assert receiver.heard == []


async def test_a_secret_of_another_key_is_never_sent_unsigned(
    mill: Mill, tell: Tell, receiver: Receiver, quick: None
) -> None:
    await tell(receiver.url, secret="s")
    policy = Policy("BATCHMILL_WEBHOOKS", allow_private=True, ports=None)
    async with sending(mill.resources, Deliverer(Gate(policy, Vault.of(b"other")), keep_days=1)):
        await until(over(mill))
    (row,) = await rows(mill)
    assert (row.status, "BATCHMILL_SECRET_KEY" in row.last_error) == ("DEAD", True)
    assert receiver.heard == []


async def test_the_log_is_kept_for_its_days(mill: Mill, tell: Tell, gate: Gate, receiver: Receiver) -> None:
    await tell(receiver.url)
    kept = await tell(receiver.url)
    async with sending(mill.resources, Deliverer(gate, keep_days=1)):
        await until(over(mill))
    await mill.sql(
        "UPDATE webhook_deliveries SET finished_at = now() - interval '25 h' WHERE subject_id <> :k", k=kept
    )
    await mill.sql("UPDATE webhook_endpoints SET created_at = now() - interval '25 h'")
    deliverer = Deliverer(gate, keep_days=1)
    async with mill.resources.unit_of_work() as uow:
        assert await deliverer.forget_old(uow) == 1
    await deliverer.close()
    (row,) = await rows(mill)
    assert row.subject_id == kept
    assert await mill.one("SELECT count(*) FROM webhook_endpoints") == 2, "a batch keeps who is told of it"
    await mill.sql("UPDATE webhook_endpoints SET owner_id = :o WHERE owner_id <> :k", o=uuid4(), k=kept)
    async with mill.resources.unit_of_work() as uow:
        assert await ledger.remove_endpoints(uow.session, days=1, limit=10) == 1
        await uow.commit()
