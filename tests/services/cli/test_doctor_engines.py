"""What `batchmill doctor` says of workers that read documents with different engines."""

from uuid import uuid4

import pytest

from services.cli import server_checks
from shared.wiring import Resources
from shared.workers import service as worker_service


@pytest.mark.parametrize(("engines", "told"), [(["a", "a"], False), (["a", "b"], True), (["a", None], True)])
async def test_workers_whose_engines_differ_are_told_of(
    resources: Resources, engines: list[str | None], told: bool
) -> None:
    for engine in engines:
        async with resources.unit_of_work() as uow:
            await worker_service.enlist(uow, uuid4(), queues=["parse"], slots=1, engine=engine)
    found = await server_checks.workers(resources.settings, resources)
    assert ("nothing is reused" in found.advice) == told
