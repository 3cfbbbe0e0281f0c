"""The official client's own chain: a directory, its files, a batch, the results."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import llama_cloud
import pytest
from llama_cloud import AsyncLlamaCloud, LlamaCloud

from shared.queue.messages import Advance
from tests.conftest import Tenant
from tests.twins import HeardBells

Finish = Callable[[str, str], Awaitable[None]]
FAST = {"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_FAST"}}


@pytest.fixture
def strict(api_url: str, tenant: Tenant) -> LlamaCloud:
    """Refuses an answer that lacks what the contract promises."""
    return LlamaCloud(api_key=tenant.key, base_url=api_url, max_retries=0, _strict_response_validation=True)


async def test_the_whole_chain(strict: LlamaCloud, bells: HeardBells, finish: Finish, tmp_path: Path) -> None:
    directory = strict.beta.directories.create(name="batch-example")
    (tmp_path / "good.pdf").write_bytes(b"good")
    files = strict.beta.directories.files
    good = files.upload(directory.id, upload_file=tmp_path / "good.pdf", metadata='{"k": "v"}')
    bad = files.upload(directory.id, upload_file=("bad.pdf", b"bad"), unique_id="b")
    raw = files.upload(directory.id, upload_file=b"raw")
    assert (good.display_name, good.metadata, bad.unique_id, raw.display_name) == (
        "good.pdf",
        {"k": "v"},
        "b",
        "upload",
    )
    batch = strict.batches.create(source_directory_id=directory.id, config=FAST)  # type: ignore[arg-type]
    assert (batch.status, batch.results, batch.source_directory_id) == ("PENDING", None, directory.id)
    assert (batch.config.job.type, batch.config.job.configuration_id) == ("parse_v2", "cfg-PARSE_FAST")
    assert len(bells.heard(Advance)) == 1
    assert strict.batches.get(batch.id, expand=["results"]).results is None

    await finish(batch.id, batch.project_id)

    assert strict.batches.get(batch.id).results is None
    done = strict.batches.get(batch.id, expand=["results", "unknown"])
    assert done.status == "COMPLETED"
    assert done.results is not None
    jobs = {one.source_directory_file_id: one for one in done.results}
    assert set(jobs) == {good.id, bad.id, raw.id}
    assert [one.error_message for one in done.results] == [None] * 3
    references = {key: one.job_reference for key, one in jobs.items()}
    assert all(one is not None and one.type == "parse_v2" for one in references.values())
    failed = strict.parsing.get(references[bad.id].id)  # type: ignore[union-attr]
    assert (failed.job.status, failed.job.error_message) == ("FAILED", "PDF_IS_BROKEN: It cannot be read.")
    parsed = strict.parsing.get(references[good.id].id, expand=["text_full"])  # type: ignore[union-attr]
    assert parsed.text_full == "one\n\ntwo\n\n"
    assert (parsed.job.name, parsed.job.tier) == ("good.pdf", "fast")


async def test_a_file_deleted_in_between_has_an_error_and_no_job(client: LlamaCloud, finish: Finish) -> None:
    directory = client.beta.directories.create(name="d")
    gone = client.beta.directories.files.upload(directory.id, upload_file=("a", b"x"))
    batch = client.batches.create(source_directory_id=directory.id, config=FAST)  # type: ignore[arg-type]
    client.beta.directories.files.delete(gone.id, directory_id=directory.id)
    await finish(batch.id, batch.project_id)
    results = client.batches.get(batch.id, expand=["results"]).results
    assert results is not None
    assert [(one.job_reference, bool(one.error_message)) for one in results] == [(None, True)]


def test_lists_are_narrowed_and_read_to_their_end(client: LlamaCloud) -> None:
    directories = [client.beta.directories.create(name="d").id for _ in range(2)]
    made = [
        client.batches.create(source_directory_id=directories[n % 2], config=FAST).id  # type: ignore[arg-type]
        for n in range(5)
    ]
    assert [one.id for one in client.batches.list(page_size=2)] == made[::-1]
    assert [one.id for one in client.batches.list(source_directory_id=directories[1])] == [made[3], made[1]]
    assert len(list(client.batches.list(status="PENDING"))) == 5
    assert list(client.batches.list(status="COMPLETED")) == []
    assert list(client.batches.list(source_directory_id="dir-unknown")) == []
    now = datetime.now(UTC)
    naive = (now - timedelta(minutes=5)).replace(tzinfo=None)
    assert len(list(client.batches.list(created_at_on_or_after=naive))) == 5
    assert list(client.batches.list(created_at_on_or_before=naive)) == []
    assert list(client.batches.list(created_at_on_or_after=now + timedelta(minutes=5))) == []
    moment = client.batches.get(made[2]).created_at
    assert moment is not None
    assert made[2] in [one.id for one in client.batches.list(created_at_on_or_after=moment)]
    assert made[2] in [one.id for one in client.batches.list(created_at_on_or_before=moment)]


@pytest.mark.parametrize(
    ("directory", "kind", "config", "error"),
    [
        ("dir-01900000-0000-7000-8000-000000000000", "parse_v2", "cfg-PARSE_FAST", llama_cloud.NotFoundError),
        ("", "parse_v2", "cfg-PARSE_FAST", llama_cloud.NotFoundError),
        (None, "parse_v2", "cfg-PARSE_SLOW", llama_cloud.NotFoundError),
        (None, "extract_v2", "cfg-PARSE_FAST", llama_cloud.BadRequestError),
        (None, "classify_v2", "cfg-PARSE_FAST", llama_cloud.UnprocessableEntityError),
    ],
)
def test_refusals_are_the_clients_own_errors(
    client: LlamaCloud, directory: str | None, kind: str, config: str, error: type[Exception]
) -> None:
    if directory is None:
        directory = client.beta.directories.create(name="d").id
    with pytest.raises(error):
        client.batches.create(
            source_directory_id=directory,
            config={"job": {"type": kind, "configuration_id": config}},  # type: ignore[typeddict-item]
        )


def test_what_is_theirs_is_not_found(client: LlamaCloud, stranger: LlamaCloud) -> None:
    directory = client.beta.directories.create(name="d")
    batch = client.batches.create(source_directory_id=directory.id, config=FAST)  # type: ignore[arg-type]
    with pytest.raises(llama_cloud.NotFoundError):
        stranger.batches.get(batch.id)
    assert list(stranger.batches.list()) == []
    with pytest.raises(llama_cloud.NotFoundError):
        stranger.batches.list(project_id=batch.project_id)


async def test_the_chain_asynchronously(async_client: AsyncLlamaCloud, finish: Finish) -> None:
    directory = await async_client.beta.directories.create(name="d", type="ephemeral")
    assert directory.expires_at is not None
    entry = await async_client.beta.directories.files.upload(directory.id, upload_file=("a", b"x"))
    config = await async_client.configurations.create(
        name="n", parameters={"product_type": "parse_v2", "tier": "cost_effective", "version": "latest"}
    )
    batch = await async_client.batches.create(
        source_directory_id=directory.id,
        config={"job": {"type": "parse_v2", "configuration_id": config.id}},
    )
    await finish(batch.id, batch.project_id)
    done = await async_client.batches.get(batch.id, expand=["results"])
    assert done.results is not None
    assert [one.source_directory_file_id for one in done.results] == [entry.id]
    assert [one.id async for one in async_client.batches.list()] == [batch.id]


async def test_cancel_is_accepted_and_a_final_batch_refuses_it(
    strict: LlamaCloud, bells: HeardBells, finish: Finish
) -> None:
    directory = strict.beta.directories.create(name="d")
    strict.beta.directories.files.upload(directory.id, upload_file=("a.txt", b"a"))
    batch = strict.batches.create(source_directory_id=directory.id, config=FAST)  # type: ignore[arg-type]
    bells.rung.clear()
    assert strict.batches.cancel(batch.id).status == "PENDING"
    assert strict.batches.cancel(batch.id).status == "PENDING"
    assert len(bells.heard(Advance)) == 1, "asked twice is asked once"
    await finish(batch.id, batch.project_id)
    done = strict.batches.get(batch.id, expand=["results"])
    assert (done.status, done.results) == ("CANCELLED", [])
    with pytest.raises(llama_cloud.ConflictError, match="CANCELLED already") as refused:
        strict.batches.cancel(batch.id)
    assert refused.value.response.headers["x-should-retry"] == "false"
