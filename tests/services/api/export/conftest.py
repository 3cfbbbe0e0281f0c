"""A final batch whose files have all that can become of one."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from shared.jobs.result import Page, ResultDocument
from shared.wiring import Resources
from tests.bench.whole_batches import Made, WholeBatch, make
from tests.conftest import Tenant

FILES = 300


def document(number: int) -> ResultDocument:
    """Its pages speak of its number; each third has no markdown."""
    markdown = None if number % 3 == 0 else f"# Paper {number}\n\n" + "word " * (number % 50)
    text = f"Paper {number}\u2028größer " + "word " * (number % 50)
    return ResultDocument(
        "test", (Page(1, text, markdown), Page(2, "the end", None if markdown is None else "*end*"))
    )


def papers(files: int = FILES) -> list[Made]:
    """Each ninth failed, each eleventh was deleted before it got a job; the rest lie in folders."""
    found = []
    for number in range(1, files + 1):
        name = f"paper {number}.pdf"
        one = Made(name, f"folder {number % 7}/{name}", external=f"ext-{number}")
        if number % 9 == 0:
            one = replace(one, status="FAILED", code="PDF_IS_BROKEN", message="It cannot be read.")
        elif number % 11 == 0:
            one = replace(
                one, status="UNMAPPED", message="The file was deleted before a job was made for it."
            )
        else:
            one = replace(one, document=document(number))
        found.append(one)
    return found


@pytest.fixture
async def batch(resources: Resources, tenant: Tenant) -> WholeBatch:
    """More files than a part of an export has, twice over."""
    return await make(resources, tenant.project_id, papers())


@pytest.fixture
async def other(api_url: str, neighbour: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """Another project's client."""
    headers = {"authorization": f"Bearer {neighbour.key}"}
    async with httpx.AsyncClient(base_url=api_url, headers=headers) as found:
        yield found
