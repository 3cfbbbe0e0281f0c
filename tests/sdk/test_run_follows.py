"""A run that follows a batch over the real API: which lines it has, and when."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from llama_cloud import AsyncLlamaCloud, LlamaCloud

from services.cli.run import ended, follow
from services.cli.run.configuration import Configuration
from services.cli.run.display import Display
from services.cli.run.fetch import Fetcher
from services.cli.run.follow import Follower
from services.cli.run.results import ResultLog
from shared.batches import advance as batch_advance
from shared.wiring import Resources
from shared.workers import service as worker_service
from tests.patience import GIVES_UP_S
from tests.sdk.conftest import ENGINE, Work

Finish = Callable[[str, str], Awaitable[None]]
FAST = Configuration("cfg-PARSE_FAST", "parse_v2", "fast")
TEXT = "one\n\ntwo\n\n"


class Unseen:
    """A display that nobody looks at."""

    def advance(self, *, failed: bool = False) -> None: ...

    def tick(self, waiting: str | None) -> None: ...

    def say(self, message: str) -> None: ...


def batch_over(client: LlamaCloud, names: list[str]) -> Any:
    directory = client.beta.directories.create(name="d")
    for name in names:
        client.beta.directories.files.upload(directory.id, upload_file=(name, name.encode()))
    job: Any = {"type": "parse_v2", "configuration_id": FAST.id}
    return client.batches.create(source_directory_id=directory.id, config={"job": job})


def follower(client: AsyncLlamaCloud, batch: Any, log: ResultLog, out: Path) -> Follower:
    fetcher = Fetcher(client, batch.id, FAST, out, frozenset())
    display = cast("Display", Unseen())
    return Follower(client, batch.id, paths={}, fetcher=fetcher, log=log, display=display, open_files=0)


async def test_what_was_there_already_has_its_line_before_the_rest_is_worked(
    *,
    client: LlamaCloud,
    async_client: AsyncLlamaCloud,
    resources: Resources,
    work: Work,
    finish: Finish,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ended, "PAGE", 2)
    async with resources.unit_of_work() as uow:
        await worker_service.enlist(uow, uuid4(), queues=["parse"], slots=1, engine=ENGINE)
    known = client.files.create(file=("known.pdf", b"known.pdf"), purpose="parse").id
    client.parsing.create(tier="fast", version="latest", file_id=known)
    await work()
    batch = batch_over(client, [*(f"{number}.pdf" for number in range(12)), "known.pdf"])
    await batch_advance.advance(resources.unit_of_work, UUID(batch.id[4:]))
    log = ResultLog(tmp_path)
    following = asyncio.create_task(follower(async_client, batch, log, tmp_path).to_the_end())
    async with asyncio.timeout(GIVES_UP_S):
        while not len(log):
            await asyncio.sleep(0.05)
    assert [row.path for row in log.rows()] == ["known.pdf"]
    await finish(batch.id, batch.project_id)
    assert (await following).status == "COMPLETED"
    assert len(log) == log.added == 13
    assert (tmp_path / "known.pdf.md").read_text() == TEXT


async def test_more_files_than_fit_in_one_request_have_one_line_each(
    client: LlamaCloud,
    async_client: AsyncLlamaCloud,
    finish: Finish,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follow, "MOST_AT_ONCE", 3)
    names = [*(f"{number}.pdf" for number in range(10)), "bad.pdf"]
    batch = batch_over(client, names)
    await finish(batch.id, batch.project_id)
    log = ResultLog(tmp_path)
    async with asyncio.timeout(GIVES_UP_S):
        await follower(async_client, batch, log, tmp_path).to_the_end()
    assert len(log) == log.added == 11
    rows = {row.path: row for row in log.rows()}
    assert set(rows) == set(names)
    assert (rows["bad.pdf"].status, rows["bad.pdf"].output) == ("FAILED", None)
    assert {(tmp_path / f"{name}.md").read_text() for name in names[:10]} == {TEXT}
