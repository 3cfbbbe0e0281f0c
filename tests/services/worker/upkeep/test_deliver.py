"""Webhooks on the wire: receivers that fail, hang, redirect, are gone, ask for patience and talk garbage."""

import asyncio
import base64
import hashlib
import hmac
import time
from uuid import UUID

import pytest

from services.worker.upkeep import trying
from services.worker.upkeep.deliver import Deliverer
from shared.webhooks.service import Gate
from tests.services.worker.upkeep.conftest import (
    Answering,
    Heard,
    Receiver,
    Tell,
    asks_for_patience,
    fails,
    hangs,
    hangs_up,
    is_gone,
    over,
    receiving,
    redirects,
    rows,
    say,
    sending,
    talks_garbage,
    until,
)
from tests.shared.conftest import Mill

SECRET = "whsec_" + base64.b64encode(b"a standard webhooks secret").decode()


async def test_a_delivery_is_what_the_contract_says_to_the_byte(
    mill: Mill, tell: Tell, gate: Gate, receiver: Receiver
) -> None:
    for output_format in ("json", "string"):
        await tell(
            f"{receiver.url}/in?a=1",
            secret=SECRET,
            output_format=output_format,
            headers={"Authorization": "Bearer x"},
        )
    async with sending(mill.resources, Deliverer(gate, keep_days=1)):
        await until(over(mill))
    told = await rows(mill)
    assert {(row.status, row.attempts, row.last_code) for row in told} == {("SENT", 1, 204)}
    assert [one.body[:1] for one in receiver.heard] in ([b"{", b'"'], [b'"', b"{"])
    for heard in receiver.heard:
        (row,) = [row for row in told if str(row.event_id) == heard.headers["x-webhook-event-id"]]
        assert heard.path == "/in?a=1"
        assert heard.event == {
            "event_id": str(row.event_id),
            "event_type": "batch.pending",
            "timestamp": row.created_at.timestamp(),
            "data": row.data,
        }
        assert heard.event["data"]["status"] == "PENDING"
        expected = {
            "content-type": "application/json",
            "user-agent": "llamaindex-webhook-service/1.0",
            "x-webhook-event-type": "batch.pending",
            "authorization": "Bearer x",
            "webhook-id": str(row.event_id),
            "host": receiver.url.removeprefix("http://"),
        }
        assert expected.items() <= heard.headers.items()
        mac = hmac.new(SECRET.encode(), heard.body, hashlib.sha256).hexdigest()
        assert heard.headers["lc-signature"] == f"sha256={mac}"
        stamp = heard.headers["webhook-timestamp"]
        assert abs(int(stamp) - time.time()) < 60
        signed = f"{row.event_id}.{stamp}.".encode() + heard.body
        own = base64.b64encode(
            hmac.new(b"a standard webhooks secret", signed, hashlib.sha256).digest()
        ).decode()
        assert heard.headers["webhook-signature"] == f"v1,{own}"


async def test_without_a_secret_nothing_is_signed(
    mill: Mill, tell: Tell, gate: Gate, receiver: Receiver
) -> None:
    await tell(receiver.url)
    async with sending(mill.resources, Deliverer(gate, keep_days=1)):
        await until(over(mill))
    assert not receiver.heard[0].headers.keys() & {"lc-signature", "webhook-signature"}


@pytest.mark.parametrize(
    ("answer", "tries", "reason", "code"),
    [
        (fails, 8, "answered 500", 500),
        (hangs, 8, "no answer within 0.5 s", None),
        (redirects, 8, "redirects are not followed", 307),
        (is_gone, 1, "gone for good", 410),
        (asks_for_patience, 8, "answered 429", 429),
        (talks_garbage, 8, "RemoteProtocolError", None),
        (hangs_up, 8, "RemoteProtocolError", None),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_receiver_that_never_takes_it_is_dead_with_its_reason(  # noqa: PLR0917 - fixtures
    mill: Mill, tell: Tell, gate: Gate, quick: None, answer: Answering, tries: int, reason: str, code: int
) -> None:
    async with receiving(answer) as bad:
        await tell(bad.url, secret="s")
        async with sending(mill.resources, Deliverer(gate, keep_days=1)):
            await until(over(mill))
    (row,) = await rows(mill)
    assert (row.status, row.attempts, row.last_code) == ("DEAD", tries, code)
    assert reason in row.last_error
    assert len(bad.heard) == tries
    assert len(row.last_answer or "") < 600
    mac = hmac.new(b"s", bad.heard[0].body, hashlib.sha256).hexdigest()
    assert {one.headers["lc-signature"] for one in bad.heard} == {f"sha256={mac}"}, "the same bytes each time"


async def test_a_receiver_that_comes_back_gets_it(mill: Mill, tell: Tell, gate: Gate, quick: None) -> None:
    kinds = iter((fails, hangs, redirects, asks_for_patience, talks_garbage, hangs_up))

    async def at_last(heard: Heard, writer: asyncio.StreamWriter) -> None:
        bad = next(kinds, None)
        await (say(writer, 200, body=b"ok") if bad is None else bad(heard, writer))

    async with receiving(at_last) as other:
        await tell(other.url)
        async with sending(mill.resources, Deliverer(gate, keep_days=1)):
            await until(over(mill))
    (row,) = await rows(mill)
    assert (row.status, row.attempts, row.last_code, row.last_answer, row.last_error) == (
        "SENT",
        7,
        200,
        "ok",
        None,
    )
    assert len({one.headers["x-webhook-event-id"] for one in other.heard}) == 1


async def test_a_status_counts_though_its_body_never_ends(mill: Mill, tell: Tell, gate: Gate) -> None:
    async def endless(_: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
        while True:
            writer.write(b"y" * 65_536)
            await writer.drain()

    async with receiving(endless) as other:
        await tell(other.url)
        async with sending(mill.resources, Deliverer(gate, keep_days=1)):
            await until(over(mill))
    (row,) = await rows(mill)
    assert (row.status, row.last_answer) == ("SENT", "y" * trying.KEPT_BYTES + "...")


async def test_the_schedule_is_kept_by_the_row(mill: Mill, tell: Tell, gate: Gate) -> None:
    """5 s, 30 s, 2 min, 10 min, 1 h, 4 h, 12 h, each 10 % more or less; then dead."""
    planned = [5, 30, 120, 600, 3_600, 14_400, 43_200]
    async with receiving(fails) as bad:
        await tell(bad.url)
        async with sending(mill.resources, Deliverer(gate, keep_days=1)):
            for number, seconds in enumerate(planned, start=1):

                async def tried(number: int = number) -> bool:
                    (row,) = await rows(mill)
                    return bool(row.attempts == number and row.token is None)

                await until(tried)
                wait = await mill.one(
                    "SELECT extract(epoch FROM due_at - now())::float8 FROM webhook_deliveries"
                )
                assert seconds * 0.9 - 5 < wait < seconds * 1.1, number
                await mill.sql("UPDATE webhook_deliveries SET due_at = now()")
            await until(over(mill))
    (row,) = await rows(mill)
    assert (row.status, row.attempts) == ("DEAD", 8)


async def test_a_receiver_may_push_its_next_try_away_for_an_hour_at_most(
    mill: Mill, tell: Tell, gate: Gate
) -> None:
    for asked, low, high in (("120", 110, 121), ("999999999999", 3_590, 3_601), ("soon", 3, 6)):

        async def busy(_: Heard, writer: asyncio.StreamWriter, asked: str = asked) -> None:
            await say(writer, 503, f"retry-after: {asked}")

        async with receiving(busy) as other:
            batch = await tell(other.url)
            async with sending(mill.resources, Deliverer(gate, keep_days=1)):

                async def tried(batch: UUID = batch) -> bool:
                    found = await mill.one(
                        "SELECT last_code FROM webhook_deliveries WHERE subject_id = :b", b=batch
                    )
                    return bool(found == 503)

                await until(tried)
        wait = await mill.one(
            "SELECT extract(epoch FROM due_at - now())::float8 FROM webhook_deliveries WHERE subject_id = :b",
            b=batch,
        )
        assert low < wait < high, asked
