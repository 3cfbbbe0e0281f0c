"""A parse job whose result is there already, through the official client."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import llama_cloud
import pytest
from llama_cloud import LlamaCloud
from sqlalchemy import text

from shared.queue.messages import Work as WorkBell
from shared.wiring import Resources
from shared.workers import service as worker_service
from tests.sdk.conftest import ENGINE
from tests.twins import HeardBells

Work = Callable[[], Awaitable[int]]
ALL = ["text", "markdown", "metadata", "text_full", "markdown_full", "items"]


async def enlist(resources: Resources, engine: str | None) -> None:
    async with resources.unit_of_work() as uow:
        await worker_service.enlist(uow, uuid4(), queues=["parse"], slots=1, engine=engine)


@pytest.fixture(autouse=True)
async def worker(resources: Resources) -> None:
    """Somebody who says what documents are read with."""
    await enlist(resources, ENGINE)


def stored(client: LlamaCloud, content: bytes = b"bytes", name: str = "good.pdf") -> str:
    return client.files.create(file=(name, content), purpose="parse").id


def parse(client: LlamaCloud, file_id: str, **more: Any) -> Any:
    return client.parsing.create(
        **{"tier": "cost_effective", "version": "latest", "file_id": file_id, **more}
    )


async def test_the_second_job_is_completed_at_once_and_has_the_same_result(
    client: LlamaCloud, work: Work, bells: HeardBells
) -> None:
    first = parse(client, stored(client))
    assert await work() == 1
    bells.rung.clear()
    second = parse(client, stored(client, name="another name.pdf"))
    assert (second.status, bells.heard(WorkBell), await work()) == ("COMPLETED", [], 0)
    one, two = (client.parsing.get(job.id, expand=ALL) for job in (first, second))
    assert one.model_dump(exclude={"job"}) == two.model_dump(exclude={"job"})
    assert two.text_full
    assert client.parsing.get(first.id, expand=["job_metadata"]).job_metadata == {
        "tier": "what it did",
        "engine": "test",
    }
    assert client.parsing.get(second.id, expand=["job_metadata"]).job_metadata == {
        "tier": "what it did",
        "engine": "test",
        "reused": True,
    }
    assert [job.id for job in client.parsing.list(status="COMPLETED")] == [second.id, first.id]
    with pytest.raises(llama_cloud.ConflictError):
        client.parsing.cancel(second.id)


async def test_an_upload_that_is_parsed_knows_its_result_too(async_client: Any, work: Work) -> None:
    made = {"tier": "fast", "version": "latest", "upload_file": ("good.pdf", b"uploaded")}
    first = await async_client.parsing.create(**made)
    await work()
    assert (first.status, (await async_client.parsing.create(**made)).status) == ("PENDING", "COMPLETED")


@pytest.mark.parametrize(
    "asked",
    [
        {"disable_cache": True},
        {"tier": "agentic"},
        {"version": "2026-01-01"},
        {"page_ranges": {"target_pages": "1"}},
    ],
)
async def test_who_asks_for_something_else_gets_a_new_parse(
    client: LlamaCloud, work: Work, asked: dict[str, Any]
) -> None:
    file_id = stored(client)
    parse(client, file_id)
    await work()
    assert parse(client, file_id, **asked).status == "PENDING"
    assert parse(client, file_id, user_metadata={"a": "b"}).status == "COMPLETED"


async def test_a_stranger_never_gets_it(client: LlamaCloud, stranger: LlamaCloud, work: Work) -> None:
    parse(client, stored(client))
    await work()
    assert parse(stranger, stored(stranger)).status == "PENDING"


async def test_a_failure_is_not_reused(client: LlamaCloud, work: Work) -> None:
    parse(client, stored(client, name="bad.pdf"))
    await work()
    assert parse(client, stored(client, name="bad.pdf")).status == "PENDING"


@pytest.mark.parametrize("engine", ["other engines", None])
async def test_while_two_versions_live_nothing_is_reused(
    client: LlamaCloud, work: Work, resources: Resources, engine: str | None
) -> None:
    file_id = stored(client)
    parse(client, file_id)
    await work()
    await enlist(resources, engine)
    assert parse(client, file_id).status == "PENDING"


async def test_a_deleted_job_is_gone_and_who_shares_its_result_keeps_it(
    client: LlamaCloud, stranger: LlamaCloud, work: Work
) -> None:
    file_id = stored(client)
    waits = parse(client, file_id)
    with pytest.raises(llama_cloud.ConflictError, match="PENDING"):
        client.parsing.delete(waits.id)
    await work()
    shares, also = parse(client, file_id), parse(client, file_id)
    with pytest.raises(llama_cloud.NotFoundError):
        stranger.parsing.delete(waits.id)
    gone = client.parsing.delete(waits.id)
    assert (gone.id, gone.project_id) == (waits.id, waits.project_id)
    with pytest.raises(llama_cloud.NotFoundError):
        client.parsing.get(waits.id)
    assert client.parsing.get(shares.id, expand=["text_full"]).text_full
    again = parse(client, file_id)
    assert again.status == "PENDING"
    client.parsing.delete(again.id, extra_query={"force": True})
    assert await work() == 0
    parse(client, file_id)
    await work()
    client.parsing.delete(shares.id)
    assert parse(client, file_id).status == "COMPLETED", "who shared an older result speaks for that one only"
    assert client.parsing.get(also.id, expand=["text_full"]).text_full


@pytest.mark.parametrize("shared", [False, True])
async def test_a_deleted_file_or_sharing_job_takes_the_result_out_of_reuse(
    client: LlamaCloud, work: Work, shared: bool
) -> None:
    file_id, same_bytes = stored(client), stored(client)
    parse(client, file_id)
    await work()
    if shared:
        client.parsing.delete(parse(client, file_id).id)
    else:
        client.files.delete(file_id)
    assert parse(client, same_bytes).status == "PENDING"


async def test_a_batch_says_which_of_its_files_were_reused(
    client: LlamaCloud,
    work: Work,
    finish: Callable[[str, str], Awaitable[None]],
    resources: Resources,
) -> None:
    parse(client, stored(client, b"known"), tier="fast")
    await work()
    directory = client.beta.directories.create(name="d")
    for content in (b"known", b"new"):
        client.beta.directories.files.upload(directory.id, upload_file=(f"{content.decode()}.pdf", content))
    batch = client.batches.create(
        source_directory_id=directory.id,
        config={"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}},
    )
    await finish(batch.id, batch.project_id)
    found: Any = client.batches.with_raw_response.get(batch.id, expand=["progress"]).json()
    progress = found["progress"]
    assert (progress["reused"], progress["completed"], progress["total"]) == (1, 2, 2)
    files: Any = client.get(f"/api/v2/batches/{batch.id}/results", cast_to=object)
    assert {file["name"]: file["reused"] for file in files["items"]} == {"known.pdf": True, "new.pdf": False}
    async with resources.unit_of_work() as uow:
        rows = await uow.session.execute(
            text("SELECT count(*) FROM jobs WHERE batch_id = :b AND seconds IS NOT NULL"),
            {"b": UUID(batch.id[4:])},
        )
        assert rows.scalar_one() == 1, "one file met a worker"
