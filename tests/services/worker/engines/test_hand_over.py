"""Small documents and results go through the child's pipe, larger ones are files; both are read alike."""

import io
from pathlib import Path
from random import Random

import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from services.worker.engines.port import MOST_BEHIND_A_REQUEST, MOST_BEHIND_AN_ANSWER, ParseRequest
from shared.jobs.codes import FailureCode
from shared.jobs.result import decode, encode
from tests.services.worker.engines.conftest import Reader, image_bytes, pdf


def lines(size: int) -> bytes:
    """Text of so many bytes that packs well."""
    return (b"words and words\n" * (size // 16 + 1))[: size - 1] + b"."


@pytest.mark.parametrize("more", [-1, 0, 1, 1_000])
async def test_a_document_is_read_the_same_on_both_sides_of_the_border(reader: Reader, more: int) -> None:
    content = lines(MOST_BEHIND_A_REQUEST + more)
    document = await reader.read(content, "a.txt", tier="fast")
    assert document.pages[0].text.split() == content.decode().split()


async def test_a_large_pdf_is_read_from_its_file(reader: Reader) -> None:
    out, noise = io.BytesIO(), Random(3).randbytes(400 * 400 * 3)
    sheet = canvas.Canvas(out)
    sheet.drawString(72, 700, "The words beside the noise are to be read.")
    sheet.drawImage(ImageReader(Image.frombytes("RGB", (400, 400), noise)), 100, 100)
    sheet.showPage()
    sheet.save()
    assert len(out.getvalue()) > MOST_BEHIND_A_REQUEST
    document = await reader.read(out.getvalue(), "a.pdf", tier="cost_effective")
    assert "The words beside the noise" in document.pages[0].text


@pytest.mark.parametrize("junk", [b"\n", b"\xef\xbb\xbf", b"From a mail\n" * 40])
async def test_a_small_pdf_behind_junk_is_read(reader: Reader, junk: bytes) -> None:
    document = await reader.read(junk + pdf(2), "a.pdf")
    assert ["Heading" in page.text for page in document.pages] == [True, True]


async def test_a_small_result_comes_as_bytes_and_a_large_one_as_a_file(reader: Reader) -> None:
    small = await reader.done(lines(1_000), "a.txt")
    assert isinstance(small.result, bytes)
    assert decode(small.result).pages[0].text.startswith("words and words")
    noise = Random(4).randbytes(90_000).hex().encode()
    large = await reader.done(noise, "a.txt")
    assert isinstance(large.result, Path)
    assert large.result.stat().st_size > MOST_BEHIND_AN_ANSWER
    assert decode(large.result.read_bytes()).pages[0].text == noise.decode()
    large.result.unlink()
    # The small one after it is not that of the large one.
    assert isinstance((await reader.done(lines(900), "b.txt")).result, bytes)


@pytest.mark.parametrize("number", range(3))
async def test_documents_of_every_kind_follow_each_other(reader: Reader, number: int) -> None:
    """What stands behind a request is taken whole, whatever becomes of the document."""
    assert (await reader.done(b"", "a.pdf")).code is FailureCode.NO_DATA_FOUND_IN_FILE
    assert (await reader.done(b"\0\1\2\n" * 9_000, "a.xyz")).code is FailureCode.UNSUPPORTED_FILE_TYPE
    assert (await reader.done(b"%PDF-1.7\n" * 9_000, "a.pdf")).code is FailureCode.PDF_IS_BROKEN
    assert "Heading" in (await reader.read(pdf(), f"{number}.pdf")).pages[0].text
    assert (await reader.read(image_bytes("png", Image.new("RGB", (40, 40))), "a.png")).pages[0].text == ""


async def test_a_stored_result_goes_the_same_way(reader: Reader) -> None:
    read = await reader.read(lines(500), "a.txt")
    stored = reader.put(encode(read), "stored")
    request = ParseRequest(stored, "a.txt", {}, parsed=True)
    again = await reader.sandbox.run(request, project_id="p")
    assert isinstance(again.result, bytes)  # type: ignore[union-attr]
    assert decode(again.result).pages == read.pages  # type: ignore[union-attr]
