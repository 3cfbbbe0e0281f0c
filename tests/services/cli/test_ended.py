"""Finding ended files asks for few pages, misses none, and lives longer than a page token."""

from typing import Any, cast

import httpx
import pytest
from llama_cloud import AsyncLlamaCloud, BadRequestError

from services.cli.run import ended
from services.cli.run.ended import EndedFiles

PER_PAGE = 10


class Results:
    """The `results` of a batch in memory: `statuses` may be changed and grow, tokens may be made invalid."""

    def __init__(self, count: int) -> None:
        self.statuses = ["PENDING"] * count
        self.asked: list[int] = []
        self.tokens = "one"

    async def get(self, path: str, *, cast_to: Any, options: Any) -> Any:
        assert path == "/api/v2/batches/bat-1/results"
        token = options["params"].get("page_token")
        if token is not None and not token.startswith(self.tokens):
            answer = httpx.Response(400, request=httpx.Request("GET", "http://test"))
            raise BadRequestError("bad token", response=answer, body=None)
        start = 0 if token is None else int(token.split("-")[1])
        self.asked.append(start // PER_PAGE)
        end = start + PER_PAGE
        more = end < len(self.statuses)
        return {
            "items": [self._item(i) for i in range(start, min(end, len(self.statuses)))],
            "next_page_token": f"{self.tokens}-{end}" if more else None,
        }

    def _item(self, number: int) -> dict[str, Any]:
        return {
            "source_directory_file_id": f"dfl-{number}",
            "name": f"{number}.txt",
            "external_file_id": f"folder/{number}.txt",
            "job_reference": {"type": "parse_v2", "id": f"pjb-{number}"},
            "status": self.statuses[number],
            "error_code": None,
            "error_message": None,
            "pages": 1,
            "seconds": 0.1,
        }


def looking_at(results: Results) -> EndedFiles:
    return EndedFiles(cast("AsyncLlamaCloud", results), "bat-1")


async def scan(files: EndedFiles, *, everything: bool = False) -> set[int]:
    return {int(one.directory_file_id[4:]) async for one in files.scan(everything=everything)}


async def test_pages_behind_the_work_are_not_asked_for() -> None:
    results = Results(200)
    results.statuses[:25] = ["COMPLETED"] * 25
    files = looking_at(results)
    assert await scan(files) == set(range(25))
    assert results.asked == [0, 1, 2, 3, 4]
    results.asked.clear()
    results.statuses[25:31] = ["FAILED"] * 6
    assert await scan(files) == set(range(20, 31))
    assert results.asked == [2, 3, 4, 5]


async def test_everything_means_all_pages_and_still_not_the_done_ones() -> None:
    results = Results(100)
    results.statuses[:10] = ["COMPLETED"] * 10
    files = looking_at(results)
    await scan(files)
    results.statuses[:] = ["COMPLETED"] * 95 + ["CANCELLED"] * 5
    results.asked.clear()
    assert await scan(files, everything=True) == set(range(10, 100))
    assert results.asked == list(range(1, 10))


async def test_a_last_page_that_still_grows_is_looked_at_again() -> None:
    results = Results(5)
    results.statuses[:] = ["COMPLETED"] * 5
    files = looking_at(results)
    assert await scan(files) == set(range(5))
    results.statuses += ["COMPLETED"] * 30
    assert await scan(files) == set(range(35))


@pytest.mark.parametrize("everything", [True, False])
async def test_an_expired_page_token_costs_a_second_look_only(everything: bool) -> None:
    results = Results(100)
    results.statuses[:15] = ["COMPLETED"] * 15
    files = looking_at(results)
    await scan(files)
    results.tokens = "two"
    results.statuses[:] = ["COMPLETED"] * 100
    assert await scan(files, everything=everything) == set(range(100))


async def test_an_empty_batch_has_none() -> None:
    assert await scan(looking_at(Results(0)), everything=True) == set()


async def test_a_file_without_a_job_has_ended() -> None:
    results = Results(1)
    results.statuses[0] = "UNMAPPED"
    (one,) = [found async for found in looking_at(results).scan(everything=True)]
    assert one.status not in ended.GOING
    assert (one.external_file_id, one.job_id) == ("folder/0.txt", "pjb-0")
