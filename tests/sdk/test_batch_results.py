"""The files of a batch in pages, with what their jobs gave beside them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from llama_cloud import LlamaCloud

from services.api import batch_contents
from tests.sdk.conftest import EXTRACTION

Finish = Callable[[str, str], Awaitable[None]]
TEXT = "one\n\ntwo\n\n"


def open_batch(client: LlamaCloud, names: list[str], *, job_type: str, configuration_id: str) -> Any:
    directory = client.beta.directories.create(name="d")
    for name in names:
        client.beta.directories.files.upload(directory.id, upload_file=(name, f"{name} of a page".encode()))
    job: Any = {"type": job_type, "configuration_id": configuration_id}
    return client.batches.create(source_directory_id=directory.id, config={"job": job})


def results(client: LlamaCloud, batch_id: str, **query: Any) -> Any:
    path = f"/api/v2/batches/{batch_id}/results"
    return client.get(path, cast_to=object, options={"params": query})


async def test_what_the_jobs_gave_comes_with_the_page(client: LlamaCloud, finish: Finish) -> None:
    names = ["a.pdf", "bad.pdf", "c.pdf"]
    batch = open_batch(client, names, job_type="parse_v2", configuration_id="cfg-PARSE_COST_EFFECTIVE")
    early = results(client, batch.id, expand=["text_full"])
    assert all(item["text_full"] is None for item in early["items"])
    await finish(batch.id, batch.project_id)
    plain = results(client, batch.id)["items"]
    assert [item["text_full"] for item in plain] == [None] * 3
    found = results(client, batch.id, expand="markdown_full,text_full", include_total=True)
    assert found["total_size"] == 3
    by_name = {item["name"]: item for item in found["items"]}
    assert {name: item["text_full"] for name, item in by_name.items()} == {
        "a.pdf": TEXT,
        "bad.pdf": None,
        "c.pdf": TEXT,
    }
    assert by_name["a.pdf"]["markdown_full"] == "# one\n\ntwo"
    assert by_name["a.pdf"]["extract_result"] is None


async def test_values_of_an_extraction_come_with_the_page(client: LlamaCloud, finish: Finish) -> None:
    schema: Any = {"type": "object", "properties": {"total": {"type": "number"}}}
    made = client.configurations.create(
        name="totals", parameters={"product_type": "extract_v2", "data_schema": schema}
    )
    batch = open_batch(client, ["a.pdf"], job_type="extract_v2", configuration_id=made.id)
    await finish(batch.id, batch.project_id)
    (item,) = results(client, batch.id, expand="extract_result")["items"]
    assert item["extract_result"] == EXTRACTION.data
    assert item["text_full"] is None


async def test_some_jobs_may_be_asked_for(client: LlamaCloud, stranger: LlamaCloud, finish: Finish) -> None:
    names = [f"{number}.pdf" for number in range(5)]
    batch = open_batch(client, names, job_type="parse_v2", configuration_id="cfg-PARSE_FAST")
    other = open_batch(client, ["o.pdf"], job_type="parse_v2", configuration_id="cfg-PARSE_FAST")
    for one in (batch, other):
        await finish(one.id, one.project_id)
    jobs = [item["job_reference"]["id"] for item in results(client, batch.id)["items"]]
    foreign = results(client, other.id)["items"][0]["job_reference"]["id"]
    asked = [jobs[3], jobs[1], foreign, "pjb-none", "ext-" + jobs[2][4:]]
    found = results(client, batch.id, job_ids=asked, expand="text_full", page_size=1)
    assert [item["job_reference"]["id"] for item in found["items"]] == [jobs[1]]
    rest = results(
        client,
        batch.id,
        job_ids=asked,
        expand="text_full",
        page_size=1,
        page_token=found["next_page_token"],
    )
    assert [item["job_reference"]["id"] for item in rest["items"]] == [jobs[3]]
    assert rest["next_page_token"] is None
    assert results(client, batch.id, job_ids=["pjb-none"])["items"] == []
    with pytest.raises(Exception, match="No batch has the id"):
        results(stranger, batch.id, job_ids=jobs)


async def test_a_page_ends_where_it_grows_too_large(
    client: LlamaCloud, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}.pdf" for number in range(5)]
    batch = open_batch(client, names, job_type="parse_v2", configuration_id="cfg-PARSE_FAST")
    await finish(batch.id, batch.project_id)
    monkeypatch.setattr(batch_contents, "MOST_CHARACTERS", 15)
    monkeypatch.setattr(batch_contents, "READ_AT_ONCE", 3)
    seen: list[str] = []
    lengths: list[int] = []
    token: dict[str, str] = {}
    while True:
        page = results(client, batch.id, expand="text_full", **token)
        assert all(item["text_full"] == TEXT for item in page["items"])
        seen += [item["name"] for item in page["items"]]
        lengths.append(len(page["items"]))
        if page["next_page_token"] is None:
            break
        token = {"page_token": page["next_page_token"]}
    assert sorted(seen) == names
    assert lengths == [2, 2, 1], "a page holds what is needed to reach the limit, and one at least"


async def test_a_deleted_job_gives_nothing_away(client: LlamaCloud, finish: Finish) -> None:
    batch = open_batch(client, ["a.pdf"], job_type="parse_v2", configuration_id="cfg-PARSE_FAST")
    await finish(batch.id, batch.project_id)
    (item,) = results(client, batch.id)["items"]
    client.parsing.delete(item["job_reference"]["id"])
    (item,) = results(client, batch.id, expand="text_full")["items"]
    assert item["text_full"] is None


async def test_a_result_that_the_storage_lost_hides_no_other(
    client: LlamaCloud, finish: Finish, tmp_path: Path
) -> None:
    batch = open_batch(client, ["a.pdf", "b.pdf"], job_type="parse_v2", configuration_id="cfg-PARSE_FAST")
    await finish(batch.id, batch.project_id)
    lost, _ = sorted((tmp_path / "blobs").rglob("*.json.zst"))
    lost.unlink()
    items = results(client, batch.id, expand="text_full")["items"]
    assert sorted(item["text_full"] is None for item in items) == [False, True]
