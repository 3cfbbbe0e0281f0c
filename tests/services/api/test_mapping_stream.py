"""`expand=results` of batches that are larger than a page."""

from typing import Any

import asyncpg
import httpx
import pytest
from llama_cloud import LlamaCloud
from sqlalchemy import text

from services.api import mapping_stream
from shared.wiring import Resources
from tests.bench.whole_batches import WholeBatch, make
from tests.conftest import Tenant
from tests.services.api.export.conftest import FILES, papers


@pytest.fixture
async def batch(resources: Resources, tenant: Tenant) -> WholeBatch:
    return await make(resources, tenant.project_id, papers())


async def get(http: httpx.AsyncClient, batch: WholeBatch, expand: str = "results") -> httpx.Response:
    return await http.get(f"/api/v2/batches/{batch.shown}", params={"expand": expand})


@pytest.mark.parametrize("page", [1, 7, 100, FILES - 1])
async def test_a_stream_says_what_one_answer_says(
    http: httpx.AsyncClient, batch: WholeBatch, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    whole = await get(http, batch, "results,progress")
    assert "content-length" in whole.headers
    monkeypatch.setattr(mapping_stream, "PAGE", page)
    found = await get(http, batch, "results,progress")
    assert found.headers["transfer-encoding"] == "chunked"
    assert found.headers["content-type"] == "application/json"
    assert found.json() == whole.json()
    assert len(found.json()["results"]) == FILES


async def test_a_batch_of_just_a_page_is_one_answer(
    http: httpx.AsyncClient, batch: WholeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping_stream, "PAGE", FILES)
    found = await get(http, batch)
    assert "content-length" in found.headers
    assert len(found.json()["results"]) == FILES


async def test_the_official_client_reads_a_stream(
    client: LlamaCloud, batch: WholeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping_stream, "PAGE", 13)
    found = client.batches.get(batch.shown, expand=["results"])
    assert found.status == "COMPLETED"
    assert found.results is not None
    made = papers()
    assert len(found.results) == len(made)
    for result, one in zip(found.results, made, strict=True):
        assert (result.job_reference is None) == (one.status == "UNMAPPED")
        assert result.error_message == (one.message if one.status == "UNMAPPED" else None)


async def test_each_page_is_a_statement_of_its_own(
    http: httpx.AsyncClient, batch: WholeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping_stream, "PAGE", 100)
    begun: list[Any] = []
    start = asyncpg.transaction.Transaction.start

    async def noted(self: Any) -> Any:
        begun.append(self)
        return await start(self)

    monkeypatch.setattr(asyncpg.transaction.Transaction, "start", noted)
    assert len((await get(http, batch)).json()["results"]) == FILES
    assert begun == []


async def test_a_batch_that_is_removed_meanwhile_is_no_short_list(
    http: httpx.AsyncClient, batch: WholeBatch, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping_stream, "PAGE", 100)
    async with resources.unit_of_work() as uow:
        await uow.session.execute(text("DELETE FROM jobs WHERE batch_id = :b AND seq > 250"), {"b": batch.id})
        await uow.commit()
    with pytest.raises(httpx.RemoteProtocolError):
        await get(http, batch)
