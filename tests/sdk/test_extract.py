"""Extract jobs through the official client, which checks every answer against the types it was made with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import llama_cloud
import pytest
from llama_cloud import AsyncLlamaCloud, LlamaCloud
from sqlalchemy import text

from shared.queue.messages import Work as WorkBell
from shared.wiring import Resources
from tests.conftest import Tenant
from tests.twins import HeardBells

Work = Callable[[], Awaitable[int]]
Finish = Callable[[str, str], Awaitable[None]]
CONFIGURATION: Any = {
    "data_schema": {
        "type": "object",
        "properties": {"total": {"type": "number"}, "buyer": {"type": "string"}},
        "required": ["buyer"],
    },
    "later_option": {"kept": None},
}
RESULT = {"total": 12.5, "buyer": None, "lines": [{"name": "a"}]}


@pytest.fixture
def strict(api_url: str, tenant: Tenant) -> Iterator[LlamaCloud]:
    """Refuses an answer that is not what its types say."""
    with LlamaCloud(
        api_key=tenant.key, base_url=api_url, max_retries=0, _strict_response_validation=True
    ) as made:
        yield made


@pytest.fixture
async def async_strict(api_url: str, tenant: Tenant) -> AsyncIterator[AsyncLlamaCloud]:
    """The same, asynchronous."""
    async with AsyncLlamaCloud(
        api_key=tenant.key, base_url=api_url, max_retries=0, _strict_response_validation=True
    ) as made:
        yield made


def like(**changes: Any) -> Any:
    """CONFIGURATION with changes."""
    return {**CONFIGURATION, **changes}


def stored(client: LlamaCloud, name: str = "good.pdf") -> str:
    return client.files.create(file=(name, b"bytes"), purpose="extract").id


async def test_a_file_becomes_values(strict: LlamaCloud, work: Work, bells: HeardBells) -> None:
    file_id = stored(strict)
    job = strict.extract.create(file_input=file_id, configuration=CONFIGURATION)
    assert (job.status, job.file_input, job.configuration_id) == ("PENDING", file_id, None)
    assert job.id.startswith("ext-")
    assert bells.heard(WorkBell) == [WorkBell("extract")]
    waiting = strict.extract.get(job.id, expand=["configuration", "extract_metadata"])
    assert (waiting.extract_result, waiting.extract_metadata) == (None, None)
    assert await work() == 1
    found = strict.extract.get(job.id)
    assert (found.status, found.extract_result) == ("COMPLETED", RESULT)
    assert (found.extract_metadata, found.configuration, found.usage) == (None, None, None)
    full = strict.extract.get(job.id, expand=["configuration", "extract_metadata", "usage"])
    assert full.configuration is not None
    assert full.configuration.data_schema == CONFIGURATION["data_schema"]
    assert full.configuration.to_dict()["later_option"] == {"kept": None}
    assert full.extract_metadata is not None
    assert full.extract_metadata.field_metadata is not None
    assert full.extract_metadata.field_metadata.document_metadata is not None
    assert "total" in full.extract_metadata.field_metadata.document_metadata
    assert full.extract_metadata.to_dict()["missing_fields"] == ["buyer"]
    assert full.extract_metadata.parse_job_id is None


@pytest.mark.parametrize("asked", ["cite_sources", "confidence_scores"])
async def test_metadata_comes_by_itself_when_the_configuration_asks(
    strict: LlamaCloud, work: Work, asked: str
) -> None:
    job = strict.extract.create(file_input=stored(strict), configuration=like(**{asked: True}))
    await work()
    assert strict.extract.get(job.id).extract_metadata is not None


async def test_a_completed_parse_job_is_an_input(strict: LlamaCloud, work: Work) -> None:
    file_id = stored(strict)
    parsed = strict.parsing.create(tier="fast", version="latest", file_id=file_id)
    with pytest.raises(llama_cloud.BadRequestError, match=r"inputs_invalid: .*not COMPLETED"):
        strict.extract.create(file_input=parsed.id, configuration=CONFIGURATION)
    await work()
    strict.files.delete(file_id)
    job = strict.extract.create(file_input=parsed.id, configuration=CONFIGURATION)
    await work()
    found = strict.extract.get(job.id, expand=["extract_metadata"])
    assert (found.status, found.file_input) == ("COMPLETED", parsed.id)
    assert found.extract_metadata is not None
    assert found.extract_metadata.parse_job_id == parsed.id
    of_files = strict.extract.list(document_input_type="file_id")
    assert list(of_files) == []
    assert [one.id for one in strict.extract.list(document_input_type="parse_job_id")] == [job.id]
    assert [one.id for one in strict.extract.list(document_input_value=parsed.id)] == [job.id]


def test_every_spelling_of_an_input_is_understood(strict: LlamaCloud) -> None:
    directory = strict.beta.directories.create(name="d")
    entry = strict.beta.directories.files.upload(directory.id, upload_file=("a", b"x"))
    file_id = stored(strict)
    for named in (entry.id, entry.id[4:], file_id, file_id[4:]):
        job = strict.extract.create(file_input=named, configuration=CONFIGURATION)
        assert job.file_input == named
    for named in (entry.id, file_id):
        for spelled in (named, named[4:]):
            found = {job.file_input for job in strict.extract.list(file_input=spelled)}
            assert found == {named, named[4:]}
    assert list(strict.extract.list(file_input="fil-unknown")) == []


async def test_the_helper_waits_for_the_values(async_strict: AsyncLlamaCloud, work: Work) -> None:
    async def work_soon() -> None:
        while not await work():
            await asyncio.sleep(0.1)

    file = await async_strict.files.create(file=("good.pdf", b"x"), purpose="extract")
    helper = asyncio.create_task(work_soon())
    found = await async_strict.extract.run(file_input=file.id, configuration=CONFIGURATION)
    await helper
    assert (found.status, found.extract_result) == ("COMPLETED", RESULT)


async def test_a_failed_job_says_why(strict: LlamaCloud, work: Work) -> None:
    job = strict.extract.create(file_input=stored(strict, "bad.pdf"), configuration=CONFIGURATION)
    await work()
    found = strict.extract.get(job.id, expand=["extract_metadata"])
    assert (found.status, found.error_message) == ("FAILED", "PDF_IS_BROKEN: It cannot be read.")
    assert (found.extract_result, found.extract_metadata) == (None, None)


async def test_lists_are_narrowed(strict: LlamaCloud, work: Work) -> None:
    saved = strict.configurations.create(name="invoices", parameters=like(product_type="extract_v2"))
    file_id = stored(strict)
    made = [strict.extract.create(file_input=file_id, configuration_id=saved.id).id for _ in range(2)]
    other = strict.extract.create(file_input=file_id, configuration=CONFIGURATION).id
    assert [job.id for job in strict.extract.list(page_size=1)] == [other, *made[::-1]]
    assert {job.id for job in strict.extract.list(configuration_id=saved.id)} == set(made)
    assert {job.id for job in strict.extract.list(configuration_id=saved.id[4:])} == set(made)
    assert list(strict.extract.list(configuration_id="cfg-PARSE_FAST")) == []
    assert [job.id for job in strict.extract.list(job_ids=[made[0], "ext-x"])] == [made[0]]
    assert len(list(strict.extract.list(status="PENDING"))) == 3
    await work()
    assert list(strict.extract.list(status="PENDING")) == []
    full = list(strict.extract.list(status="COMPLETED", expand=["configuration", "extract_metadata"]))
    assert len(full) == 3
    assert all(job.configuration and job.extract_metadata and job.extract_result is None for job in full)


async def test_a_job_that_its_lane_holds_back_is_throttled(
    strict: LlamaCloud, resources: Resources, work: Work
) -> None:
    async def sql(statement: str) -> None:
        async with resources.unit_of_work() as uow:
            await uow.session.execute(text(statement))
            await uow.commit()

    job = strict.extract.create(file_input=stored(strict), configuration=CONFIGURATION)
    for hold, states in (
        ("UPDATE chunks SET state = 'WAITING'", ("THROTTLED", 1, 0)),
        ("UPDATE chunks SET state = 'READY'", ("PENDING", 0, 1)),
        ("UPDATE lanes SET hold_until = now() + interval '1 h'", ("THROTTLED", 1, 0)),
        ("UPDATE lanes SET hold_until = now() - interval '1 s'", ("PENDING", 0, 1)),
    ):
        await sql(hold)
        throttled, pending = strict.extract.list(status="THROTTLED"), strict.extract.list(status="PENDING")
        seen = (strict.extract.get(job.id).status, len(list(throttled)), len(list(pending)))
        assert seen == states, hold
    await work()
    assert strict.extract.get(job.id).status == "COMPLETED"


async def test_a_job_is_cancelled_once(strict: LlamaCloud, work: Work) -> None:
    job = strict.extract.create(file_input=stored(strict), configuration=CONFIGURATION)
    assert strict.extract.cancel(job.id).status == "CANCELLED"
    with pytest.raises(llama_cloud.ConflictError):
        strict.extract.cancel(job.id)
    assert await work() == 0


async def test_a_job_is_deleted_when_it_is_final(
    strict: LlamaCloud, work: Work, resources: Resources
) -> None:
    done = strict.extract.create(file_input=stored(strict), configuration=CONFIGURATION)
    with pytest.raises(llama_cloud.ConflictError, match="force"):
        strict.extract.delete(done.id)
    await work()
    assert strict.extract.delete(done.id) == {"id": done.id, "project_id": done.project_id}
    forced = strict.extract.create(file_input=stored(strict), configuration=CONFIGURATION)
    strict.extract.delete(forced.id, force=True)
    assert await work() == 0, "what was forced away is not run"
    for gone in (done, forced):
        with pytest.raises(llama_cloud.NotFoundError):
            strict.extract.get(gone.id)
        with pytest.raises(llama_cloud.NotFoundError):
            strict.extract.delete(gone.id)
    assert list(strict.extract.list()) == []
    async with resources.unit_of_work() as uow:
        key = await uow.session.scalar(
            text("SELECT result_key FROM jobs WHERE id = :j"), {"j": UUID(done.id[4:])}
        )
    assert await resources.storage.read(str(key)), "the loser of a race may still need its blob"


async def test_a_running_job_is_deleted_by_force(strict: LlamaCloud, resources: Resources) -> None:
    from shared.jobs import running

    job = strict.extract.create(file_input=stored(strict), configuration=CONFIGURATION)
    async with resources.unit_of_work() as uow:
        held = await running.take(uow, "extract", UUID(int=7))
    assert held is not None
    assert strict.extract.get(job.id).status == "RUNNING"
    assert [one.status for one in strict.extract.list(status="RUNNING")] == ["RUNNING"]
    strict.extract.delete(job.id, force=True)
    assert list(strict.extract.list()) == []
    async with resources.unit_of_work() as uow:
        assert await running.beat(uow, held.chunk) is running.Hand.STOP


async def test_a_batch_of_extractions(strict: LlamaCloud, tenant: Tenant, finish: Finish) -> None:
    saved = strict.configurations.create(name="invoices", parameters=like(product_type="extract_v2"))
    directory = strict.beta.directories.create(name="d")
    entries = {
        strict.beta.directories.files.upload(directory.id, upload_file=(name, b"x"), unique_id=name).id: name
        for name in ("a.pdf", "b.pdf", "bad.pdf")
    }
    job: Any = {"type": "extract_v2", "configuration_id": saved.id}
    batch = strict.batches.create(source_directory_id=directory.id, config={"job": job})
    assert batch.config.job.type == "extract_v2"
    await finish(batch.id, f"prj-{tenant.project_id}")
    ended = strict.batches.get(batch.id, expand=["results"])
    assert ended.status == "COMPLETED"
    for result in ended.results or []:
        assert result.job_reference is not None
        assert result.job_reference.type == "extract_v2"
        assert result.job_reference.id.startswith("ext-")
        found = strict.extract.get(result.job_reference.id, expand=["configuration"])
        entry = result.source_directory_file_id
        bad = entries.pop(entry) == "bad.pdf"
        assert (found.file_input, found.configuration_id) == (entry, saved.id)
        assert found.configuration is not None
        assert found.extract_result == (None if bad else RESULT)
        assert [one.id for one in strict.extract.list(file_input=entry)] == [found.id]
    assert entries == {}
    listed = list(strict.extract.list(configuration_id=saved.id, expand=["configuration"]))
    assert len(listed) == 3
    assert all(one.configuration is not None and one.configuration_id == saved.id for one in listed)


def test_a_schema_is_looked_at(strict: LlamaCloud) -> None:
    schema = CONFIGURATION["data_schema"]
    assert strict.extract.validate_schema(data_schema=schema).data_schema == schema
    with pytest.raises(llama_cloud.BadRequestError, match=r"schema_validation: \$\.properties\.a\.type"):
        strict.extract.validate_schema(data_schema={"type": "object", "properties": {"a": {"type": "x"}}})
    with pytest.raises(llama_cloud.BadRequestError, match="not available on this server"):
        strict.extract.generate_schema(prompt="an invoice")


def test_what_cannot_be_done_is_refused(strict: LlamaCloud) -> None:
    file_id, refused = stored(strict), llama_cloud.BadRequestError
    cannot: list[tuple[dict[str, Any], str]] = [
        ({"data_schema": {"type": "array"}}, "schema_validation"),
        ({"webhook_configurations": [{"webhook_url": "http://10.0.0.1/"}]}, "ALLOW_PRIVATE"),
        ({"parse_tier": "fast", "parse_config_id": "cfg-PARSE_FAST"}, "contradict"),
    ]
    for change, words in cannot:
        with pytest.raises(refused, match=words):
            strict.extract.create(file_input=file_id, configuration=like(**change))
        parameters = like(**change, product_type="extract_v2")
        with pytest.raises(refused, match=words):
            strict.configurations.create(name="n", parameters=parameters)
    with pytest.raises(refused, match="extract_v2"):
        strict.extract.create(file_input=file_id, configuration_id="cfg-PARSE_FAST")
    with pytest.raises(llama_cloud.NotFoundError):
        strict.extract.create(file_input=file_id, configuration=like(parse_config_id="cfg-unknown"))
    with pytest.raises(llama_cloud.NotFoundError):
        strict.extract.create(file_input="fil-unknown", configuration=CONFIGURATION)
    for both in ({}, {"configuration": CONFIGURATION, "configuration_id": "cfg-x"}):
        with pytest.raises(llama_cloud.UnprocessableEntityError, match="exactly one"):
            strict.extract.create(file_input=file_id, **both)
    wrong: list[dict[str, Any]] = [{"max_pages": 0}, {"target_pages": "x"}, {"tier": "none"}]
    for change in (*wrong, {"parse_tier": "turbo"}, {"data_schema": {}}):
        with pytest.raises(llama_cloud.UnprocessableEntityError):
            strict.extract.create(file_input=file_id, configuration=like(**change))
