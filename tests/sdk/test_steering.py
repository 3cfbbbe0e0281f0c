"""Extensions of a batch, asked through the official client: pause, threshold, redrive."""

from collections.abc import Awaitable, Callable
from typing import Any

import llama_cloud
import pytest
from llama_cloud import LlamaCloud
from llama_cloud.types import BatchGetResponse

from shared.queue.messages import Advance
from tests.conftest import Tenant
from tests.twins import HeardBells

Finish = Callable[[str, str], Awaitable[None]]
CONFIG: Any = {"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}}


@pytest.fixture
def strict(api_url: str, tenant: Tenant) -> LlamaCloud:
    """Refuses an answer that lacks what the contract promises."""
    return LlamaCloud(api_key=tenant.key, base_url=api_url, max_retries=0, _strict_response_validation=True)


def opened(client: LlamaCloud, *names: str, **more: Any) -> Any:
    directory = client.beta.directories.create(name="d")
    for name in names:
        client.beta.directories.files.upload(directory.id, upload_file=(name, name.encode()), unique_id=name)
    return client.batches.create(source_directory_id=directory.id, config=CONFIG, extra_body=more)


def asked(client: LlamaCloud, batch_id: str, word: str, body: object = None) -> Any:
    return client.post(f"/api/v2/batches/{batch_id}/{word}", cast_to=BatchGetResponse, body=body)


def changed(client: LlamaCloud, batch_id: str, body: object) -> Any:
    return client.patch(f"/api/v2/batches/{batch_id}", cast_to=BatchGetResponse, body=body)


async def test_a_final_batch_is_redriven(strict: LlamaCloud, bells: HeardBells, finish: Finish) -> None:
    old = opened(strict, "good.pdf", "bad.pdf")
    with pytest.raises(llama_cloud.ConflictError, match="only a final one") as refused:
        asked(strict, old.id, "redrive")
    assert refused.value.response.headers["x-should-retry"] == "false"
    await finish(old.id, old.project_id)
    final = strict.batches.get(old.id, expand=["results"])
    bells.rung.clear()
    batch = asked(strict, old.id, "redrive")
    assert (batch.status, batch.redrive_of) == ("PENDING", old.id)
    assert len(bells.heard(Advance)) == 1
    assert asked(strict, old.id, "redrive", {"files": "failed"}).id == batch.id
    assert len(bells.heard(Advance)) == 1, "sent again is asked once"
    await finish(batch.id, batch.project_id)
    done = strict.batches.get(batch.id, expand=["results", "progress"])
    assert done.results is not None
    assert len(done.results) == 1
    assert done.progress["failed"] == 1  # type: ignore[attr-defined]
    assert strict.batches.get(old.id, expand=["results"]) == final
    assert [one.id for one in strict.batches.list(source_directory_id=old.source_directory_id)] == [
        batch.id,
        old.id,
    ]


async def test_what_changed_is_redriven(strict: LlamaCloud, finish: Finish) -> None:
    old = opened(strict, "a.pdf", "b.pdf")
    await finish(old.id, old.project_id)
    with pytest.raises(llama_cloud.ConflictError, match="No file came"):
        asked(strict, old.id, "redrive", {"files": "changed"})
    files = strict.beta.directories.files
    (entry,) = [one for one in files.list(old.source_directory_id) if one.unique_id == "a.pdf"]
    files.delete(entry.id, directory_id=old.source_directory_id)
    new = files.upload(old.source_directory_id, upload_file=("a.pdf", b"better"), unique_id="a.pdf")
    batch = asked(strict, old.id, "redrive", {"files": "changed"})
    await finish(batch.id, batch.project_id)
    done = strict.batches.get(batch.id, expand=["results"])
    assert [one.source_directory_file_id for one in done.results or []] == [new.id]


async def test_a_pause_and_its_end(strict: LlamaCloud, finish: Finish) -> None:
    batch = opened(strict, "a.pdf")
    first = asked(strict, batch.id, "pause")
    assert first.paused_at is not None
    assert asked(strict, batch.id, "pause") == first
    waiting = strict.batches.get(batch.id, expand=["progress"]).progress["waiting"]  # type: ignore[attr-defined]
    assert (waiting["code"], waiting["scope"]) == ("PAUSED", "batch")
    assert asked(strict, batch.id, "resume").paused_at is None
    await finish(batch.id, batch.project_id)
    for word in ("pause", "resume"):
        with pytest.raises(llama_cloud.ConflictError, match="COMPLETED already"):
            asked(strict, batch.id, word)


async def test_a_threshold_stops_a_batch_and_its_results_stay(strict: LlamaCloud, finish: Finish) -> None:
    batch = opened(strict, "good.pdf", "bad.pdf", failure_threshold={"percent": 90})
    assert batch.failure_threshold == {"count": None, "percent": 90.0, "after": 100}
    changed(strict, batch.id, {"failure_threshold": {"count": 1}})
    await finish(batch.id, batch.project_id)
    done = strict.batches.get(batch.id, expand=["results"])
    assert (done.status, done.failure_code) == ("FAILED", "FAILURE_THRESHOLD")  # type: ignore[attr-defined]
    assert len(done.results or []) == 2
    with pytest.raises(llama_cloud.ConflictError, match="FAILED already"):
        changed(strict, batch.id, {"failure_threshold": None})


@pytest.mark.parametrize(
    "odd", [{}, {"count": 0}, {"percent": 0}, {"percent": 101}, {"after": 2}, {"count": 10**30}]
)
def test_a_threshold_that_cannot_be_meant_opens_no_batch(strict: LlamaCloud, odd: dict[str, int]) -> None:
    with pytest.raises(llama_cloud.BadRequestError, match="failure_threshold"):
        opened(strict, failure_threshold=odd)
    assert list(strict.batches.list()) == []
