"""Every document here goes through a real sandboxed child."""

import io
import struct
from pathlib import Path
from typing import Any

import pytest
from liteparse import LiteParse
from PIL import Image
from reportlab.pdfgen import canvas

from services.worker.engines import liteparse, tiff
from services.worker.engines.port import Done, ParseRequest
from shared.jobs.codes import FailureCode
from shared.jobs.result import Page
from tests.services.worker.engines.conftest import SCANNED, Reader, image_bytes, pdf, picture, scanned_pdf


async def test_a_pdf_gives_text_and_markdown(reader: Reader) -> None:
    document = await reader.read(pdf(2), "a.pdf", tier="cost_effective")
    first, second = document.pages
    assert (first.page_number, second.page_number) == (1, 2)
    assert "Heading of page 1" in first.text
    assert "Line 4 of page 2 is here to be read." in second.text
    assert first.markdown is not None
    assert first.markdown.startswith("# Heading of page 1")
    assert "Line 0 of page 1" in first.markdown
    assert (first.width, first.height, first.ocr) == (612.0, 792.0, False)
    assert document.engine.startswith("liteparse 2.")
    assert document.document == {"kind": "pdf", "pages": 2}
    assert document.job_metadata["ocr_pages"] == 0


async def test_fast_is_the_text_layer_only(reader: Reader) -> None:
    document = await reader.read(pdf(), "a.pdf", tier="fast")
    assert "Line 0 of page 1" in document.pages[0].text
    assert document.pages[0].markdown is None
    scanned = await reader.read(scanned_pdf(), "scan.pdf", tier="fast")
    assert (scanned.pages[0].text, scanned.pages[0].ocr) == ("", False)


async def test_agentic_says_that_no_model_looked(reader: Reader) -> None:
    document = await reader.read(pdf(), "a.pdf", tier="agentic_plus")
    assert "no model looked at it" in document.job_metadata["engine"]
    assert document.pages[0].markdown


async def test_the_agentic_tiers_make_items_of_the_markdown(reader: Reader) -> None:
    document = await reader.read(pdf(2), "a.pdf", tier="agentic")
    for page in document.pages:
        heading, *others = page.items or ()
        assert (heading["type"], heading["level"]) == ("heading", 1)
        assert heading["value"] == f"Heading of page {page.page_number}"
        assert f"Line 0 of page {page.page_number}" in " ".join(other["value"] for other in others)
    scanned = await reader.read(scanned_pdf(), "scan.pdf", tier="agentic")
    assert "Invoice number 1000" in " ".join(item["value"] for item in scanned.pages[0].items or ())
    cheaper = await reader.read(pdf(), "a.pdf", tier="cost_effective")
    assert cheaper.pages[0].items is None


def test_a_document_with_very_much_text_has_items_as_far_as_they_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(liteparse, "_MOST_WITH_ITEMS", 10)
    made = liteparse._with_items([Page(1, "a", "# a"), Page(2, "", error="broken"), Page(3, "b", "b" * 9)])
    assert [None if page.items is None else len(page.items) for page in made] == [1, None, None]


async def test_ocr_reads_the_poor_pages_only(reader: Reader) -> None:
    document = await reader.read(scanned_pdf(beside_text=True), "mixed.pdf")
    assert [page.ocr for page in document.pages] == [False, True, False]
    assert "text layer of its own" in document.pages[0].text
    assert "Invoice number 1000" in " ".join(document.pages[1].text.split())
    assert "Invoice number 1000" in (document.pages[1].markdown or "")
    assert (document.pages[2].text, document.pages[2].markdown) == ("", "")
    assert document.job_metadata["ocr_pages"] == 1


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "bmp", "gif", "tiff"])
async def test_an_image_is_read_by_ocr_whatever_it_is_called(reader: Reader, kind: str) -> None:
    document = await reader.read(image_bytes(kind), "picture")
    assert SCANNED in " ".join(document.pages[0].text.split())
    assert document.pages[0].ocr
    assert document.document["kind"] == kind


async def test_an_image_without_text_is_a_success(reader: Reader) -> None:
    blank = Image.new("RGB", (800, 600), "white")
    document = await reader.read(image_bytes("png", blank), "blank.png")
    assert (len(document.pages), document.pages[0].text, document.pages[0].markdown) == (1, "", "")


async def test_every_image_of_a_tiff_is_a_page(reader: Reader) -> None:
    images = [picture(f"Picture number {number} of the file") for number in (1, 2, 3)]
    content = image_bytes("tiff", images[0], save_all=True, append_images=images[1:])
    document = await reader.read(content, "a.tif")
    assert [page.page_number for page in document.pages] == [1, 2, 3]
    for page in document.pages:
        assert f"Picture number {page.page_number} of the file" in " ".join(page.text.split())
    some = await reader.read(content, "a.tif", page_ranges={"target_pages": "3"})
    assert [page.page_number for page in some.pages] == [3]
    assert "Picture number 3" in " ".join(some.pages[0].text.split())


def test_a_tiff_that_turns_in_a_circle_ends(tmp_path: Path) -> None:
    path = tmp_path / "circle.tiff"
    entry = struct.pack("<HHI4s", 256, 4, 1, b"\1\0\0\0")
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 8))
    assert tiff.image_offsets(path, limit=100) == [8]


def test_thumbnails_are_no_pages_and_the_order_of_bytes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "small.tiff"
    thumbnail = struct.pack(">H", 1) + struct.pack(">HHII", 254, 4, 1, 1) + struct.pack(">I", 26)
    full = struct.pack(">H", 1) + struct.pack(">HHII", 254, 4, 1, 0) + struct.pack(">I", 0)
    path.write_bytes(b"MM\0*" + struct.pack(">I", 8) + thumbnail + full)
    assert tiff.image_offsets(path, limit=100) == [26]
    tiff.move_to_front(path, 26)
    assert path.read_bytes()[4:8] == struct.pack(">I", 26)


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (pdf()[:700], "cut.pdf", FailureCode.PDF_IS_BROKEN),
        (b"%PDF-1.7\n" + b"\0\1\2" * 1000, "garbage.pdf", FailureCode.PDF_IS_BROKEN),
        (b"not a PDF", "words.pdf", FailureCode.PDF_IS_BROKEN),
        (pdf(password="secret"), "locked.pdf", FailureCode.PDF_IS_PROTECTED),
        (b"", "empty.pdf", FailureCode.NO_DATA_FOUND_IN_FILE),
        (image_bytes("png")[:2000], "cut.png", FailureCode.ENGINE_ERROR),
        (b"\0\1\2\3" * 50, "a.xyz", FailureCode.UNSUPPORTED_FILE_TYPE),
    ],
)
async def test_a_bad_document_has_its_code(
    reader: Reader, content: bytes, name: str, code: FailureCode
) -> None:
    outcome = await reader.done(content, name)
    assert outcome.code is code
    assert outcome.message
    assert (outcome.retryable, outcome.result, outcome.pages) == (False, None, 0)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.docx", "A.PNG"])
async def test_a_pdf_by_another_name_is_read(reader: Reader, name: str) -> None:
    document = await reader.read(pdf(), name)
    assert "Heading of page 1" in document.pages[0].text


async def test_the_document_itself_is_left_alone(reader: Reader) -> None:
    content = image_bytes("tiff", picture(), save_all=True, append_images=[picture("Another")])
    for number, original in enumerate((pdf(), content)):
        path = reader.put(original, f"original {number}")
        path.chmod(0o444)
        outcome = await reader.sandbox.run(ParseRequest(path, "a"), project_id="p")
        assert isinstance(outcome, Done)
        assert outcome.code is None
        assert path.read_bytes() == original


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [({"target_pages": "2,4-9"}, [2, 4, 5]), ({"max_pages": 2}, [1, 2]), ({}, [1, 2, 3, 4, 5])],
)
async def test_page_ranges(reader: Reader, ranges: dict[str, Any], expected: list[int]) -> None:
    document = await reader.read(pdf(5), "a.pdf", page_ranges=ranges)
    assert [page.page_number for page in document.pages] == expected
    for page in document.pages:
        assert f"Heading of page {page.page_number}" in page.text
    assert document.document["pages"] == 5


async def test_a_range_that_cannot_be_used_is_said(reader: Reader) -> None:
    outcome = await reader.done(pdf(), "a.pdf", page_ranges={"target_pages": "one"})
    assert outcome.code is FailureCode.ENGINE_ERROR
    assert "'one' is not a page" in (outcome.message or "")
    outcome = await reader.done(pdf(), "a.pdf", page_ranges={"target_pages": "7"})
    assert outcome.code is FailureCode.NO_DATA_FOUND_IN_FILE


async def test_more_pages_than_a_slice_come_in_order(reader: Reader) -> None:
    document = await reader.read(pdf(405), "long.pdf", tier="fast")
    assert [page.page_number for page in document.pages] == list(range(1, 406))
    assert "Heading of page 405" in document.pages[-1].text


async def test_a_part_of_a_long_document_is_read(reader: Reader) -> None:
    document = await reader.read(
        pdf(203), "long.pdf", tier="fast", page_ranges={"target_pages": "2,199-201,203"}
    )
    assert [page.page_number for page in document.pages] == [2, 199, 200, 201, 203]
    assert document.document["pages"] == 203


async def test_a_pdf_without_pages_says_so(reader: Reader) -> None:
    parts = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"]
    content, places = b"%PDF-1.4\n", [b"0000000000 65535 f \n"]
    for number, part in enumerate(parts, start=1):
        places.append(b"%010d 00000 n \n" % len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    start = len(content)
    content += b"xref\n0 3\n" + b"".join(places)
    content += b"trailer\n<</Root 1 0 R/Size 3>>\nstartxref\n%d\n%%%%EOF" % start
    for ranges in ({}, {"max_pages": 3}):
        outcome = await reader.done(content, "none.pdf", page_ranges=ranges)
        assert outcome.code is FailureCode.NO_DATA_FOUND_IN_FILE


@pytest.mark.parametrize("form", ["text", "markdown"])
@pytest.mark.parametrize("content", [pdf(3), scanned_pdf(beside_text=True)], ids=["words", "scan"])
def test_the_compiled_parser_says_what_the_library_says(tmp_path: Path, content: bytes, form: str) -> None:
    """What is read past the library's own copy of it: the names and values that the engine uses."""
    path = tmp_path / "a.pdf"
    path.write_bytes(content)
    settings = {"output_format": form, "ocr_enabled": False, "extract_content_bounds": True}
    compiled = liteparse._parser(**settings).parse(str(path))
    public = LiteParse(
        continue_on_page_error=True, keep_headers_footers=True, num_workers=1, quiet=True, **settings
    ).parse(path)
    names = ("page_num", "text", "markdown", "width", "height", "page_label")
    assert [[getattr(page, name) for name in names] for page in compiled.pages] == [
        [getattr(page, name) for name in names] for page in public.pages
    ]
    assert [page.content_bounds is None for page in compiled.pages] == [
        page.content_bounds is None for page in public.pages
    ]
    assert (compiled.total_pages, list(compiled.page_errors)) == (public.total_pages, public.page_errors)
    assert len(public.pages) == 3


async def test_a_crop_box_leaves_the_rest_out(reader: Reader) -> None:
    document = await reader.read(pdf(), "a.pdf", crop_box={"top": 0.11})
    assert "Heading" not in document.pages[0].text
    assert "Line 0" in document.pages[0].text


async def test_the_number_as_printed_is_kept(reader: Reader) -> None:
    out = io.BytesIO()
    sheet = canvas.Canvas(out)
    sheet.addPageLabel(0, style="ROMAN_LOWER", start=4)
    sheet.drawString(72, 700, "The preface of the book is here.")
    sheet.showPage()
    sheet.save()
    document = await reader.read(out.getvalue(), "a.pdf")
    assert document.pages[0].label == "iv"


async def test_a_page_that_cannot_be_read_is_told_and_the_others_are_kept(reader: Reader) -> None:
    content = pdf(3)
    kids = content[content.index(b"/Kids [") : content.index(b"]", content.index(b"/Kids ["))]
    second = b" ".join(kids.split()[5:8])
    broken = content.replace(kids, kids.replace(second, b"0 0 R"))
    options: dict[str, Any] = {
        "processing_control": {"job_failure_conditions": {"allowed_page_failure_ratio": 0.5}}
    }
    document = await reader.read(broken, "a.pdf", **options)
    assert [page.error is None for page in document.pages] == [True, False, True]
    outcome = await reader.done(broken, "a.pdf")
    assert outcome.code is FailureCode.PDF_IS_BROKEN
    assert outcome.message == "1 of 3 pages could not be read."
