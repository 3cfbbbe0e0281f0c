"""Workbooks with a row or a string that never ends: refused before anything of them is built."""

from pathlib import Path
from typing import Any

import pytest

from services.worker.engines.office import endless
from services.worker.engines.office.package import Package
from services.worker.engines.port import Refused
from shared.jobs.codes import FailureCode as Code
from tests.services.worker.engines import office_files as made
from tests.services.worker.engines.conftest import Reader

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
CELL = '<c t="inlineStr"><is><t>x</t></is></c>'


def with_part(name: str, content: str) -> bytes:
    book = made.workbook(lambda book: book.active.append(["word"]))
    return made.changed(book, name, lambda _: content.encode())


def sheet(rows: str, behind: str = "") -> bytes:
    content = f"<worksheet {MAIN}><sheetData>{rows}</sheetData>{behind}</worksheet>"
    return with_part("xl/worksheets/sheet1.xml", content)


def strings(content: str) -> bytes:
    book = sheet('<row r="1"><c t="s"><v>0</v></c></row>')
    return made.with_strings(book, f"<sst {MAIN}>{content}</sst>".encode())


def prefixed(rows: str) -> bytes:
    content = (
        f"<x:worksheet {MAIN.replace('xmlns', 'xmlns:x')}><x:sheetData>{rows}</x:sheetData></x:worksheet>"
    )
    return with_part("xl/worksheets/sheet1.xml", content)


ENDLESS = {
    "cells": lambda: sheet(f'<row r="1">{CELL * 200_000}</row>'),
    "cells, after good rows": lambda: sheet(f"<row>{CELL}</row>" * 50_000 + f"<row>{CELL * 200_000}</row>"),
    "cells, of a name with a prefix": lambda: prefixed(f"<x:row>{'<x:c/>' * 1_100_000}</x:row>"),
    "elements that are no rows": lambda: sheet("<a/>" * 1_100_000),
    "one cell's text": lambda: sheet(f"<row><c t='inlineStr'><is><t>{'x' * 36_000_000}</t></is></c></row>"),
    "pieces of one string": lambda: strings(f"<si>{'<r><t>x</t></r>' * 300_000}</si>"),
    "strings": lambda: strings("<si/>" * 2_100_000),
}
HARMLESS = {
    "the widest row": lambda: sheet(f"<row>{CELL * 16_384}</row>" * 3),
    "short rows, many": lambda: sheet(f'<row r="1">{CELL}</row>' * 300_000),
    "empty rows, many": lambda: sheet('<row r="1"/>' * 1_500_000),
    "rows of a name with a prefix": lambda: prefixed('<x:row r="1"><x:c/></x:row>' * 600_000),
    "much behind the rows": lambda: sheet(
        f"<row>{CELL}</row>", f"<mergeCells>{'<mergeCell/>' * 1_100_000}</mergeCells>"
    ),
    "strings, many": lambda: strings("<si><t>word</t></si>" * 600_000),
}


def looked_at(content: bytes, folder: Path) -> None:
    path = folder / "a.xlsx"
    path.write_bytes(content)
    endless.look(Package(path))


@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_refused(tmp_path: Path, what: str) -> None:
    with pytest.raises(Refused) as refusal:
        looked_at(ENDLESS[what](), tmp_path)
    assert refusal.value.code is Code.DOCUMENT_TOO_LARGE


@pytest.mark.parametrize("what", HARMLESS)
def test_what_is_only_large_is_let_through(tmp_path: Path, what: str) -> None:
    looked_at(HARMLESS[what](), tmp_path)


async def test_shared_strings_are_read(reader: Reader) -> None:
    read = await reader.read(strings("<si><t>shared word</t></si>"), "a.xlsx")
    assert "shared word" in read.pages[0].text


async def test_a_row_without_an_end_costs_no_more_than_a_look(reader: Reader) -> None:
    done = await reader.done(sheet(f"<row>{CELL * 1_000_000}</row>"), "a.xlsx")
    assert done.code is Code.DOCUMENT_TOO_LARGE
    assert "A row of a sheet" in (done.message or "")


async def test_a_hidden_sheet_without_an_end_is_refused_too(reader: Reader) -> None:
    def hide(book: Any) -> None:
        book.active.append(["word"])
        book.create_sheet("two").sheet_state = "hidden"

    book = made.workbook(hide)
    content = f"<worksheet {MAIN}><sheetData><row>{CELL * 200_000}</row></sheetData></worksheet>"
    hidden = made.changed(book, "xl/worksheets/sheet2.xml", lambda _: content.encode())
    assert (await reader.done(hidden, "a.xlsx")).code is Code.DOCUMENT_TOO_LARGE
