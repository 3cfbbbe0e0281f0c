"""What a chunk asks its reader, and what it tells it about the files behind the one in hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.worker.engines.port import ParseRequest
from services.worker.requests import Requests
from shared.jobs.running import FileToRun
from shared.storage.object_store import ObjectStore

OPTIONS = {"tier": "fast"}


def files(count: int) -> list[FileToRun]:
    return [FileToRun(UUID(int=number), f"{number}.pdf", 100, f"files/{number}") for number in range(count)]


async def test_they_are_the_requests_of_their_turns_in_their_order(tmp_path: Path) -> None:
    storage = ObjectStore(tmp_path.as_uri())
    for file in (chunk := files(4)):
        assert file.storage_key is not None
        await storage.put(file.storage_key, b"%PDF-1.7 of its own")
    found = list(Requests(chunk, storage.in_place, OPTIONS).behind(1))
    assert found == [
        ParseRequest(await storage.fetch(f"files/{number}", tmp_path / "scratch"), f"{number}.pdf", OPTIONS)
        for number in (2, 3)
    ]
    assert list(Requests(chunk, storage.in_place, OPTIONS).behind(3)) == []


@pytest.mark.parametrize(
    "other", [{"storage_key": None}, {"source_version": "of its owner"}, {"parsed": True}], ids=str
)
def test_they_end_before_one_that_must_be_fetched_first(tmp_path: Path, other: dict[str, Any]) -> None:
    chunk = files(5)
    chunk[3] = replace(chunk[3], **other)
    storage = ObjectStore(tmp_path.as_uri())
    requests = Requests(chunk, storage.in_place, OPTIONS)
    assert [request.name for request in requests.behind(0)] == ["1.pdf", "2.pdf"]
    assert [request.name for request in requests.behind(3)] == ["4.pdf"]
    assert requests.of(3) is None
    assert requests.of(4) is requests.of(4)


def test_nothing_of_a_bucket_is_read_ahead() -> None:
    requests = Requests(files(3), ObjectStore("memory:///").in_place, OPTIONS)
    assert requests.of(0) is None
    assert list(requests.behind(0)) == []
