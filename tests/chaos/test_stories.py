"""Faults that no other test lets happen, once each; and an auditor that sees what it is there for."""

from typing import Any

import pytest

from tests.chaos.auditor import audit
from tests.chaos.faults import FAULTS, LONG_FAULTS
from tests.chaos.story import Theatre, theatre

BY_NAME = {fault.name: fault for fault in (*FAULTS, *LONG_FAULTS)}


@pytest.mark.parametrize(
    ("name", "hold_s"),
    [
        ("term worker", 0.0),
        ("kill postgres backend", 0.0),
        ("postgres away", 6.0),
        ("broker away", 3.0),
        ("storage not mounted", 2.0),
        ("disk full for worker", 2.0),
    ],
)
def test_nothing_is_lost_doubled_stuck_blamed_or_taken_away(scene: Theatre, name: str, hold_s: float) -> None:
    assert scene.tell(BY_NAME[name], hold_s=hold_s).findings.lines() == []


def test_a_full_disk_is_nobodys_fault() -> None:
    with theatre(40, lines=2_000, small_disk=True) as scene:
        assert scene.tell(BY_NAME["disk full"], hold_s=2.0).findings.lines() == []


def test_a_batch_says_that_the_storage_is_down(scene: Theatre) -> None:
    batch_id = scene.started_batch()
    waiting: dict[str, Any] = {}

    def says_so() -> bool:
        seen = scene.stack.client.batches.get(batch_id, expand=["progress"])
        waiting.update((getattr(seen, "progress", None) or {}).get("waiting") or {})
        return waiting.get("code") == "STORAGE_DOWN"

    with BY_NAME["storage not mounted"].hurt(scene.stack):
        scene.stack.wait_for(says_so, within_s=20)
    assert scene.end(batch_id).lines() == []


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        ("DELETE FROM jobs WHERE batch_id = $1::uuid AND seq = 1", "lost"),
        ("UPDATE jobs SET token = gen_random_uuid() WHERE batch_id = $1::uuid AND seq = 1", "doubled"),
        (
            "UPDATE jobs SET status = 'FAILED', error_code = 'X' WHERE batch_id = $1::uuid AND seq = 1",
            "blamed",
        ),
        ("DELETE FROM batch_events WHERE batch_id = $1::uuid AND kind = 'batch.completed'", "lost"),
    ],
)
def test_the_auditor_sees_harm(scene: Theatre, harm: str, kind: str) -> None:
    batch_id = scene.open_batch()
    assert scene.end(batch_id).lines() == []
    scene.stack.sql(harm, batch_id[4:])
    assert getattr(audit(scene.stack, batch_id, scene.files), kind)


def test_the_auditor_sees_a_blob_that_is_gone(scene: Theatre) -> None:
    batch_id = scene.open_batch()
    assert scene.end(batch_id).lines() == []
    (row, *_) = scene.stack.sql("SELECT result_key FROM jobs WHERE batch_id = $1::uuid", batch_id[4:])
    (scene.stack.data_dir / "storage" / row["result_key"]).unlink()
    assert audit(scene.stack, batch_id, scene.files).lost
