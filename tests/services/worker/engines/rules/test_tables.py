"""Rows of tables: seen in columns of text, or written out by the source."""

from typing import Any

from services.worker.engines.rules import extract
from shared.jobs.result import Extraction, Page, ResultDocument
from tests.documents.truths import INVOICE

STOCK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "price": {"type": "number"},
        "in_stock": {"type": ["boolean", "null"]},
        "added": {"type": ["string", "null"], "format": "date"},
    },
    "required": ["name", "price"],
}


def rows(text: str, *, kind: str, markdown: str | None = None) -> Extraction:
    document = ResultDocument("test", (Page(1, text, markdown),), {"kind": kind})
    return extract(document, {"data_schema": STOCK, "extraction_target": "per_table_row"})


def items(text: str) -> list[dict[str, Any]]:
    pages = tuple(Page(number, words) for number, words in enumerate(text.split("\f"), 1))
    found: list[dict[str, Any]] = extract(ResultDocument("test", pages), {"data_schema": INVOICE}).data[
        "items"
    ]
    return found


def test_each_row_of_a_csv_is_an_answer_and_a_bad_one_is_null_not_the_end() -> None:
    text = (
        "name;price;in stock;added\nLamp;12,50;yes;01.02.2024\nBad;n/a;maybe;31.02.2024\nDesk;1.299,00;no;\n"
    )
    found = rows(text, kind="csv")
    assert found.data == [
        {"name": "Lamp", "price": 12.5, "in_stock": True, "added": "2024-02-01"},
        {"name": "Bad", "price": None, "in_stock": None, "added": None},
        {"name": "Desk", "price": 1299, "in_stock": False, "added": None},
    ]
    assert found.missing_fields == ("[1].price",)
    assert found.fields["row_metadata"][0]["price"]["citation"] == [{"page": 1, "matching_text": "12,50"}]
    assert len(found.fields["row_metadata"]) == 3


def test_a_table_of_markdown_is_read_by_its_bars() -> None:
    table = (
        "Words before.\n\n| Name | Added | Price |\n| --- | --- | --- |\n"
        "| Lamp \\| small | 2024-02-01 | 3.50 |\n"
    )
    assert rows(table, kind="markdown", markdown=table).data == [
        {"name": "Lamp | small", "price": 3.5, "in_stock": None, "added": "2024-02-01"}
    ]


def test_a_table_whose_head_names_nothing_gives_no_rows() -> None:
    assert rows("planet,moons\nMars,2\n", kind="csv").data == []


HEAD = "Description                 Quantity   Unit price     Amount\n"


def test_a_wrapped_text_belongs_to_its_row_and_totals_end_the_table() -> None:
    text = HEAD + (
        "Oak shelf, with four              2        10.00      20.00\n"
        "brackets and screws\n"
        "Tape                              1         2.00       2.00\n"
        "\n"
        "                                        Subtotal      22.00\n"
        "Thing                             9         9.00      81.00\n"
    )
    assert items(text) == [
        {
            "description": "Oak shelf, with four brackets and screws",
            "quantity": 2,
            "unit_price": 10,
            "amount": 20,
        },
        {"description": "Tape", "quantity": 1, "unit_price": 2, "amount": 2},
    ]


def test_a_table_goes_on_under_its_head_on_the_next_page() -> None:
    first = HEAD + "Tape                              1         2.00       2.00\n"
    second = HEAD + "Rope                              3         1.00       3.00\n"
    assert [item["description"] for item in items(first + "\f" + second)] == ["Tape", "Rope"]


def test_words_under_a_table_are_no_row() -> None:
    text = HEAD + "Tape                              1         2.00       2.00\n\nThank you for your order.\n"
    assert len(items(text)) == 1


def test_a_cell_that_is_empty_is_null() -> None:
    text = HEAD + "Advice                                                  2.00\nTape      1    2.00\n"
    assert items(text)[0] == {"description": "Advice", "quantity": None, "unit_price": None, "amount": 2}


def test_one_word_over_some_lines_is_no_table() -> None:
    words = {"type": "array", "items": {"type": "object", "properties": {"notes": {"type": "string"}}}}
    plain = {"type": "array", "items": {"type": "string"}}
    schema = {"type": "object", "properties": {"lines": words, "notes": plain}}
    document = ResultDocument("test", (Page(1, "Notes\nFirst line\nSecond line\n"),))
    assert extract(document, {"data_schema": schema}).data == {"lines": [], "notes": []}
