"""The chain of the official end-to-end example, driven by the official client."""

import asyncio
from typing import Any

from llama_cloud import AsyncLlamaCloud

from tests.services.worker.engines import office_files

FILES = [
    ("a.txt", b"the first file"),
    ("b.md", b"# Title\n\nthe second file"),
    ("c.html", b"<html><body><h1>Third</h1><p>the third file</p></body></html>"),
    ("d.csv", b"name,amount\nleft,1\nright,2\n"),
    ("e.docx", office_files.word(lambda document: document.add_paragraph("the fifth file"))),
    ("broken.docx", b"PK\x03\x04" + bytes(100)),
    ("broken.pdf", b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog"),
    ("empty.txt", b""),
    ("thing.xyz", b"\x00\x01\x02\x03" * 50),
]
CODES = {
    "broken.docx": "ENGINE_ERROR",
    "broken.pdf": "PDF_IS_BROKEN",
    "empty.txt": "NO_DATA_FOUND_IN_FILE",
    "thing.xyz": "UNSUPPORTED_FILE_TYPE",
}


def test_each_file_is_parsed_or_has_its_own_code(stack: Any) -> None:
    client = stack.client
    batch_id = stack.open_batch(FILES, "cfg-PARSE_AGENTIC")
    assert stack.wait_final(batch_id) == "COMPLETED"
    stack.assert_exact(batch_id, len(FILES))
    batch = client.batches.get(batch_id, expand=["results"])
    names = {f.id: f.display_name for f in client.beta.directories.files.list(batch.source_directory_id)}
    assert len(batch.results) == len(FILES)
    for result in batch.results:
        name = names[result.source_directory_file_id]
        assert result.error_message is None
        job = client.parsing.get(result.job_reference.id, expand=["markdown", "text", "markdown_full"])
        if name in CODES:
            assert job.job.status == "FAILED"
            assert CODES[name] in job.job.error_message
            assert job.text is None
        else:
            assert job.job.status == "COMPLETED"
            assert "file" in job.text.pages[0].text or "left" in job.text.pages[0].text
            assert job.markdown.pages[0].success
            assert job.markdown_full


def test_fast_gives_text_and_no_markdown(stack: Any) -> None:
    batch_id = stack.open_batch([("a.txt", b"only text")], "cfg-PARSE_FAST")
    assert stack.wait_final(batch_id) == "COMPLETED"
    batch = stack.client.batches.get(batch_id, expand=["results"])
    job = stack.client.parsing.get(batch.results[0].job_reference.id, expand=["text_full", "markdown_full"])
    assert job.text_full.strip() == "only text"
    assert job.markdown_full is None


def test_parse_one_file_with_the_sdk_helper(stack: Any) -> None:
    answer = stack.client.parsing.parse(
        upload_file=("note.txt", b"one file alone"),
        tier="cost_effective",
        version="latest",
        expand=["text_full"],
    )
    assert answer.job.status == "COMPLETED"
    assert answer.text_full.strip() == "one file alone"


def test_an_empty_directory_completes(stack: Any) -> None:
    batch_id = stack.open_batch([])
    assert stack.wait_final(batch_id) == "COMPLETED"
    assert stack.client.batches.get(batch_id, expand=["results"]).results == []


async def test_the_same_chain_async(stack: Any) -> None:
    async with AsyncLlamaCloud(base_url=stack.base_url, api_key=stack.key("project")) as client:
        directory = await client.beta.directories.create(name="batch-example", type="ephemeral")
        await asyncio.gather(
            *(
                client.beta.directories.files.upload(directory.id, upload_file=(f"{i}.txt", b"file %d" % i))
                for i in range(12)
            )
        )
        batch = await client.batches.create(
            source_directory_id=directory.id,
            config={"job": {"type": "parse_v2", "configuration_id": "cfg-PARSE_COST_EFFECTIVE"}},
        )
        for _ in range(300):
            seen = await client.batches.get(batch.id, expand=["results"])
            if seen.status == "COMPLETED":
                break
            assert seen.results is None
            await asyncio.sleep(0.1)
        assert seen.status == "COMPLETED"
        assert seen.results is not None
        assert len(seen.results) == 12


RECEIPT = "Receipt\n\nInvoice Number: INV-10{0}\nTotal: {0}.50\nThank you.\n"
EXTRACTION: Any = {
    "product_type": "extract_v2",
    "data_schema": {
        "type": "object",
        "properties": {"Invoice Number": {"type": "string"}, "Total": {"type": ["string", "number"]}},
    },
}


def test_a_batch_of_extractions(stack: Any) -> None:
    client = stack.client
    saved = client.configurations.create(name="receipts", parameters=EXTRACTION)
    directory = client.beta.directories.create(name="receipts", type="ephemeral")
    names = {}
    for number in range(40, 52):
        content = RECEIPT.format(number).encode()
        entry = client.beta.directories.files.upload(directory.id, upload_file=(f"{number}.txt", content))
        names[entry.id] = number
    broken = client.beta.directories.files.upload(directory.id, upload_file=("x.pdf", b"%PDF-1.7\nno more"))
    job = {"type": "extract_v2", "configuration_id": saved.id}
    batch_id = client.batches.create(source_directory_id=directory.id, config={"job": job}).id
    assert stack.wait_final(batch_id) == "COMPLETED"
    stack.assert_exact(batch_id, 13)
    for result in client.batches.get(batch_id, expand=["results"]).results:
        found = client.extract.get(result.job_reference.id, expand=["extract_metadata"])
        if result.source_directory_file_id == broken.id:
            assert (found.status, found.error_message.split(":")[0]) == ("FAILED", "PDF_IS_BROKEN")
            continue
        number = names[result.source_directory_file_id]
        assert found.extract_result["Invoice Number"] == f"INV-10{number}"
        assert float(found.extract_result["Total"]) == number + 0.5
        assert set(found.extract_metadata.field_metadata.document_metadata) == {"Invoice Number", "Total"}


def test_one_file_is_parsed_and_then_extracted_from_with_the_sdk_helper(stack: Any) -> None:
    client = stack.client
    parsed = client.parsing.parse(
        upload_file=("r.txt", RECEIPT.format(42).encode()),
        tier="fast",
        version="latest",
        expand=["text_full"],
    )
    configuration = {name: value for name, value in EXTRACTION.items() if name != "product_type"}
    found = client.extract.run(file_input=parsed.job.id, configuration=configuration)
    assert (found.status, found.extract_result["Invoice Number"]) == ("COMPLETED", "INV-1042")
    assert found.to_dict()["metadata"]["tier"] == "fast"
