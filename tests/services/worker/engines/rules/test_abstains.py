"""Null instead of a value that the document does not plainly give: read by the real engines."""

import json
from pathlib import Path
from typing import Any

import pytest
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

from services.cli.run.command import SAMPLES
from services.worker.engines import liteparse, office, text
from services.worker.engines.port import Source
from services.worker.engines.rules import extract
from shared.jobs.result import Extraction, ResultDocument

INVOICE: dict[str, Any] = json.loads((SAMPLES.parent / "invoice.json").read_text())["data_schema"]
NOTHING: dict[str, Any] = dict.fromkeys(INVOICE["properties"]) | {"items": []}
KINDS = {
    ".md": "markdown",
    ".txt": "text",
    ".csv": "csv",
    ".html": "html",
    ".pdf": "pdf",
    ".png": "png",
    ".docx": "zip",
    ".xlsx": "zip",
}
ENGINES = {"pdf": liteparse.parse, "png": liteparse.parse, "zip": office.parse}
NUMBER = {"type": "number"}
WORDS = {"type": "string"}
DAY = {"type": "string", "format": "date"}


def asking(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def parsed(path: Path, folder: Path) -> ResultDocument:
    kind = KINDS[path.suffix]
    engine = ENGINES.get(kind, text.parse)
    source = Source(path, path.name, kind, folder, max_pages=50, max_result_bytes=2**29)
    return engine(source, {"tier": "cost_effective"})


def read(words: str, folder: Path, schema: dict[str, Any] = INVOICE, *, suffix: str = ".txt") -> Extraction:
    path = folder / f"source{suffix}"
    path.write_text(words, encoding="utf-8")
    return extract(parsed(path, folder), {"data_schema": schema})


def given(found: Extraction) -> dict[str, Any]:
    """Every field of the first level that has a value, but for the items."""
    return {name: value for name, value in found.data.items() if value is not None and name != "items"}


def sure(found: Extraction, name: str) -> float:
    return float(found.fields["document_metadata"][name]["confidence"])


SAMPLE_INVOICE = {
    "invoice_number": "1042",
    "invoice_date": "2026-03-05",
    "due_date": "2026-04-04",
    "customer": "Okafor Water Services",
    "net_amount": 483,
    "tax": 96.6,
    "total": 579.6,
    "currency": "EUR",
    "items": [
        {"item": "Shaft seal HP-22", "quantity": 4, "price": 18.5, "amount": 74},
        {"item": "Impeller 120 mm", "quantity": 1, "price": 139, "amount": 139},
        {"item": "Test run, hours", "quantity": 6, "price": 45, "amount": 270},
    ],
}
# What a reader who knows nothing but the schema finds. The receipt has a total, but calls it `Sum`.
TRUTH: dict[str, dict[str, Any]] = {
    "invoice-1042.pdf": SAMPLE_INVOICE,
    "maintenance-plan.docx": NOTHING,
    "notes/meeting.txt": NOTHING,
    "quarterly-report.pdf": NOTHING,
    "readings.csv": NOTHING,
    "receipt.png": NOTHING,
    "release-notes.md": NOTHING,
    "scanned-letter.pdf": NOTHING,
    "spare-parts.xlsx": NOTHING,
    "weather-station.html": NOTHING,
}


def test_every_sample_is_read_here() -> None:
    files = {path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*") if path.is_file()}
    assert files == TRUTH.keys()


@pytest.mark.parametrize("name", TRUTH)
def test_a_sample_gives_what_it_says_and_no_more(name: str, tmp_path: Path) -> None:
    found = extract(parsed(SAMPLES / name, tmp_path), {"data_schema": INVOICE})
    assert found.data == TRUTH[name]


@pytest.mark.parametrize("fields", [("amount", "quantity"), ("count",), ("units", "revenue", "change")])
def test_the_columns_of_a_report_are_no_single_values(fields: tuple[str, ...], tmp_path: Path) -> None:
    document = parsed(SAMPLES / "quarterly-report.pdf", tmp_path)
    schema = asking(**dict.fromkeys(fields, NUMBER), region=WORDS)
    assert given(extract(document, {"data_schema": schema})) == {}


HEADED = "Invoice number: 9\n\n| Item | Quantity | Price | Amount |\n| --- | --- | --- | --- |\n"
ROWS = "| Nut | 3 | 100.00 | 300.00 |\n| Bolt | 5 | 40.00 | 200.00 |\n"


@pytest.mark.parametrize(
    ("row", "total"),
    [
        ("| Total | 8 | | 500.00 |", 500),
        ("| Total: | 8 pcs | x | 500.00 EUR |", 500),
        ("| Total | | | 500.00 |", 500),
        ("| Total | 8 | | |", None),
        ("| Total | 8 | 2 | |", None),
    ],
)
@pytest.mark.parametrize("fields", [INVOICE, asking(invoice_number=WORDS, total=NUMBER)])
def test_a_total_is_the_sum_of_the_money(
    row: str, total: float | None, fields: dict[str, Any], tmp_path: Path
) -> None:
    found = read(HEADED + ROWS + row + "\n", tmp_path, fields, suffix=".md")
    assert found.data["invoice_number"] == "9"
    assert found.data["total"] == total


def test_without_a_column_of_amounts_no_figure_is_the_total(tmp_path: Path) -> None:
    table = "| Region | Units | Revenue |\n| --- | --- | --- |\n| North | 1 | 300 |\n| South | 2 | 100 |\n"
    assert given(read(table + "| Total | 3 | 400 |\n", tmp_path, suffix=".md")) == {}


def test_a_pdf_whose_last_row_sums_the_pieces_too(tmp_path: Path) -> None:
    rows = [("Item", "Quantity", "Amount"), ("Nut", "3", "300.00"), ("Bolt", "5", "200.00")]
    path = tmp_path / "summed.pdf"
    words = Paragraph("Invoice number: 9", getSampleStyleSheet()["BodyText"])
    table = Table([*map(list, rows), ["Total", "8", "500.00"]], colWidths=[170, 90, 90])
    SimpleDocTemplate(str(path), invariant=1).build([words, table])
    found = extract(parsed(path, tmp_path), {"data_schema": INVOICE})
    assert (found.data["invoice_number"], found.data["total"]) == ("9", 500)
    assert [item["item"] for item in found.data["items"]] == ["Nut", "Bolt"]


def test_a_rate_beside_a_tax_is_not_its_amount(tmp_path: Path) -> None:
    found = read("Invoice number: 9\nTax      19 %      95.00\nTotal             595.00\n", tmp_path)
    assert given(found) == {"invoice_number": "9", "tax": 95, "total": 595}


ONE = asking(date=DAY, customer=WORDS, total=NUMBER)


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        (("2026-01-01,Ann Lee,5",), {"date": "2026-01-01", "customer": "Ann Lee", "total": 5}),
        (("2026-01-01,Ann Lee,5", "2026-01-02,Ann Lee,6"), {"customer": "Ann Lee"}),
        (("2026-01-01,Ann Lee,5", "2026-01-02,Bob Ray,6"), {}),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".md"])
def test_a_column_serves_a_single_field_where_it_holds_one_value(
    rows: tuple[str, ...], values: dict[str, Any], suffix: str, tmp_path: Path
) -> None:
    lines = ["date,customer,total", *rows]
    if suffix == ".md":
        barred = [f"| {line.replace(',', ' | ')} |" for line in lines]
        lines = [barred[0], "| --- | --- | --- |", *barred[1:]]
    assert given(read("\n".join(lines) + "\n", tmp_path, ONE, suffix=suffix)) == values


def test_two_columns_of_lines_are_two_addresses_and_no_table(tmp_path: Path) -> None:
    text_of = "Bill to           Ship to\nAcme Ltd          Beta Ltd\n1 Mill Road       2 Elm Avenue\n"
    party = asking(name=WORDS, address=WORDS)
    assert read(text_of, tmp_path, asking(customer=party, ship_to=party)).data == {
        "customer": {"name": "Acme Ltd", "address": "1 Mill Road"},
        "ship_to": {"name": "Beta Ltd", "address": "2 Elm Avenue"},
    }


@pytest.mark.parametrize(
    "words",
    [
        "Log of the pump\nDate: 2026-03-04\n10:00 started\n",
        "Pancakes\nDate: 4 March 2026\nTotal: 45 minutes\n",
        "Minutes\nDate: 2026-03-04\nFrom: Ann\nTo: Bob\n",
        "Dates: 2026-03-04\n",
        "Customer: we spoke about customers\n",
        "Customer: We agreed to send the offer again.\n",
    ],
)
def test_a_label_of_all_kinds_of_documents_says_nothing_alone(words: str, tmp_path: Path) -> None:
    assert given(read(words, tmp_path)) == {}


def test_it_serves_where_another_label_says_what_the_document_is(tmp_path: Path) -> None:
    found = read("Invoice number: 9\nDate: 2026-03-04\nCustomer: University of the West\n", tmp_path)
    assert given(found) == {
        "invoice_number": "9",
        "invoice_date": "2026-03-04",
        "customer": "University of the West",
    }


@pytest.mark.parametrize(
    ("sums", "currency"),
    [
        ("Total: 5.00 EUR", "EUR"),
        ("Total: $5.00", "USD"),
        ("Tax: 1.00 EUR\nTotal: 5.00 USD", None),
        ("Total: 5.00\nPaid in EUR by card", None),
    ],
)
def test_the_currency_is_that_of_the_amounts(sums: str, currency: str | None, tmp_path: Path) -> None:
    found = read(f"Invoice number: 9\n{sums}\n", tmp_path)
    assert found.data["currency"] == currency
    assert currency is None or sure(found, "currency") <= 0.6


SECOND = "Invoice number: 2\nInvoice date: 2026-02-02\nCustomer: Beta Ltd\nTotal: 6.00 USD\n"


@pytest.mark.parametrize("between", ["\n", "\n\n\nThank you.\n\n"])
def test_of_two_invoices_in_a_file_the_first_is_read(between: str, tmp_path: Path) -> None:
    found = read(f"Invoice number: 1\nTotal: 5.00 EUR\n{between}{SECOND}", tmp_path)
    assert given(found) == {"invoice_number": "1", "total": 5, "currency": "EUR"}
    assert sure(found, "invoice_number") <= 0.4


def test_a_second_invoice_on_a_page_of_its_own_gives_nothing_to_the_first(tmp_path: Path) -> None:
    path = tmp_path / "two.pdf"
    style = getSampleStyleSheet()["BodyText"]
    lines = ["Invoice number: 1", "Total: 5.00 EUR"]
    later = [Paragraph(line, style) for line in ("Due date: 2026-02-02", "Invoice number: 2", "Total: 6.00")]
    story = [*(Paragraph(line, style) for line in lines), PageBreak(), *later]
    SimpleDocTemplate(str(path), invariant=1).build(story)
    document = parsed(path, tmp_path)
    assert given(extract(document, {"data_schema": INVOICE})) == {
        "invoice_number": "1",
        "total": 5,
        "currency": "EUR",
    }
    pages = extract(document, {"data_schema": INVOICE, "extraction_target": "per_page"}).data
    assert [page["total"] for page in pages] == [5, 6]


def test_the_same_number_twice_is_one_invoice(tmp_path: Path) -> None:
    found = read("Invoice number: A-1\nPage 2\nInvoice number: A-1\nTotal: 6.00\n", tmp_path)
    assert given(found) == {"invoice_number": "A-1", "total": 6}
    assert sure(found, "invoice_number") == 1


@pytest.mark.parametrize(
    ("sums", "total"),
    [
        ("Total due: 15.00\nPaid: 3.00\nBalance due: 12.00", 15),
        ("Total: 15.00\nAmount due: 12.00", 15),
        ("Balance due: 12.00", 12),
        ("Total: 500.00\nTax: 100.00\nGrand total: 600.00", 600),
    ],
)
def test_what_is_left_to_pay_is_the_total_only_where_no_total_stands(
    sums: str, total: float, tmp_path: Path
) -> None:
    assert read(f"Invoice number: 9\n{sums}\n", tmp_path).data["total"] == total


def test_a_name_behind_its_label_is_no_address(tmp_path: Path) -> None:
    customer = asking(address=WORDS, name=WORDS)
    assert read("Customer: Alder Foods AG\n", tmp_path, asking(customer=customer)).data == {
        "customer": {"address": None, "name": "Alder Foods AG"}
    }


@pytest.mark.parametrize(("more", "subtotal"), [("", None), ("VAT   1.00\nTotal paid   6.00\n", 5)])
def test_a_lone_sum_is_no_subtotal(more: str, subtotal: float | None, tmp_path: Path) -> None:
    schema = asking(receipt_number=WORDS, subtotal=NUMBER, tax=NUMBER, total=NUMBER)
    assert read(f"Receipt number: 7\nSum   5.00\n{more}", tmp_path, schema).data["subtotal"] == subtotal


@pytest.mark.parametrize("sums", ["Total: 3 h", "Total: 12 kg", "Total 12 600.00", "Total items: 8"])
def test_what_is_no_sum_of_money_is_no_total(sums: str, tmp_path: Path) -> None:
    assert given(read(f"Invoice number: 9\n{sums}\n", tmp_path)) == {"invoice_number": "9"}


def test_the_sign_before_a_number_is_no_part_of_it(tmp_path: Path) -> None:
    assert read("INVOICE\nNo. 77\nDate: 3 March 2026\n", tmp_path).data["invoice_number"] == "77"
