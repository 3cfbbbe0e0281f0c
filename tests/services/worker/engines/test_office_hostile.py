"""Office documents that are broken, protected or built to hurt: each ends with a code."""

import struct
from typing import Any

import pytest

from shared.jobs.codes import FailureCode as Code
from tests.services.worker.engines import office_files as made
from tests.services.worker.engines.conftest import Reader

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def document() -> bytes:
    def write(document: Any) -> None:
        document.add_paragraph("words")

    return made.word(write)


def sheet_with(rows: str) -> bytes:
    book = made.workbook(lambda book: book.active.append(["x"]))
    start = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    content = start + rows.encode() + b"</sheetData></worksheet>"
    return made.changed(book, "xl/worksheets/sheet1.xml", lambda _: content)


def declared(declaration: bytes) -> bytes:
    def change(part: bytes) -> bytes:
        return declaration + part.partition(b"?>")[2].replace(b"words", b"&c;")

    return made.changed(document(), "word/document.xml", change)


def promised(size: int) -> bytes:
    """A document whose directory says that a part has this many bytes."""
    content = bytearray(made.changed(document(), "word/document.xml", lambda part: part + b" " * 1000))
    at = content.rindex(b"word/document.xml") - 46
    struct.pack_into("<I", content, at + 24, size)
    return bytes(content)


def encrypted_member() -> bytes:
    content = bytearray(document())
    at = content.rindex(b"word/document.xml") - 46
    struct.pack_into("<H", content, at + 8, struct.unpack_from("<H", content, at + 8)[0] | 1)
    return bytes(content)


def odf_protected() -> bytes:
    manifest = (
        '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><m:file-entry>'
        "<m:encryption-data/></m:file-entry></m:manifest>"
    )
    return made.opendocument("text", "<text:p>x</text:p>", manifest=manifest)


def bomb() -> bytes:
    return made.changed(
        document(), "word/document.xml", lambda part: part.replace(b"words", b"A" * (100 * 2**20))
    )


def deep(levels: int) -> bytes:
    inner = "<text:section>" * levels + "<text:p>x</text:p>" + "</text:section>" * levels
    return made.opendocument("text", inner)


def repeated() -> bytes:
    row = (
        '<table:table-row table:number-rows-repeated="1048576"><table:table-cell'
        ' table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell></table:table-row>'
    )
    return made.opendocument("spreadsheet", f'<table:table table:name="A">{row}</table:table>')


CASES = {
    "another archive": (made.archive({"a.txt": "words"}), Code.UNSUPPORTED_FILE_TYPE, "ZIP archive"),
    "an empty archive": (made.archive({}), Code.UNSUPPORTED_FILE_TYPE, "ZIP archive"),
    "cut in half": (document()[: len(document()) // 2], Code.ENGINE_ERROR, "damaged"),
    "no archive": (b"PK\x03\x04" + bytes(200), Code.ENGINE_ERROR, "damaged"),
    "the old format": (OLE, Code.UNSUPPORTED_FILE_TYPE, "old format"),
    "encrypted by Office": (
        OLE + "EncryptedPackage".encode("utf-16-le") + bytes(96),
        Code.UNSUPPORTED_FILE_TYPE,
        "password",
    ),
    "an encrypted member": (encrypted_member(), Code.UNSUPPORTED_FILE_TYPE, "password"),
    "an encrypted text": (odf_protected(), Code.UNSUPPORTED_FILE_TYPE, "password"),
    "billion laughs": (declared(LAUGHS), Code.ENGINE_ERROR, "declares a document type"),
    "an entity from outside": (declared(OUTSIDE), Code.ENGINE_ERROR, "declares a document type"),
    "no XML": (
        made.changed(document(), "word/document.xml", lambda _: b"words"),
        Code.ENGINE_ERROR,
        "no XML",
    ),
    "a false size": (promised(10), Code.ENGINE_ERROR, "damaged"),
    "a promise of 4 GB": (promised(2**32 - 2), Code.DOCUMENT_TOO_LARGE, "parts"),
    "a part of 100 MB": (bomb(), Code.DOCUMENT_TOO_LARGE, "once unpacked"),
    "nested deep": (deep(2_000), Code.ENGINE_ERROR, "damaged"),
    "17 billion cells": (repeated(), Code.DOCUMENT_TOO_LARGE, "cells"),
    "a row that is none": (
        sheet_with('<row r="99999999999"><c r="A1" t="inlineStr"><is><t>x</t></is></c></row>'),
        Code.DOCUMENT_TOO_LARGE,
        "spans",
    ),
    "a sheet that is none": (
        sheet_with('<row r="x"><c r="%"><v>1</v></c></row>'),
        Code.ENGINE_ERROR,
        "damaged",
    ),
    "nothing in it": (made.word(lambda _: None), Code.NO_DATA_FOUND_IN_FILE, "no text"),
    "only hidden sheets of nothing": (
        made.opendocument("spreadsheet", ""),
        Code.NO_DATA_FOUND_IN_FILE,
        "no text",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_bad_document_ends_with_a_code(reader: Reader, case: str) -> None:
    content, code, words = CASES[case]
    done = await reader.done(content, "a.docx")
    assert done.code is code, done.message
    assert words in (done.message or "")
    assert not done.retryable
    assert (await reader.read(document(), "a.docx")).pages[0].text == "words"


async def test_a_cell_at_the_far_corner_costs_nothing(reader: Reader) -> None:
    corner = '<row r="1048576"><c r="XFD1048576"><v>7</v></c></row>'
    first = '<row r="1"><c r="A1"><v>1</v></c></row>'
    read = await reader.read(sheet_with(first + corner), "a.xlsx")
    items = read.pages[0].items
    assert items is not None
    assert items[1]["rows"][0] == [1]
    assert items[1]["rows"][1][-1] == 7


async def test_what_is_embedded_or_outside_is_not_followed(reader: Reader) -> None:
    def change(part: bytes) -> bytes:
        frame = b'<w:p><w:r><w:object/></w:r></w:p><w:altChunk r:id="rIdX"/>'
        return part.replace(b"<w:sectPr", frame + b"<w:sectPr")

    read = await reader.read(made.changed(document(), "word/document.xml", change), "a.docx")
    assert read.pages[0].text == "words"


def test_the_bomb_is_one() -> None:
    assert len(bomb()) < 2**20
