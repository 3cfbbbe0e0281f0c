"""Parse jobs through the official client, its waiting helper included."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import llama_cloud
import pytest
from llama_cloud import AsyncLlamaCloud, LlamaCloud
from llama_cloud.types import HeadingItem, ListItem, TableItem
from llama_cloud.types.parsing_get_response import ItemsPageStructuredResultPage

from shared.queue.messages import Work as WorkBell
from tests.conftest import Tenant
from tests.twins import HeardBells

Work = Callable[[], Awaitable[int]]
ALL = ["text", "markdown", "metadata", "text_full", "markdown_full", "job_metadata", "items", "usage"]


def stored(client: LlamaCloud, name: str = "good.pdf") -> str:
    return client.files.create(file=(name, b"bytes"), purpose="parse").id


async def test_everything_that_is_asked_for_is_there_and_nothing_else(
    client: LlamaCloud, work: Work, bells: HeardBells
) -> None:
    job = client.parsing.create(tier="cost_effective", version="latest", file_id=stored(client))
    assert (job.status, job.name, job.tier) == ("PENDING", "good.pdf", "cost_effective")
    assert len(bells.heard(WorkBell)) == 1
    assert await work() == 1
    plain = client.parsing.get(job.id)
    assert (plain.job.status, plain.text, plain.markdown) == ("COMPLETED", None, None)
    full = client.parsing.get(job.id, expand=ALL)
    assert full.text is not None
    assert [(page.page_number, page.text) for page in full.text.pages] == [(1, "one"), (2, "two"), (3, "")]
    assert full.markdown is not None
    assert [page.success for page in full.markdown.pages] == [True, True, False]
    assert full.metadata is not None
    assert len(full.metadata.pages) == 3
    assert (full.text_full, full.markdown_full) == ("one\n\ntwo\n\n", "# one\n\ntwo")
    assert full.job_metadata == {"tier": "what it did", "engine": "test"}
    assert full.items is not None
    page, *others = full.items.pages
    assert isinstance(page, ItemsPageStructuredResultPage)
    heading, table, points = page.items
    assert isinstance(heading, HeadingItem)
    assert isinstance(table, TableItem)
    assert isinstance(points, ListItem)
    assert table.rows == [["a", 1, 2.5, None]]
    assert points.items[0].md == "b"
    assert [other.success for other in others] == [False, False]


async def test_expand_takes_comma_lists(client: LlamaCloud, api_url: str, tenant: Tenant, work: Work) -> None:
    job = client.parsing.create(tier="fast", version="latest", file_id=stored(client))
    await work()
    headers = {"authorization": f"Bearer {tenant.key}"}
    async with httpx.AsyncClient(base_url=api_url, headers=headers) as http:
        found = await http.get(f"/api/v2/parse/{job.id}?expand=text_full,markdown_full&expand=")
    assert (found.json()["text_full"], found.json()["text"]) == ("one\n\ntwo\n\n", None)


@pytest.mark.parametrize("name", ["waiting.pdf", "bad.pdf"])
async def test_a_job_without_result_is_200_with_nothing_in_it(
    client: LlamaCloud, work: Work, name: str
) -> None:
    job = client.parsing.create(tier="fast", version="latest", file_id=stored(client, name))
    if name == "bad.pdf":
        await work()
    found = client.parsing.get(job.id, expand=ALL)
    assert found.job.status == ("FAILED" if name == "bad.pdf" else "PENDING")
    assert {found.text, found.markdown, found.text_full, found.markdown_full, found.metadata} == {None}


async def test_an_upload_is_parsed_and_waited_for(async_client: AsyncLlamaCloud, work: Work) -> None:
    async def work_soon() -> None:
        while not await work():
            await asyncio.sleep(0.1)

    helper = asyncio.create_task(work_soon())
    found = await async_client.parsing.parse(
        tier="cost_effective", version="latest", upload_file=("good.pdf", b"x"), expand=["text_full"]
    )
    await helper
    assert (found.job.status, found.text_full) == ("COMPLETED", "one\n\ntwo\n\n")


def test_a_directorys_file_can_be_parsed_by_its_own_id(client: LlamaCloud) -> None:
    directory = client.beta.directories.create(name="d")
    entry = client.beta.directories.files.upload(directory.id, upload_file=("a", b"x"))
    assert client.parsing.create(tier="fast", version="latest", file_id=entry.id).name == "a"


def test_a_saved_configuration_is_used(client: LlamaCloud) -> None:
    file_id = stored(client)
    job = client.parsing.create(
        tier="configured", version="configured", configuration_id="cfg-PARSE_AGENTIC", file_id=file_id
    )
    assert job.tier == "agentic"


async def test_lists_are_narrowed(client: LlamaCloud, work: Work) -> None:
    file_id = stored(client)
    made = [client.parsing.create(tier="fast", version="latest", file_id=file_id).id for _ in range(3)]
    assert [job.id for job in client.parsing.list(page_size=1)] == made[::-1]
    assert {job.id for job in client.parsing.list(job_ids=made[:2])} == set(made[:2])
    assert list(client.parsing.list(job_ids=["pjb-unknown"])) == []
    assert len(list(client.parsing.list(status="PENDING"))) == 3
    await work()
    assert len(list(client.parsing.list(status="COMPLETED"))) == 3
    assert list(client.parsing.list(status="RUNNING")) == []


def test_what_cannot_be_done_is_refused(client: LlamaCloud) -> None:
    file_id = stored(client)
    refused = llama_cloud.BadRequestError
    with pytest.raises(refused, match="source_url"):
        client.parsing.create(tier="fast", version="latest", source_url="https://example.com/a.pdf")
    with pytest.raises(refused, match="file_id"):
        client.parsing.create(tier="fast", version="latest")
    with pytest.raises(llama_cloud.NotFoundError, match="whc-x"):
        client.parsing.create(
            tier="fast", version="latest", file_id=file_id, webhook_configuration_ids=["whc-x"]
        )
    with pytest.raises(llama_cloud.UnprocessableEntityError):
        client.parsing.create(tier="turbo", version="latest", file_id=file_id)
    with pytest.raises(llama_cloud.UnprocessableEntityError):
        client.parsing.create(
            tier="fast", version="latest", file_id=file_id, extra_body={"unknown_option": 1}
        )
    with pytest.raises(llama_cloud.NotFoundError):
        client.parsing.get("pjb-unknown")


async def test_cancel_ends_a_job_once_and_a_strangers_is_unknown(
    client: LlamaCloud, stranger: LlamaCloud, work: Work
) -> None:
    job = client.parsing.create(tier="fast", version="latest", file_id=stored(client))
    with pytest.raises(llama_cloud.NotFoundError):
        stranger.parsing.cancel(job.id)
    assert client.parsing.cancel(job.id).status == "CANCELLED"
    assert await work() == 0
    assert client.parsing.get(job.id, expand=["text"]).job.status == "CANCELLED"
    with pytest.raises(llama_cloud.ConflictError) as refused:
        client.parsing.cancel(job.id)
    assert refused.value.response.headers["x-should-retry"] == "false"
