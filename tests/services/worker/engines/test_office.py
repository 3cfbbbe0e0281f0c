"""Office documents and e-mails, each through a real sandboxed child."""

import datetime as dt
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from tests.services.worker.engines import office_files as made
from tests.services.worker.engines.conftest import Reader


def a_report(document: Any) -> None:
    document.add_heading("Report", 1)
    made.linked(document, document.add_paragraph("See "), "the site", "https://example.org/a")
    document.add_paragraph("one", style="List Bullet")
    document.add_paragraph("deep", style="List Bullet 2")
    document.add_paragraph("first", style="List Number")
    table = document.add_table(2, 2)
    for at, text in enumerate(("Item", "Price", "Pump", "1|2")):
        table.cell(at // 2, at % 2).text = text
    document.add_page_break()
    document.add_heading("Next", 2)


async def test_a_word_document_in_text_markdown_and_items(reader: Reader) -> None:
    document = await reader.read(made.word(a_report), "named-wrongly.pdf")
    first, second = document.pages
    assert document.document["kind"] == "docx"
    assert first.text.startswith("Report\n\nSee the site\n\n- one\n  - deep\n- first\n\nItem\tPrice")
    assert first.markdown is not None
    assert first.markdown.startswith(
        "# Report\n\nSee [the site](https://example.org/a)\n\n- one\n   - deep\n1. "
    )
    assert first.items is not None
    assert [item["type"] for item in first.items] == ["heading", "text", "list", "list", "table"]
    nested = first.items[2]
    assert [one["type"] for one in nested["items"]] == ["text", "list"]
    assert (nested["ordered"], first.items[3]["ordered"]) == (False, True)
    assert first.items[4] == {
        "type": "table",
        "md": "| Item | Price |\n| --- | --- |\n| Pump | 1\\|2 |",
        "rows": [["Item", "Price"], ["Pump", "1|2"]],
        "html": "<table><thead><tr><th>Item</th><th>Price</th></tr></thead>"
        "<tbody><tr><td>Pump</td><td>1|2</td></tr></tbody></table>",
        "csv": "Item,Price\nPump,1|2",
    }
    assert (second.text, second.markdown) == ("Next", "## Next")


async def test_where_word_laid_pages_out_its_pages_are_taken(reader: Reader) -> None:
    def write(document: Any) -> None:
        document.add_paragraph("one")
        made.rendered_break(document.add_paragraph("two"))
        document.add_page_break()
        made.rendered_break(document.add_paragraph("three"))

    document = await reader.read(made.word(write), "a.docx")
    assert [page.text for page in document.pages] == ["one", "two", "three"]


async def test_pages_are_chosen_and_fast_makes_text_only(reader: Reader) -> None:
    def write(document: Any) -> None:
        for number in range(1, 6):
            document.add_paragraph(f"page {number}")
            document.add_page_break()

    content = made.word(write)
    chosen = await reader.read(content, "a.docx", page_ranges={"target_pages": "2,4-5"}, tier="fast")
    assert [(page.page_number, page.text) for page in chosen.pages] == [
        (2, "page 2"),
        (4, "page 4"),
        (5, "page 5"),
    ]
    assert all(page.markdown is None and page.items is None for page in chosen.pages)
    first = await reader.read(content, "a.docx", page_ranges={"max_pages": 2})
    assert [page.page_number for page in first.pages] == [1, 2]


async def test_a_workbook_is_one_page_for_each_sheet_that_is_shown(reader: Reader) -> None:
    def write(book: Any) -> None:
        sheet = book.active
        sheet.title = "Sales"
        sheet.append(["day", "sum", "paid", None])
        sheet.append([dt.date(2026, 1, 2), 2.5, True])
        sheet["A9"] = "last"
        sheet["B9"] = "=SUM(B2:B3)"
        book.create_sheet("More").append([1, "x,y"])
        hidden = book.create_sheet("Hidden")
        hidden.append(["secret"])
        hidden.sheet_state = "hidden"

    document = await reader.read(made.workbook(write), "a.xlsx")
    assert dict(document.document) == {
        "kind": "xlsx",
        "pages": 2,
        "sheets": ["Sales", "More"],
        "hidden_sheets": ["Hidden"],
    }
    first, second = document.pages
    assert first.items is not None
    assert second.items is not None
    assert first.items[1]["rows"] == [["day", "sum", "paid"], ["2026-01-02", 2.5, "TRUE"], ["last"]]
    assert second.items[1]["csv"] == '1,"x,y"'
    assert second.text == "More\n\n1\tx,y"
    assert "secret" not in "".join(page.text for page in document.pages)


async def test_a_presentation_is_one_page_for_each_slide_with_its_notes(reader: Reader) -> None:
    def write(presentation: Any) -> None:
        for name in ("First", "Hidden", "Last"):
            slide = presentation.slides.add_slide(presentation.slide_layouts[1])
            slide.shapes.title.text = name
            slide.placeholders[1].text = "a point"
            slide.placeholders[1].text_frame.add_paragraph().text = "below it"
            slide.placeholders[1].text_frame.paragraphs[1].level = 1
        presentation.slides[1]._element.set("show", "0")
        presentation.slides[2].notes_slide.notes_text_frame.text = "Say this."
        table = presentation.slides[2].shapes.add_table(1, 2, 0, 0, 100, 100).table
        table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"

    document = await reader.read(made.slides(write), "a.pptx")
    first, last = document.pages
    assert document.document["hidden_slides"] == 1
    assert first.markdown == "# First\n\n- a point\n   - below it"
    assert (first.width, first.height) == (720, 540)
    assert last.markdown is not None
    assert last.markdown.endswith("| a | b |\n| --- | --- |\n\n## Notes\n\nSay this.")


async def test_an_opendocument_text(reader: Reader) -> None:
    styles = (
        '<style:style style:name="P9"><style:paragraph-properties fo:break-before="page"/></style:style>'
        '<text:list-style style:name="L1"><text:list-level-style-number/></text:list-style>'
    )
    body = (
        '<text:h text:outline-level="2">Title</text:h><text:p>a<text:s text:c="2"/>b '
        '<text:a xlink:href="https://example.org/">here</text:a></text:p>'
        '<text:list text:style-name="L1"><text:list-item><text:p>one</text:p></text:list-item></text:list>'
        '<text:p text:style-name="P9">second</text:p><text:p>be<text:soft-page-break/>yond</text:p>'
    )
    document = await reader.read(made.opendocument("text", body, styles), "a.odt")
    assert [page.markdown for page in document.pages] == [
        "## Title\n\na  b [here](https://example.org/)\n\n1. one",
        "second\n\nbe",
        "yond",
    ]


async def test_an_opendocument_spreadsheet_and_its_repeated_cells(reader: Reader) -> None:
    cell = (
        '<table:table-cell office:value-type="float" office:value="{}"{}>'
        "<text:p>x</text:p></table:table-cell>"
    )
    body = (
        '<table:table table:name="One"><table:table-row table:number-rows-repeated="2">'
        + cell.format("1.5", ' table:number-columns-repeated="2"')
        + "<table:table-cell/><table:table-cell><text:p>end</text:p></table:table-cell>"
        '<table:table-cell table:number-columns-repeated="16000"/></table:table-row>'
        '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
        '</table:table><table:table table:name="Two" table:style-name="off"/>'
    )
    styles = '<style:style style:name="off"><style:table-properties table:display="false"/></style:style>'
    document = await reader.read(made.opendocument("spreadsheet", body, styles), "a.ods")
    (page,) = document.pages
    assert page.items is not None
    assert page.items[1]["rows"] == [[1.5, 1.5, "", "end"]] * 2
    assert document.document["hidden_sheets"] == ["Two"]


async def test_an_opendocument_presentation(reader: Reader) -> None:
    body = (
        '<draw:page><draw:frame presentation:class="title"><draw:text-box>'
        "<text:p>Hello</text:p></draw:text-box>"
        "</draw:frame><draw:frame><draw:text-box><text:p>words</text:p></draw:text-box></draw:frame>"
        "<presentation:notes><draw:frame><draw:text-box><text:p>aside</text:p></draw:text-box></draw:frame>"
        "</presentation:notes></draw:page><draw:page><draw:frame><draw:text-box><text:p>2</text:p>"
        "</draw:text-box></draw:frame></draw:page>"
    )
    document = await reader.read(made.opendocument("presentation", body), "a.odp")
    assert [page.markdown for page in document.pages] == ["# Hello\n\nwords\n\n## Notes\n\naside", "2"]


def _with_attachment(message: EmailMessage) -> None:
    message.set_content("Dear Ben,\n\nit *runs*.")
    message.add_alternative("<p>HTML</p>", subtype="html")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="größe.pdf")


def _html_only(message: EmailMessage) -> None:
    message.set_content(
        "<style>x</style><h1>Hi</h1><p>see <a href='https://a.example/'>it</a></p>", subtype="html"
    )


@pytest.mark.parametrize(
    ("write", "markdown", "attachments"),
    [
        (
            _with_attachment,
            "Dear Ben,\n\nit \\*runs\\*.\n\n## Attachments (not read)\n\n- größe.pdf",
            ["größe.pdf"],
        ),
        (_html_only, "# Hi\n\nsee [it](https://a.example/)", None),
    ],
)
async def test_an_email(
    reader: Reader, write: Callable[[EmailMessage], None], markdown: str, attachments: list[str] | None
) -> None:
    document = await reader.read(made.mail(write), "a.eml")
    (page,) = document.pages
    assert page.markdown is not None
    assert page.markdown.startswith("# The größte pump\n\nFrom: Ada \\<ada@example.org>  \nTo: Ben")
    assert page.markdown.endswith(markdown)
    assert document.document.get("attachments") == attachments
