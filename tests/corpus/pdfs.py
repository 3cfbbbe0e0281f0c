"""PDFs that are broken, endless or far larger inside than outside. Written by hand: no library would."""

import io
import zlib
from collections.abc import Sequence

from reportlab.lib.pagesizes import LETTER
from reportlab.pdfgen import canvas

from shared.jobs.codes import FailureCode as Code
from tests.corpus.hostile import COMPLETED, Corpus, ends_as

CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
PAGES = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
WORDS = b"BT /F 12 Tf 72 700 Td (words of a page that can be read) Tj ET"


def sane(pages: int = 1, *, password: str | None = None) -> bytes:
    """A PDF that does no harm."""
    out = io.BytesIO()
    sheet = canvas.Canvas(out, pagesize=LETTER, encrypt=password)
    for page in range(1, pages + 1):
        for line in range(20):
            sheet.drawString(72, 700 - line * 14, f"Line {line} of page {page} is here to be read.")
        sheet.showPage()
    sheet.save()
    return out.getvalue()


def stream(content: bytes, more: bytes = b"", *, packed: int = 0) -> bytes:
    """A stream object; `packed` says how many times it is deflated."""
    for _ in range(packed):
        content = zlib.compress(content, 9)
    filters = b"/Filter [" + b"/FlateDecode " * packed + b"]" if packed else b""
    return b"<< /Length %d %s %s >>\nstream\n%s\nendstream" % (len(content), filters, more, content)


def page(more: bytes = b"", box: bytes = b"[0 0 612 792]") -> bytes:
    """A page whose content is object 4 and whose font is object 5."""
    fonts = b"/Resources << /Font << /F 5 0 R >> /XObject << /X 6 0 R >> >>"
    return b"<< /Type /Page /Parent 2 0 R /MediaBox %s /Contents 4 0 R %s %s >>" % (box, fonts, more)


def written(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """A file of these objects, numbered from 1, with a right cross-reference table."""
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\n" % (len(objects) + 1, trailer)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % at)


def plain(content: bytes = WORDS, *more: bytes, **of_page: bytes) -> bytes:
    """One page with this content stream, and objects from 6 on."""
    return written([CATALOG, PAGES, page(**of_page), stream(content), FONT, *more])


def cut_in_half() -> bytes:
    whole = sane(20)
    return whole[: len(whole) // 2]


def cyclic_page_tree() -> bytes:
    return written([CATALOG, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"])


def two_nodes_in_a_ring() -> bytes:
    return written(
        [
            CATALOG,
            b"<< /Type /Pages /Kids [3 0 R] /Count 9 /Parent 3 0 R >>",
            b"<< /Type /Pages /Kids [2 0 R] /Count 9 /Parent 2 0 R >>",
        ]
    )


def cyclic_xref() -> bytes:
    at = plain().rindex(b"xref\n0 ")
    return written([CATALOG, PAGES, page(), stream(WORDS), FONT], b"/Prev %d" % at)


def page_tree_explosion() -> bytes:
    """Nine levels of ten times the same child: a thousand million pages in two kilobytes."""
    nodes = [
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b"%d 0 R " % (level + 1) * 10, 10 ** (11 - level))
        for level in range(2, 11)
    ]
    leaf = b"<< /Type /Page /Parent 10 0 R /MediaBox [0 0 612 792] >>"
    return written([CATALOG, *nodes, leaf])


def false_count(count: int) -> bytes:
    return written(
        [CATALOG, b"<< /Type /Pages /Kids [3 0 R] /Count %d >>" % count, page(), stream(WORDS), FONT]
    )


def form_explosion(levels: int) -> bytes:
    """Forms that draw the next one ten times each: ten to the power of `levels` lines of text."""
    forms = [
        stream(
            b"/X Do " * 10,
            b"/Subtype /Form /BBox [0 0 612 792] /Resources << /XObject << /X %d 0 R >> >>" % number,
        )
        for number in range(7, 6 + levels)
    ]
    last = stream(WORDS, b"/Subtype /Form /BBox [0 0 612 792] /Resources << /Font << /F 5 0 R >> >>")
    return plain(b"/X Do", *forms, last)


def form_in_itself(times: int = 1) -> bytes:
    own = b"/Subtype /Form /BBox [0 0 612 792] /Resources << /XObject << /X 6 0 R >> >>"
    return plain(WORDS + b" /X Do", stream(b"/X Do " * times, own))


def flate_bomb(megabytes: int, packed: int) -> bytes:
    content = stream(WORDS + b"\n" * (megabytes * 2**20), packed=packed)
    return written([CATALOG, PAGES, page(), content, FONT])


def deep_arrays(levels: int) -> bytes:
    return plain(more=b"/X " + b"[" * levels + b"]" * levels)


def deep_states(levels: int) -> bytes:
    return plain(b"q " * levels + WORDS + b" Q" * levels)


def annotations(count: int) -> bytes:
    one = b"<< /Type /Annot /Subtype /Text /Rect [0 0 10 10] /Contents (note) >> "
    return plain(more=b"/Annots [" + one * count + b"]")


def with_script() -> bytes:
    script = b"/OpenAction << /S /JavaScript /JS (while \\(true\\) { app.alert\\('owned'\\); }) >>"
    start = b"<< /Type /Catalog /Pages 2 0 R %s >>" % script
    return written([start, PAGES, page(), stream(WORDS), FONT])


def length_of_itself() -> bytes:
    content = b"<< /Length 4 0 R >>\nstream\n" + WORDS + b"\nendstream"
    return written([CATALOG, PAGES, page(), content, FONT])


def object_stream_in_itself() -> bytes:
    inner = stream(b"4 0 << >>", b"/Type /ObjStm /N 1 /First 4 /Extends 4 0 R")
    return written([CATALOG, PAGES, page(), inner, FONT])


def huge_image(side: int) -> bytes:
    """A page that shows one picture of so many pixels a side, all of them alike."""
    row = zlib.compressobj(9)
    packed = b"".join(row.compress(bytes(side)) for _ in range(side)) + row.flush()
    facts = b"/Subtype /Image /Width %d /Height %d /BitsPerComponent 8 /ColorSpace /DeviceGray" % (side, side)
    picture = stream(packed, facts + b" /Filter /FlateDecode")
    return plain(b"612 0 0 792 0 0 cm /X Do", picture)


def many_glyphs(count: int) -> bytes:
    """One page on which a million letters lie over each other."""
    return plain(b"BT /F 12 Tf 72 700 Td " + b"(aaaaaaaaaa) Tj " * (count // 10) + b" ET")


PDFS: Corpus = {
    "cut-in-half.pdf": ends_as(cut_in_half, Code.PDF_IS_BROKEN),
    "header-only.pdf": ends_as(lambda: b"%PDF-1.7\n", Code.PDF_IS_BROKEN),
    "page-tree-in-itself.pdf": ends_as(cyclic_page_tree, Code.PDF_IS_BROKEN, Code.NO_DATA_FOUND_IN_FILE),
    "page-tree-ring.pdf": ends_as(two_nodes_in_a_ring, Code.PDF_IS_BROKEN, Code.NO_DATA_FOUND_IN_FILE),
    "xref-in-itself.pdf": ends_as(cyclic_xref, COMPLETED, Code.PDF_IS_BROKEN),
    "page-tree-explosion.pdf": ends_as(
        page_tree_explosion, Code.TOO_MANY_PAGES, Code.PDF_IS_BROKEN, Code.NO_DATA_FOUND_IN_FILE
    ),
    "count-of-a-million.pdf": ends_as(lambda: false_count(10**6), Code.TOO_MANY_PAGES),
    "count-below-zero.pdf": ends_as(
        lambda: false_count(-5), COMPLETED, Code.PDF_IS_BROKEN, Code.NO_DATA_FOUND_IN_FILE
    ),
    "too-many-pages.pdf": ends_as(lambda: sane(5_001), Code.TOO_MANY_PAGES, heavy=True),
    "protected.pdf": ends_as(lambda: sane(password="secret"), Code.PDF_IS_PROTECTED),
    "form-explosion-4.pdf": ends_as(lambda: form_explosion(4), COMPLETED),
    "form-explosion-9.pdf": ends_as(lambda: form_explosion(9), Code.TIMEOUT, Code.OUT_OF_MEMORY, heavy=True),
    "form-in-itself.pdf": ends_as(form_in_itself, COMPLETED),
    "form-in-itself-twice.pdf": ends_as(
        lambda: form_in_itself(2), COMPLETED, Code.TIMEOUT, Code.OUT_OF_MEMORY, heavy=True
    ),
    "flate-bomb-64MB.pdf": ends_as(lambda: flate_bomb(64, 1), COMPLETED),
    "flate-bomb-1GB-twice.pdf": ends_as(
        lambda: flate_bomb(1024, 2), COMPLETED, Code.OUT_OF_MEMORY, Code.PDF_IS_BROKEN, heavy=True
    ),
    "arrays-100000-deep.pdf": ends_as(lambda: deep_arrays(100_000), COMPLETED, Code.PDF_IS_BROKEN),
    "states-100000-deep.pdf": ends_as(lambda: deep_states(100_000), COMPLETED),
    "annotations-20000.pdf": ends_as(lambda: annotations(20_000), COMPLETED),
    "script.pdf": ends_as(with_script, COMPLETED),
    "length-of-itself.pdf": ends_as(length_of_itself, COMPLETED, Code.PDF_IS_BROKEN),
    "object-stream-in-itself.pdf": ends_as(object_stream_in_itself, COMPLETED, Code.PDF_IS_BROKEN),
    "box-of-a-trillion.pdf": ends_as(
        lambda: plain(box=b"[0 0 1000000000000 1000000000000]"), COMPLETED, Code.PDF_IS_BROKEN
    ),
    "box-below-zero.pdf": ends_as(lambda: plain(box=b"[612 792 -99999999 -99999999]"), COMPLETED),
    "box-of-nothing.pdf": ends_as(lambda: plain(box=b"[0 0 0 0]"), COMPLETED),
    "picture-20000.pdf": ends_as(
        lambda: huge_image(20_000), COMPLETED, Code.OUT_OF_MEMORY, Code.PDF_IS_BROKEN, heavy=True
    ),
    "glyphs-100000.pdf": ends_as(lambda: many_glyphs(100_000), COMPLETED),
    "glyphs-5000000.pdf": ends_as(
        lambda: many_glyphs(5_000_000), COMPLETED, Code.TIMEOUT, Code.OUT_OF_MEMORY, heavy=True
    ),
}
