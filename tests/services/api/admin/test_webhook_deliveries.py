"""What an operator sees of webhooks, and the replay."""

from typing import Any

import httpx
import pytest

from services.worker.upkeep.deliver import Deliverer
from shared.outbound.targets import Policy
from shared.webhooks.service import Gate
from shared.webhooks.vault import Vault
from shared.wiring import Resources
from tests.services.api.admin.conftest import Rows
from tests.services.worker.upkeep.conftest import receiving, sending, until

LIST = "/webhook-deliveries"


async def listed(admin: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    found = await admin.get(LIST, params=filters)
    assert found.status_code == 200, found.text
    return list(found.json()["items"])


async def test_a_delivery_tells_what_happened_and_no_secret(
    admin: httpx.AsyncClient, made: dict[str, str]
) -> None:
    (one,) = await listed(admin)
    assert one.keys() & {"secret", "headers", "webhook_headers", "token", "data"} == set()
    assert one["id"] == made["delivery_id"]
    assert (one["event_type"], one["subject"]) == ("batch.pending", made["batch_id"])
    assert (one["status"], one["attempts"], one["last_code"]) == ("DEAD", 8, 500)
    assert (one["webhook_url"], one["sending"]) == ("https://hooks.test/", False)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"status": "DEAD"}, 1),
        ({"status": "SENT"}, 0),
        ({"event_type": "batch.pending"}, 1),
        ({"event_type": "batch.success"}, 0),
        ({"batch_id": "{batch_id}"}, 1),
        ({"batch_id": "{batch_id}", "status": "DEAD", "project_id": "{project_id}"}, 1),
        ({"job_id": "{job_id}"}, 0),
        ({"batch_id": "{batch_id}", "job_id": "{job_id}"}, 0),
        ({"batch_id": "nonsense"}, 0),
        ({"project_id": "prj-nonsense"}, 0),
    ],
)
async def test_the_list_is_narrowed(
    admin: httpx.AsyncClient, made: dict[str, str], filters: dict[str, str], count: int
) -> None:
    wanted = {name: value.format(**made) for name, value in filters.items()}
    assert len(await listed(admin, **wanted)) == count
    assert (await admin.get(LIST, params={"status": "LOST"})).status_code == 422


async def test_a_replay_sends_the_same_event_again(
    admin: httpx.AsyncClient, made: dict[str, str], rows: Rows, resources: Resources
) -> None:
    gate = Gate(Policy("X", allow_private=True, ports=None), Vault.of(b"a key of tests"))
    async with receiving() as receiver:
        await rows.all("UPDATE webhook_endpoints SET url = :u", u=receiver.url)
        for times in (1, 2):
            again = await admin.post(f"{LIST}/{made['delivery_id']}/replay")
            assert (again.status_code, again.json()["status"], again.json()["attempts"]) == (
                200,
                "PENDING",
                0,
            )
            twice = await admin.post(f"{LIST}/{made['delivery_id']}/replay")
            assert (twice.status_code, twice.headers["x-should-retry"]) == (409, "false")
            async with sending(resources, Deliverer(gate, keep_days=1)):

                async def sent() -> bool:
                    return bool((await listed(admin))[0]["status"] == "SENT")

                await until(sent)
            assert len(receiver.heard) == times
        assert len({one.headers["x-webhook-event-id"] for one in receiver.heard}) == 1


async def test_one_that_waits_for_its_next_try_is_due_at_once(
    admin: httpx.AsyncClient, made: dict[str, str], rows: Rows
) -> None:
    await rows.all(
        "UPDATE webhook_deliveries SET status = 'PENDING', finished_at = NULL, attempts = 3,"
        " due_at = now() + interval '1 h'"
    )
    again = await admin.post(f"{LIST}/{made['delivery_id']}/replay")
    assert (again.status_code, again.json()["attempts"]) == (200, 3)
    await rows.all("UPDATE webhook_deliveries SET token = gen_random_uuid(), due_at = now() + interval '1 h'")
    busy = await admin.post(f"{LIST}/{made['delivery_id']}/replay")
    assert (busy.status_code, "being sent" in busy.text) == (409, True)


async def test_the_metrics_tell_of_what_waits(
    http: httpx.AsyncClient, made: dict[str, str], rows: Rows
) -> None:
    found = (await http.get("/metrics")).text
    assert "batchmill_webhooks_dead 1.0" in found
    assert 'batchmill_webhooks_pending{state="due"} 0.0' in found
