"""Every method of the Python client's resources around batches, against a running stack, in each mode.

A story ends with what it has not called: a method that a newer client brings fails here by its name.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import llama_cloud
import pytest

from tests.live_stack import LiveStack, start_live_stack
from tests.sdk.modes import MODES, QUICK, Api, opened

FAST = {"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}}
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}}
AS = {"tier": "cost_effective", "version": "latest"}
FINAL = {"COMPLETED", "FAILED", "CANCELLED"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    live = start_live_stack(tmp_path_factory.mktemp("stack") / "data")
    yield live
    live.close()


@pytest.fixture(params=MODES)
async def api(request: pytest.FixtureRequest, stack: LiveStack) -> AsyncIterator[Api]:
    async with opened(request.param, stack.base_url, stack.key("project")) as made:
        yield made


def words() -> bytes:
    """A document that no other test has: what was parsed before with the same options is reused."""
    return f"Invoice {uuid4()}\n\nTotal: 12.50\n".encode()


@asynccontextmanager
async def held(stack: LiveStack, job_type: str) -> AsyncIterator[None]:
    """While it lasts no job of the type starts: what is made stays cancellable."""
    (project,) = stack.client.projects.list()
    lane = f"{stack.base_url}/api/v1/admin/projects/{project.id}/lanes/{job_type}"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {stack.key('operator')}"}) as operator:
        (await operator.put(lane, json={"hold": {"reason": "a story of tests"}})).raise_for_status()
        try:
            yield
        finally:
            (await operator.put(lane, json={"hold": None})).raise_for_status()


async def read(url: str) -> bytes:
    """What a link gives to somebody without a key."""
    async with httpx.AsyncClient() as anybody:
        return (await anybody.get(url)).content


async def ended(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` sees once it is final."""
    for _ in range(600):
        seen = await look()
        if seen.status in FINAL:
            return seen
        await asyncio.sleep(0.1)
    raise AssertionError("no end within 60 s")


async def stored(api: Api, content: bytes | None = None, name: str = "invoice.txt") -> str:
    made = await api.files.create(file=(name, content or words()), purpose="parse")
    return str(made.id)


async def filled(api: Api, *names: str) -> str:
    directory = await api.directories.create(name="batch-example", type="ephemeral")
    for name in names:
        await api.directory_files.upload(directory.id, upload_file=(name, words()))
    return str(directory.id)


async def test_batches(api: Api, stack: LiveStack) -> None:
    directory_id = await filled(api, "good.txt", "broken.pdf")
    batch = await api.batches.create(source_directory_id=directory_id, config=FAST)
    assert (batch.source_directory_id, batch.config.job.type) == (directory_id, "parse_v2")
    assert (await ended(lambda: api.batches.get(batch.id))).results is None
    done = await api.batches.get(batch.id, expand=["results"], project_id=batch.project_id)
    assert (done.status, len(done.results)) == ("COMPLETED", 2)
    ends = {}
    for result in done.results:
        parsed = await api.parsing.get(result.job_reference.id, expand=["text_full"])
        ends[parsed.job.name] = parsed.job.error_message or parsed.text_full
    assert "Total: 12.50" in ends["good.txt"]
    assert ends["broken.pdf"].startswith("PDF_IS_BROKEN")
    async with held(stack, "parse_v2"):
        waits = await api.batches.create(source_directory_id=directory_id, config=FAST)
        await api.batches.cancel(waits.id)
        assert (await ended(lambda: api.batches.get(waits.id))).status == "CANCELLED"
    with pytest.raises(llama_cloud.ConflictError):
        await api.batches.cancel(waits.id)
    now = datetime.now(UTC)
    every = {
        "source_directory_id": directory_id,
        "created_at_on_or_after": now - timedelta(minutes=9),
        "created_at_on_or_before": now + timedelta(minutes=9),
        "project_id": batch.project_id,
        "page_size": 1,
    }
    assert [one.id for one in await api.batches.list(**every)] == [waits.id, batch.id]
    assert [one.id for one in await api.batches.list(**every, status="CANCELLED")] == [waits.id]
    with pytest.raises(llama_cloud.BadRequestError):
        await api.batches.list(page_token="page_token")
    assert api.batches.forgotten == set()


async def test_directories(api: Api) -> None:
    name = str(uuid4())
    made = await api.directories.create(
        name=name, description="what", system_metadata={"a": [1]}, type="user"
    )
    assert (made.description, made.system_metadata, made.type) == ("what", {"a": [1]}, "user")
    assert (await api.directories.update(made.id, description="other")).description == "other"
    assert (await api.directories.get(made.id)).name == name
    short = await api.directories.create(name=name, type="ephemeral")
    every = {"name": name, "types": ["user", "ephemeral"], "page_size": 1}
    assert [one.id for one in await api.directories.list(**every)] == [short.id, made.id]
    assert [one.id for one in await api.directories.list(name=name, type="user")] == [made.id]
    await api.directories.delete(made.id)
    with pytest.raises(llama_cloud.NotFoundError):
        await api.directories.get(made.id)
    assert [one.id for one in await api.directories.list(**every)] == [short.id]
    gone = await api.directories.list(**every, include_deleted=True)
    assert [one.deleted_at is None for one in gone] == [True, False]
    assert api.directories.forgotten == set()


async def test_files_of_a_directory(api: Api) -> None:
    files, content = api.directory_files, words()
    here, there = await filled(api), await filled(api)
    made = await files.upload(
        here,
        upload_file=("a.txt", content),
        display_name="shown.txt",
        external_file_id="external",
        metadata='{"source": "web", "priority": 1}',
    )
    assert (made.unique_id, made.display_name) == ("external", "shown.txt")
    assert made.metadata == {"source": "web", "priority": 1}
    added = await files.add(
        here, file_id=await stored(api), unique_id="u", metadata={"tags": ["a"], "n": None}
    )
    assert (added.unique_id, added.metadata) == ("u", {"tags": ["a"], "n": None})
    found = await files.get(made.id, directory_id=here, expand=["download_url"])
    assert await read(found.download_url.url) == content
    every = {"updated_at_on_or_after": datetime.now(UTC) - timedelta(minutes=9), "page_size": 1}
    assert {one.id for one in await files.list(here, **every)} == {made.id, added.id}
    narrow = {"display_name_contains": "own", "display_name": "shown.txt", "file_id": made.file_id}
    (one,) = await files.list(here, **every, **narrow, unique_id="external", expand=["download_url"])
    assert await read(one.download_url.url) == content
    moved = await files.update(
        made.id, directory_id=here, target_directory_id=there, display_name="n", metadata={"k": True}
    )
    assert (moved.directory_id, moved.display_name, moved.metadata) == (there, "n", {"k": True})
    assert [one.id for one in await files.list(here)] == [added.id]
    assert (await files.update(made.id, directory_id=there, unique_id="v")).unique_id == "v"
    await files.delete(made.id, directory_id=there)
    with pytest.raises(llama_cloud.NotFoundError):
        await files.get(made.id, directory_id=there)
    assert await files.list(there) == []
    assert len(await files.list(there, include_deleted=True)) == 1
    assert files.forgotten == set()


async def test_files(api: Api) -> None:
    mark, content = str(uuid4()), words()
    made = await api.files.create(file=("b.TXT", content), purpose="user_data", external_file_id=mark)
    assert (made.name, made.file_type, made.purpose) == ("b.TXT", "txt", "user_data")
    other = await api.files.create(file=("a.txt", words()), purpose="parse", external_file_id=mark)
    found = await api.files.retrieve(made.id, expand=["download_url"])
    assert await read(found.download_url.url) == content
    link = await api.files.content(made.id, expires_at_seconds=60)
    assert await read(link.url) == content
    every = {"external_file_id": mark, "order_by": "name", "page_size": 1, "expand": ["download_url"]}
    assert [one.id for one in await api.files.list(**every)] == [other.id, made.id]
    narrow = {"file_ids": [made.id, "fil-unknown"], "file_name": "b.TXT"}
    assert [one.id for one in await api.files.list(**narrow)] == [made.id]
    asked = await api.files.query(filter={"external_file_id": mark}, order_by="name", page_size=1)
    assert [one.id for one in asked.items] == [other.id]
    more = await api.files.query(
        filter={"external_file_id": mark}, order_by="name", page_token=asked.next_page_token
    )
    assert [one.id for one in more.items] == [made.id]
    await api.files.delete(made.id)
    with pytest.raises(llama_cloud.NotFoundError):
        await api.files.retrieve(made.id)
    assert api.files.forgotten == set()


async def test_configurations(api: Api) -> None:
    name = str(uuid4())
    parse = {"product_type": "parse_v2", "tier": "fast", "version": "latest"}
    first = await api.configurations.create(name=name, parameters=parse)
    second = await api.configurations.create(name=name, parameters={**parse, "tier": "agentic"})
    assert (second.id, second.version > first.version) == (first.id, True)
    extract = {"product_type": "extract_v2", "data_schema": SCHEMA}
    other = await api.configurations.create(name=name, parameters=extract)
    assert (await api.configurations.retrieve(first.id)).parameters.tier == "agentic"
    assert (await api.configurations.retrieve("cfg-PARSE_FAST")).parameters.tier == "fast"
    every = {"name": name, "page_size": 1, "latest_only": True}
    assert {one.id for one in await api.configurations.list(**every)} == {first.id, other.id}
    wanted = await api.configurations.list(**every, product_type=["extract_v2", "split_v1"])
    assert [one.id for one in wanted] == [other.id]
    changed = await api.configurations.update(first.id, name=f"{name}-b", parameters=parse)
    assert (changed.id, changed.name, changed.parameters.tier) == (first.id, f"{name}-b", "fast")
    await api.configurations.delete(first.id)
    with pytest.raises(llama_cloud.NotFoundError):
        await api.configurations.retrieve(first.id)
    assert api.configurations.forgotten == set()


async def test_parsing(api: Api, stack: LiveStack) -> None:
    job = await api.parsing.create(**AS, file_id=await stored(api), user_metadata={"k": "v"})
    done = await api.parsing.wait_for_completion(job.id, **QUICK)
    assert done.status == "COMPLETED"
    expand = ["text", "text_full", "markdown", "markdown_full", "items", "metadata", "job_metadata", "usage"]
    full = await api.parsing.get(job.id, expand=expand)
    assert full.job.user_metadata == {"k": "v"}
    assert all("Total: 12.50" in text for text in (full.text_full, full.markdown_full))
    assert [page.page_number for page in full.text.pages] == [1]
    assert [page.success for page in full.markdown.pages] == [True]
    whole = await api.parsing.parse(**AS, upload_file=("a.txt", words()), expand=["text_full"], **QUICK)
    assert "Total: 12.50" in whole.text_full
    async with held(stack, "parse_v2"):
        made = [await api.parsing.create(**AS, upload_file=("a.txt", words())) for _ in range(3)]
        ids = [one.id for one in made]
        every = {"job_ids": ids, "status": "PENDING", "page_size": 2}
        listed = await api.parsing.list(
            **every, created_at_on_or_after=datetime.now(UTC) - timedelta(minutes=9)
        )
        assert [one.id for one in listed] == ids[::-1]
        with pytest.raises(llama_cloud.ConflictError):
            await api.parsing.delete(ids[0])
        for job_id in ids:
            await api.parsing.cancel(job_id)
    with pytest.raises(llama_cloud.ConflictError):
        await api.parsing.cancel(ids[0])
    assert {one.id for one in await api.parsing.list(job_ids=ids, status="CANCELLED")} == set(ids)
    assert (await api.parsing.delete(ids[0])).id == ids[0]
    with pytest.raises(llama_cloud.NotFoundError):
        await api.parsing.get(ids[0])
    versions = await api.parsing.list_versions()
    for tier, newest in versions.latest.model_dump().items():
        assert newest in getattr(versions, tier), tier
    assert api.parsing.forgotten == set()


async def test_extract(api: Api, stack: LiveStack) -> None:
    configuration = {"data_schema": SCHEMA}
    saved = await api.configurations.create(
        name="every", parameters={"product_type": "extract_v2", **configuration}
    )
    job = await api.extract.create(file_input=await stored(api), configuration_id=saved.id)
    done = await api.extract.wait_for_completion(job.id, **QUICK)
    assert (done.status, done.extract_result) == ("COMPLETED", {"total": 12.5})
    full = await api.extract.get(job.id, expand=["configuration", "extract_metadata", "usage"])
    assert full.configuration.data_schema == SCHEMA
    assert full.extract_metadata is not None
    whole = await api.extract.run(file_input=await stored(api), configuration=configuration, **QUICK)
    assert whole.extract_result == {"total": 12.5}
    async with held(stack, "extract_v2"):
        file_id = await stored(api)
        made = [await api.extract.create(file_input=file_id, configuration=configuration) for _ in range(3)]
        ids = [one.id for one in made]
        every = {"job_ids": ids, "file_input": file_id, "document_input_type": "file_id", "page_size": 2}
        listed = await api.extract.list(**every, expand=["configuration"])
        assert [(one.id, one.configuration.data_schema) for one in listed] == [(i, SCHEMA) for i in ids[::-1]]
        with pytest.raises(llama_cloud.ConflictError):
            await api.extract.delete(ids[0])
        await api.extract.delete(ids[1], force=True)
        await api.extract.cancel(ids[0])
        await api.extract.cancel(ids[2])
    assert {one.id for one in await api.extract.list(**every, status="CANCELLED")} == {ids[0], ids[2]}
    await api.extract.delete(ids[0])
    for job_id in ids[:2]:
        with pytest.raises(llama_cloud.NotFoundError):
            await api.extract.get(job_id)
    assert [one.id for one in await api.extract.list(configuration_id=saved.id, job_ids=[job.id])] == [job.id]
    assert (await api.extract.validate_schema(data_schema=SCHEMA)).data_schema == SCHEMA
    generated = await api.extract.generate_schema(data_schema=SCHEMA, name="from a schema")
    assert (generated.name, generated.parameters.data_schema) == ("from a schema", SCHEMA)
    with pytest.raises(llama_cloud.BadRequestError, match="not available"):
        await api.extract.generate_schema(prompt="the total")
    assert api.extract.forgotten == set()


async def test_projects(api: Api) -> None:
    (project,) = await api.projects.list()
    assert await api.projects.list(project_name=f"not {project.name}") == []
    assert (await api.projects.get(project.id, organization_id=project.organization_id)).name == project.name
    every = {"name": project.name, "organization_id": project.organization_id, "page_size": 1}
    assert [one.id for one in await api.v2_projects.list(**every)] == [project.id]
    assert (await api.v2_projects.get(project.id)).name == project.name
    for get in (api.projects.get, api.v2_projects.get):
        with pytest.raises(llama_cloud.NotFoundError):
            await get("01900000-0000-7000-8000-000000000000")
    assert (api.projects.forgotten, api.v2_projects.forgotten) == (set(), set())


WEBHOOK: Any = {
    "webhook_url": "https://example.com/webhooks/papers",
    "webhook_events": ["batch.success", "batch.error"],
    "webhook_headers": {"X-Team": "papers"},
    "webhook_output_format": "json",
}


async def test_webhook_configs(api: Api) -> None:
    hooks = api.webhook_configs
    made = await hooks.create(**WEBHOOK, webhook_signing_secret="a secret of tests")
    assert (made.has_secret, made.tenant_type, made.webhook_url) == (True, "project", WEBHOOK["webhook_url"])
    assert "a secret of tests" not in made.model_dump_json()
    plain = await hooks.create(webhook_url=WEBHOOK["webhook_url"])
    assert (plain.has_secret, plain.webhook_events) == (False, None)
    changed = await hooks.update(made.id, webhook_output_format="string")
    assert (changed.webhook_output_format, changed.has_secret) == ("string", True)
    assert changed.webhook_events == WEBHOOK["webhook_events"]
    assert (await hooks.retrieve(made.id)).webhook_headers == {"X-Team": "papers"}
    assert [one.id for one in await hooks.list()][:2] == [plain.id, made.id]
    paged = await hooks.list_paginated(page_size=1, include_total=True)
    assert [one.id for one in paged][:2] == [plain.id, made.id]
    for one in (made, plain):
        await hooks.delete(one.id)
        with pytest.raises(llama_cloud.NotFoundError):
            await hooks.retrieve(one.id)
    assert hooks.forgotten == set()
