"""Parts of a result as files behind signed links, as clients fetch them: without a key."""

import json
from collections.abc import Awaitable, Callable

import httpx
from llama_cloud import LlamaCloud

from tests.conftest import Tenant

Work = Callable[[], Awaitable[int]]
ALL = [
    f"{name}_content_metadata"
    for name in ("text", "markdown", "items", "metadata", "text_full", "markdown_full", "forms", "output_pdf")
]


async def fetched(url: str) -> httpx.Response:
    """Without a key, as anybody may."""
    async with httpx.AsyncClient(timeout=60) as anybody:
        return await anybody.get(url)


async def done(client: LlamaCloud, work: Work, *, tier: str = "cost_effective") -> str:
    file = client.files.create(file=("a report.pdf", tier.encode()), purpose="parse")
    job = client.parsing.create(tier=tier, version="latest", file_id=file.id)
    assert await work() == 1
    return job.id


async def test_each_part_is_the_file_that_it_says(client: LlamaCloud, work: Work) -> None:
    job = await done(client, work)
    inline = client.parsing.get(job, expand=["markdown_full", "items"])
    parts = client.parsing.get(job, expand=ALL).result_content_metadata
    assert parts is not None
    assert list(parts) == ["text", "markdown", "items", "metadata", "fullText", "md", "forms", "outputPDF"]
    for key, part in parts.items():
        if key in ("forms", "outputPDF"):
            assert (part.exists, part.size_bytes, part.presigned_url) == (False, 0, None)
            continue
        assert part.presigned_url is not None
        found = await fetched(part.presigned_url)
        assert (found.status_code, len(found.content)) == (200, part.size_bytes), key
        assert found.headers["content-disposition"].startswith('attachment; filename="a report.pdf.')
        kind = found.headers["content-type"]
        assert kind == {"md": "text/markdown; charset=utf-8", "fullText": "text/plain; charset=utf-8"}.get(
            key, "application/json"
        )
        if key == "md":
            assert found.text == inline.markdown_full
        if key == "items":
            assert json.loads(found.content)["pages"][0]["items"][0]["value"] == "one"


async def test_a_link_to_one_part_opens_no_other(client: LlamaCloud, work: Work, neighbour: Tenant) -> None:
    job = await done(client, work)
    parts = client.parsing.get(job, expand=["text_full_content_metadata"]).result_content_metadata
    assert parts is not None
    url = str(parts["fullText"].presigned_url)
    assert "/content/fullText?" in url
    for changed in (
        url.replace("/content/fullText", "/content/md"),
        url.replace("/content/fullText", "/content/full"),
        url.replace("expires=", "expires=1"),
        url.replace("project_id=prj-", f"project_id=prj-{neighbour.project_id}&x="),
        url.replace(job, "pjb-00000000-0000-0000-0000-000000000000"),
    ):
        assert (await fetched(changed)).status_code == 403, changed
    assert (await fetched(url.partition("?")[0])).status_code == 422
    client.parsing.delete(job)
    assert (await fetched(url)).status_code == 404


async def test_what_is_not_done_has_no_parts(client: LlamaCloud) -> None:
    file = client.files.create(file=("waiting.pdf", b"waiting"), purpose="parse")
    job = client.parsing.create(tier="fast", version="latest", file_id=file.id)
    found = client.parsing.get(job.id, expand=[*ALL, "images_content_metadata"], image_filenames="a.png")
    assert (found.result_content_metadata, found.images_content_metadata) == (None, None)


def test_the_versions_are_typed(client: LlamaCloud) -> None:
    found = client.parsing.list_versions()
    assert found.latest.agentic == found.agentic[0]
