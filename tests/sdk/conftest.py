"""What a worker would do, done at once and by hand, so that the client has something to read."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import pytest

from shared.batches import advance as batch_advance
from shared.batches import dispatch as lane_dispatch
from shared.jobs import result as results
from shared.jobs import running
from shared.jobs.recipe import recipe_of
from shared.jobs.result import Extraction, Page, ResultDocument
from shared.jobs.running import Assignment, FileToRun, JobEnd
from shared.wiring import Resources

KINDS = ("parse_v2", "extract_v2")
QUEUES = ("parse", "extract")
WORKER = UUID(int=7)
ENGINE = "the engines of these tests"

ITEMS = (
    {"type": "heading", "md": "# one", "level": 1, "value": "one"},
    {
        "type": "table",
        "md": "| a |",
        "rows": [["a", 1, 2.5, None]],
        "html": "<table></table>",
        "csv": "a,1,2.5,",
    },
    {
        "type": "list",
        "md": "- b",
        "ordered": False,
        "items": [{"type": "text", "md": "b", "value": "b"}],
    },
)
DOCUMENT = ResultDocument(
    engine="test",
    pages=(
        Page(page_number=1, text="one", markdown="# one", items=ITEMS),
        Page(page_number=2, text="two", markdown="two"),
        Page(page_number=3, text="", error="this page is broken"),
    ),
    document={"title": "T"},
    job_metadata={"tier": "what it did"},
)

EXTRACTION = Extraction(
    data={"total": 12.5, "buyer": None, "lines": [{"name": "a"}]},
    fields={"document_metadata": {"total": {"confidence": 1.0, "citation": [{"page": 1}]}}},
    missing_fields=("buyer",),
    engine="test rules",
)

Work = Callable[[], Awaitable[int]]


async def end_of(resources: Resources, assignment: Assignment, file: FileToRun) -> JobEnd:
    """DOCUMENT for every file, with EXTRACTION where that is the job; but one called bad.pdf fails."""
    failed = file.name == "bad.pdf"
    key = None
    if not failed:
        key = f"p/{assignment.chunk.project_id}/r/{file.job_id}/{assignment.chunk.token}.json.zst"
        extracting = assignment.chunk.queue == "extract"
        made = replace(DOCUMENT, extraction=EXTRACTION) if extracting else DOCUMENT
        await resources.storage.put(key, results.encode(made))
    return JobEnd(
        job_id=file.job_id,
        status="FAILED" if failed else "COMPLETED",
        code="PDF_IS_BROKEN" if failed else None,
        message="It cannot be read." if failed else None,
        retryable=False if failed else None,
        result_key=key,
        pages=3,
        seconds=0.1,
        engine="test",
        recipe=recipe_of(assignment.parameters, ENGINE) if assignment.chunk.queue == "parse" else None,
    )


@pytest.fixture
def work(resources: Resources) -> Work:
    """Runs all chunks that may run now; answers how many files it ran."""

    async def run() -> int:
        count = 0
        while True:
            assignment = None
            for queue in QUEUES:
                async with resources.unit_of_work() as uow:
                    assignment = assignment or await running.take(uow, queue, WORKER)
            if assignment is None:
                return count
            ends = [await end_of(resources, assignment, file) for file in assignment.files]
            async with resources.unit_of_work() as uow:
                await running.close(uow, assignment.chunk, ends, seconds=0.1)
            count += len(ends)

    return run


@pytest.fixture
def finish(resources: Resources, work: Work) -> Callable[[str, str], Awaitable[None]]:
    """Brings a batch to its end."""

    async def run(batch_id: str, project_id: str) -> None:
        batch, project = UUID(batch_id[4:]), UUID(project_id[4:])
        for _ in range(50):
            if await batch_advance.advance(resources.unit_of_work, batch) is batch_advance.Step.ENDED:
                return
            for kind in KINDS:
                await lane_dispatch.dispatch(resources.unit_of_work, project, kind)
            await work()
        raise AssertionError("the batch did not end")

    return run
