"""Extract jobs with the real sandbox: a document, or what was read of it, becomes values."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from services.worker.engines.limits import SandboxLimits
from services.worker.engines.port import Again, Done, Infra
from services.worker.engines.sandbox import ENGINES, Sandbox
from services.worker.runtime import Runtime
from services.worker.tasks.work import work
from shared.configurations import service as configuration_service
from shared.configurations.options import ExtractChoices, ExtractRequest
from shared.files import service as file_service
from shared.jobs import opening, running
from shared.jobs import service as job_service
from shared.jobs.codes import FailureCode
from shared.jobs.lifecycle import JobType
from shared.jobs.opening import JobInput
from shared.jobs.result import Extraction, ResultDocument, text_full
from shared.jobs.service import JobView
from shared.wiring import Resources
from tests.conftest import Tenant

LABELS = str(Path(__file__).parent / "engines" / "labels.py")
SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "string"}, "buyer": {"type": "string"}},
    "required": ["buyer"],
}
INVOICE = b"# Invoice\n\ntotal: 12.50\n\nthanks"


@dataclass
class Asked:
    """An extractor that says what it was told to say."""

    answers: list[Any]
    heard: list[tuple[ResultDocument, Mapping[str, Any]]] = field(default_factory=list)
    closed: Again | Infra | None = None

    async def extract(self, document: ResultDocument, parameters: Mapping[str, Any]) -> Any:
        self.heard.append((document, parameters))
        return self.answers.pop(0)

    def not_now(self) -> Again | Infra | None:
        return self.closed

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
async def runtime(resources: Resources, tmp_path: Path) -> AsyncIterator[Runtime]:
    """A worker process's means, with rules of our own."""
    sandbox = Sandbox(limits=SandboxLimits(wall_s=3), folder=tmp_path, engines={**ENGINES, "rules": LABELS})
    made = Runtime(resources, resources, ["extract", "parse"], sandbox, tmp_path)
    yield made
    await sandbox.close()


async def stream(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def open_job(
    runtime: Runtime, tenant: Tenant, name: str = "a.txt", content: bytes = INVOICE, **choices: Any
) -> UUID:
    """An extract job over a new file."""
    choices = {"data_schema": SCHEMA, **choices}
    asked = ExtractRequest(file_input="fil-x", configuration=ExtractChoices.model_validate(choices))
    storage = runtime.resources.storage
    async with runtime.unit_of_work() as uow:
        file = await file_service.store_file(uow, storage, tenant.project_id, name, stream(content))
        parameters = await configuration_service.resolve_extract_request(uow, tenant.project_id, asked)
        source = JobInput(tenant.project_id, file.id, name, file.size_bytes, file.sha256, f"fil-{file.id}")
        job = await opening.open_extract_job(uow, source, parameters=parameters, configuration_id=None)
        await uow.commit()
    return job.id


async def over_parse_job(runtime: Runtime, tenant: Tenant, content: bytes, **choices: Any) -> UUID:
    """An extract job over what a parse job made; the file itself is thrown away before."""
    storage = runtime.resources.storage
    async with runtime.unit_of_work() as uow:
        file = await file_service.store_file(uow, storage, tenant.project_id, "a.txt", stream(content))
        parsed = await opening.open_parse_job(
            uow,
            project_id=tenant.project_id,
            file_id=file.id,
            name="a.txt",
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            parameters={"tier": "fast"},
        )
        await uow.commit()
    await work(runtime, "parse", slice_s=5)
    await storage.delete(file.storage_key)
    asked = ExtractRequest(
        file_input="pjb-x", configuration=ExtractChoices.model_validate({"data_schema": SCHEMA, **choices})
    )
    async with runtime.unit_of_work() as uow:
        source = await opening.input_of_parse_job(uow, tenant.project_id, parsed.id, named="pjb-x")
        parameters = await configuration_service.resolve_extract_request(uow, tenant.project_id, asked)
        job = await opening.open_extract_job(uow, source, parameters=parameters, configuration_id=None)
        await uow.commit()
    return job.id


async def ended(runtime: Runtime, tenant: Tenant, job: UUID) -> tuple[JobView, ResultDocument | None]:
    """Let the worker work; the job as it is then, and what it made."""
    await work(runtime, "extract", slice_s=5)
    async with runtime.unit_of_work() as uow:
        view = await job_service.get_job(uow, tenant.project_id, JobType.EXTRACT, job)
    return view, await job_service.read_result(runtime.resources.storage, view)


async def test_a_document_becomes_pages_and_values(runtime: Runtime, tenant: Tenant) -> None:
    view, document = await ended(runtime, tenant, await open_job(runtime, tenant))
    assert (view.status, view.engine, view.pages) == ("COMPLETED", "labels 1", 1)
    assert document is not None
    assert document.extraction is not None
    assert document.extraction.data == {"total": "12.50", "buyer": None}
    assert document.extraction.missing_fields == ("buyer",)
    assert "total: 12.50" in text_full(document)
    assert document.job_metadata["extract_engine"] == "labels 1"
    assert "No model" in document.job_metadata["extract_note"]
    assert document.job_metadata["tier"] == "cost_effective"


@pytest.mark.parametrize(("choices", "tier"), [({"parse_tier": "fast"}, "fast"), ({"tier": "turbo"}, None)])
async def test_documents_are_parsed_as_the_extraction_says(
    runtime: Runtime, tenant: Tenant, choices: dict[str, Any], tier: str | None
) -> None:
    view, document = await ended(runtime, tenant, await open_job(runtime, tenant, **choices))
    assert view.status == "COMPLETED"
    assert document is not None
    assert document.job_metadata["tier"] == (tier or "cost_effective")


async def test_pages_that_are_not_there_are_an_end(runtime: Runtime, tenant: Tenant) -> None:
    view, _ = await ended(runtime, tenant, await open_job(runtime, tenant, target_pages="7"))
    assert (view.status, view.error_code) == ("FAILED", "NO_DATA_FOUND_IN_FILE")


async def test_what_was_parsed_before_is_not_parsed_again(runtime: Runtime, tenant: Tenant) -> None:
    view, document = await ended(runtime, tenant, await over_parse_job(runtime, tenant, INVOICE))
    assert view.status == "COMPLETED"
    assert document is not None
    assert document.extraction is not None
    assert document.extraction.data["total"] == "12.50"
    assert document.job_metadata["tier"] == "fast", "the tier it was parsed with"


async def test_pages_are_chosen_out_of_what_was_parsed_before(runtime: Runtime, tenant: Tenant) -> None:
    view, _ = await ended(runtime, tenant, await over_parse_job(runtime, tenant, INVOICE, target_pages="2"))
    assert (view.status, view.error_code) == ("FAILED", "NO_DATA_FOUND_IN_FILE")


@pytest.mark.parametrize(
    ("do", "code"), [("refuse", "SCHEMA_INVALID"), ("break", "ENGINE_ERROR"), ("hang", "TIMEOUT")]
)
async def test_rules_that_fail_end_their_document_only(
    runtime: Runtime, tenant: Tenant, do: str, code: str
) -> None:
    bad = await open_job(runtime, tenant, do=do)
    good = await open_job(runtime, tenant)
    assert (await ended(runtime, tenant, bad))[0].error_code == code
    assert (await ended(runtime, tenant, good))[0].status == "COMPLETED"


async def test_a_document_that_cannot_be_read_has_the_code_of_the_reading(
    runtime: Runtime, tenant: Tenant
) -> None:
    view, _ = await ended(runtime, tenant, await open_job(runtime, tenant, "a.pdf", b"%PDF-1.7 no more"))
    assert (view.status, view.error_code) == ("FAILED", "PDF_IS_BROKEN")


async def test_a_schema_that_was_never_checked_is_an_end(runtime: Runtime, tenant: Tenant) -> None:
    job = await open_job(runtime, tenant)
    async with runtime.unit_of_work() as uow:
        await uow.session.execute(text('UPDATE jobs SET config = \'{"data_schema": {"type": "array"}}\''))
        await uow.commit()
    view, _ = await ended(runtime, tenant, job)
    assert (view.status, view.error_code) == ("FAILED", "SCHEMA_INVALID")
    assert "$.type" in (view.error_message or "")


async def test_the_same_bell_again_does_nothing(runtime: Runtime, tenant: Tenant) -> None:
    job = await open_job(runtime, tenant)
    first, _ = await ended(runtime, tenant, job)
    second, _ = await ended(runtime, tenant, job)
    assert second == first


async def test_a_job_given_back_is_run_under_another_token(runtime: Runtime, tenant: Tenant) -> None:
    job = await open_job(runtime, tenant)
    async with runtime.unit_of_work() as uow:
        lost = await running.take(uow, "extract", UUID(int=9))
    assert lost is not None
    async with runtime.unit_of_work() as uow:
        await running.release(uow, lost.chunk, [], after=0, reason=None)
    view, document = await ended(runtime, tenant, job)
    assert view.status == "COMPLETED"
    assert document is not None
    assert str(lost.chunk.token) not in str(view.result_key), "the result lies under the second token"


class TestAModel:
    GIVEN = Extraction({"total": "12.50", "buyer": "me"}, {"document_metadata": {}}, (), "openai a-model")

    async def test_its_values_are_stored_with_the_pages(self, runtime: Runtime, tenant: Tenant) -> None:
        runtime.extractor = model = Asked([self.GIVEN])
        view, document = await ended(runtime, tenant, await open_job(runtime, tenant))
        assert (view.status, view.engine) == ("COMPLETED", "openai a-model")
        assert document is not None
        assert document.extraction == self.GIVEN
        assert document.job_metadata["extract_engine"] == "openai a-model"
        read, parameters = model.heard[0]
        assert "total: 12.50" in text_full(read)
        assert read.extraction is None, "no rules before a model"
        assert parameters["data_schema"] == SCHEMA

    async def test_it_reads_what_was_parsed_before(self, runtime: Runtime, tenant: Tenant) -> None:
        job = await over_parse_job(runtime, tenant, INVOICE)
        runtime.extractor = model = Asked([self.GIVEN])
        view, _ = await ended(runtime, tenant, job)
        assert view.status == "COMPLETED"
        assert "total: 12.50" in text_full(model.heard[0][0])

    async def test_nothing_is_read_while_nobody_can_be_asked(self, runtime: Runtime, tenant: Tenant) -> None:
        runtime.extractor = model = Asked([self.GIVEN])
        model.closed = Infra("UPSTREAM_DOWN: nobody there")
        job = await open_job(runtime, tenant, "a.pdf", b"%PDF-1.7 no more")
        assert (await ended(runtime, tenant, job))[0].status in {"PENDING", "THROTTLED"}, (
            "read, it had an end"
        )
        assert model.heard == []

    async def test_its_refusal_is_the_end_of_the_document(self, runtime: Runtime, tenant: Tenant) -> None:
        no = Done(FailureCode.LLM_UNAVAILABLE, "It will not.", True, 0, "openai", None, 0.1)
        runtime.extractor = Asked([no])
        view, document = await ended(runtime, tenant, await open_job(runtime, tenant))
        assert (view.status, view.error_code, view.error_message) == ("FAILED", no.code, no.message)
        assert document is None

    @pytest.mark.parametrize(
        ("answer", "state"),
        [
            pytest.param(Again(5.0, "NO_ANSWER: later"), "READY", id="the job alone comes again later"),
            pytest.param(
                Infra("UPSTREAM_DOWN: nobody there"), "WAITING", id="the lane is held, its grants recalled"
            ),
        ],
    )
    async def test_nobody_is_blamed_when_it_cannot_answer(
        self, runtime: Runtime, tenant: Tenant, answer: Again | Infra, state: str
    ) -> None:
        runtime.extractor = Asked([answer])
        view, _ = await ended(runtime, tenant, await open_job(runtime, tenant))
        assert view.status in {"PENDING", "THROTTLED"}
        async with runtime.unit_of_work() as uow:
            chunk = (await uow.session.execute(text("SELECT state, job_id FROM chunks"))).one()
        assert chunk == (state, view.id)
