"""Archives, and documents that are archives, which unpack to more than anybody wants to read."""

import gzip
import io
import zipfile

import docx
import openpyxl

from shared.jobs.codes import FailureCode as Code
from tests.corpus.hostile import COMPLETED, Corpus, ends_as
from tests.services.worker.engines.office_files import with_strings

LAUGHS = b'<!DOCTYPE x [<!ENTITY a0 "ha">%s]>' % b"".join(
    b'<!ENTITY a%d "%s">' % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 10)
)
CELL = b'<c t="inlineStr"><is><t>x</t></is></c>'
SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'


def word() -> bytes:
    out = io.BytesIO()
    document = docx.Document()
    document.add_paragraph("words")
    document.save(out)
    return out.getvalue()


def workbook() -> bytes:
    out = io.BytesIO()
    openpyxl.Workbook().save(out)
    return out.getvalue()


def with_part(content: bytes, name: str, part: bytes) -> bytes:
    """The same archive with one part replaced."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for other in old.namelist():
            new.writestr(other, part if other == name else old.read(other))
    return out.getvalue()


def word_with(body: bytes, before: bytes = b"") -> bytes:
    start = b'<?xml version="1.0"?>' + before
    start += b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    return with_part(word(), "word/document.xml", start + body + b"</w:body></w:document>")


def sheet_with(rows: bytes) -> bytes:
    return with_part(workbook(), "xl/worksheets/sheet1.xml", SHEET + rows + b"</sheetData></worksheet>")


def strings_of(items: bytes) -> bytes:
    start = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    return with_strings(workbook(), start + items + b"</sst>")


def paragraph(text: bytes) -> bytes:
    return b"<w:p><w:r><w:t>" + text + b"</w:t></w:r></w:p>"


def deep_tables(levels: int) -> bytes:
    return word_with(b"<w:tbl><w:tr><w:tc>" * levels + paragraph(b"x") + b"</w:tc></w:tr></w:tbl>" * levels)


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(8):
            file.writestr(f"{number}", bytes(32 * 2**20))
    return out.getvalue()


def many_members(count: int) -> bytes:
    out = io.BytesIO(word())
    with zipfile.ZipFile(out, "a") as file:
        for number in range(count):
            file.writestr(f"word/{number}", b"")
    return out.getvalue()


LARGE = Code.DOCUMENT_TOO_LARGE
ARCHIVES: Corpus = {
    "bomb.zip": ends_as(zip_bomb, Code.UNSUPPORTED_FILE_TYPE, LARGE),
    "bomb.gz": ends_as(lambda: gzip.compress(bytes(128 * 2**20)), Code.UNSUPPORTED_FILE_TYPE),
    "bomb.docx": ends_as(lambda: word_with(paragraph(b"A" * (128 * 2**20))), LARGE),
    "laughs.docx": ends_as(lambda: word_with(paragraph(b"&a9;"), LAUGHS), Code.ENGINE_ERROR),
    "tables-5000-deep.docx": ends_as(lambda: deep_tables(5_000), Code.ENGINE_ERROR),
    "members-70000.docx": ends_as(lambda: many_members(70_000), LARGE, Code.ENGINE_ERROR, COMPLETED),
    "row-of-20000.xlsx": ends_as(lambda: sheet_with(b"<row>" + CELL * 20_000 + b"</row>"), LARGE, COMPLETED),
    "bomb.xlsx": ends_as(lambda: sheet_with(b"<row>" + CELL * 3_000_000 + b"</row>"), LARGE),
    "strings.xlsx": ends_as(lambda: strings_of(b"<si/>" * 20_000_000), LARGE),
    "string.xlsx": ends_as(lambda: strings_of(b"<si>" + b"<r><t>x</t></r>" * 2_000_000 + b"</si>"), LARGE),
    "laughs.xlsx": ends_as(
        lambda: with_part(workbook(), "xl/workbook.xml", LAUGHS + b"<x>&a9;</x>"), Code.ENGINE_ERROR
    ),
    "cut.docx": ends_as(lambda: word()[:-200], Code.ENGINE_ERROR),
}
