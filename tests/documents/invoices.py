"""Five layouts of an invoice."""

from collections.abc import Sequence
from random import Random
from typing import Any

from tests.documents import truths
from tests.documents.sheet import SYMBOLS, Document, Pen, Sheet, wrapped


def classic(random: Random) -> Document:
    """Letterhead at the top, key:value at the right, a table of four columns, totals under its last one."""
    truth = truths.invoice(random)
    pen = Pen(random, symbol=random.choice(("", SYMBOLS[truth["currency"]])), dates=_dates(random))
    sheet = Sheet()
    _letterhead(sheet, 40, 50, truth["vendor"], random)
    sheet.right(555, 50, "INVOICE", points=20, bold=True)
    facts = [
        (random.choice(("Invoice No:", "Invoice Number:", "Invoice #:")), truth["invoice_number"]),
        (random.choice(("Date:", "Invoice Date:", "Date of issue:")), pen.day(truth["invoice_date"])),
        (random.choice(("Due Date:", "Payment due:")), pen.day(truth["due_date"])),
        ("PO Number:", truth["purchase_order"]),
        ("Currency:", truth["currency"]),
    ]
    for place, (label, value) in enumerate(facts):
        sheet.text(380, 80 + place * 13, label, bold=True)
        sheet.right(555, 80 + place * 13, value)
    sheet.text(40, 150, random.choice(("Bill To:", "Billed to", "Customer:")), bold=True)
    sheet.lines(40, 163, [truth["customer"]["name"], *truth["customer"]["address"]])
    heads = random.choice(
        (("Description", "Qty", "Unit Price", "Amount"), ("Item", "Quantity", "Rate", "Total"))
    )
    y = _table(sheet, 220, heads, truth["items"], pen)
    _totals(sheet, y + 10, truth, pen, ("Subtotal:", random.choice(("Tax:", "VAT:")), "Total Due:"))
    return Document(sheet.done(), truths.INVOICE, truths.finished(truth))


def boxed(random: Random) -> Document:
    """Labels above their values in a row of boxes; long descriptions wrap; no purchase order."""
    truth = truths.invoice(random, long=True) | {"purchase_order": None}
    pen = Pen(random, symbol=SYMBOLS[truth["currency"]], dates=_dates(random))
    sheet = Sheet()
    sheet.text(40, 50, "Tax Invoice", points=18, bold=True)
    _letterhead(sheet, 40, 75, truth["vendor"], random)
    cells = [
        ("Invoice Number", truth["invoice_number"]),
        ("Invoice Date", pen.day(truth["invoice_date"])),
        ("Payment Due", pen.day(truth["due_date"])),
        ("Currency", truth["currency"]),
    ]
    for place, (label, value) in enumerate(cells):
        sheet.box(40 + place * 130, 145, 125, 34)
        sheet.text(45 + place * 130, 158, label, bold=True)
        sheet.text(45 + place * 130, 172, value)
    sheet.text(40, 205, random.choice(("Invoice to", "Bill to", "Client")), bold=True)
    sheet.lines(40, 218, [truth["customer"]["name"], *truth["customer"]["address"]])
    y = _table(sheet, 275, ("Description", "Quantity", "Unit price", "Line total"), truth["items"], pen)
    _totals(sheet, y + 10, truth, pen, ("Sub-total", "Sales tax", random.choice(("Total", "Amount due"))))
    return Document(sheet.done(), truths.INVOICE, truths.finished(truth))


def european(random: Random) -> Document:
    """Two columns of addresses, comma decimals, dotted dates, net and VAT and gross."""
    truth = truths.invoice(random) | {"currency": "EUR"}
    pen = Pen(random, european=True, symbol=random.choice(("€", "EUR")), dates="dotted")
    sheet = Sheet()
    sheet.text(40, 60, "From:", bold=True)
    sheet.text(320, 60, "To:", bold=True)
    own = truths.address(random)
    for place, (left, right) in enumerate(
        zip(
            [truth["vendor"]["name"], *own],
            [truth["customer"]["name"], *truth["customer"]["address"]],
            strict=True,
        )
    ):
        sheet.text(40, 74 + place * 13, left)
        sheet.text(320, 74 + place * 13, right)
    sheet.text(40, 130, f"VAT ID: {truth['vendor']['tax_id']}")
    sheet.text(40, 143, f"E-mail: {truth['vendor']['email']}")
    sheet.text(40, 156, f"Phone: {truth['vendor']['phone']}")
    sheet.text(320, 130, f"Invoice no. {truth['invoice_number']}")
    sheet.text(320, 143, f"Invoice date: {pen.day(truth['invoice_date'])}")
    sheet.text(320, 156, f"Payable until: {pen.day(truth['due_date'])}")
    sheet.text(320, 169, f"Your order: {truth['purchase_order']}")
    heads = ("Description", "Quantity", "Unit price", "Amount")
    y = _table(sheet, 210, heads, truth["items"], pen, numbered=True)
    _totals(sheet, y + 10, truth, pen, ("Net amount", "VAT 19 %", "Gross amount"))
    sheet.text(40, 800, "Please pay without deduction. Thank you for your order.", points=8)
    return Document(sheet.done(), truths.INVOICE, truths.finished(truth))


def long(random: Random) -> Document:
    """A table over two or three pages, its head repeated; totals on the last page."""
    truth = truths.invoice(random, rows=(45, 80)) | {"due_date": None}
    pen = Pen(random, dates=_dates(random))
    sheet = Sheet()
    _letterhead(sheet, 40, 50, truth["vendor"], random)
    sheet.text(40, 120, f"Invoice number: {truth['invoice_number']}")
    sheet.text(40, 133, f"Invoice date: {pen.day(truth['invoice_date'])}")
    sheet.text(40, 146, f"Purchase order: {truth['purchase_order']}")
    sheet.text(40, 159, f"Currency: {truth['currency']}")
    sheet.text(320, 120, "Sold to:", bold=True)
    sheet.lines(320, 133, [truth["customer"]["name"], *truth["customer"]["address"]])
    y = _table(sheet, 200, ("Description", "Qty", "Price", "Amount"), truth["items"], pen)
    if y > 740:
        sheet.next_page()
        y = 60
    _totals(sheet, y + 10, truth, pen, ("Subtotal", "Tax", "Grand total"))
    return Document(sheet.done(), truths.INVOICE, truths.finished(truth))


def summed(random: Random) -> Document:
    """No tax; the last row of the table sums the pieces too, before the money."""
    truth = truths.invoice(random) | {"due_date": None, "tax_amount": None}
    truth |= {"total": truth["subtotal"], "subtotal": None}
    pen = Pen(random, symbol=random.choice(("", SYMBOLS[truth["currency"]])), dates=_dates(random))
    sheet = Sheet()
    _letterhead(sheet, 40, 50, truth["vendor"], random)
    sheet.text(40, 120, f"Invoice number: {truth['invoice_number']}")
    sheet.text(40, 133, f"Invoice date: {pen.day(truth['invoice_date'])}")
    sheet.text(40, 146, f"PO number: {truth['purchase_order']}")
    sheet.text(40, 159, f"Currency: {truth['currency']}")
    sheet.text(320, 120, "Bill to:", bold=True)
    sheet.lines(320, 133, [truth["customer"]["name"], *truth["customer"]["address"]])
    heads = ("Description", random.choice(("Qty", "Quantity")), "Unit price", "Amount")
    y = _table(sheet, 200, heads, truth["items"], pen) + 6
    sheet.text(40, y, random.choice(("Total", "Total:", "Grand total")), bold=True)
    sheet.right(350, y, str(sum(item["quantity"] for item in truth["items"])), bold=True)
    sheet.right(555, y, pen.amount(truth["total"]), bold=True)
    return Document(sheet.done(), truths.INVOICE, truths.finished(truth))


LAYOUTS = {"classic": classic, "boxed": boxed, "european": european, "long": long, "summed": summed}


def _dates(random: Random) -> str:
    return random.choice(("iso", "british", "american", "short"))


def _letterhead(sheet: Sheet, x: float, y: float, vendor: dict[str, Any], random: Random) -> None:
    sheet.text(x, y, vendor["name"], points=13, bold=True)
    sheet.text(x, y + 14, ", ".join(truths.address(random)))
    sheet.text(x, y + 26, f"Tel: {vendor['phone']}   Email: {vendor['email']}")
    sheet.text(x, y + 38, f"VAT No: {vendor['tax_id']}")


def _table(
    sheet: Sheet,
    y: float,
    heads: Sequence[str],
    items: list[dict[str, Any]],
    pen: Pen,
    *,
    numbered: bool = False,
) -> float:
    """Draws the rows and says where they end."""
    columns = (350, 450, 555)
    head_of_page(sheet, y, heads, columns, numbered=numbered)
    y += 16
    for number, item in enumerate(items, 1):
        if y > 770:
            sheet.next_page()
            head_of_page(sheet, 60, heads, columns, numbered=numbered)
            y = 76
        if numbered:
            sheet.text(40, y, str(number))
        sheet.right(columns[0], y, str(item["quantity"]))
        sheet.right(columns[1], y, pen.amount(item["unit_price"]))
        sheet.right(columns[2], y, pen.amount(item["amount"]))
        y = sheet.lines(70 if numbered else 40, y, wrapped(item["description"], 45)) + 2
    sheet.rule(40, y - 6, 555)
    return y + 6


def head_of_page(
    sheet: Sheet, y: float, heads: Sequence[str], columns: Sequence[float], *, numbered: bool
) -> None:
    if numbered:
        sheet.text(40, y, "Pos", bold=True)
    sheet.text(70 if numbered else 40, y, heads[0], bold=True)
    for x, head in zip(columns, heads[1:], strict=True):
        sheet.right(x, y, head, bold=True)
    sheet.rule(40, y + 4, 555)


def _totals(sheet: Sheet, y: float, truth: dict[str, Any], pen: Pen, labels: tuple[str, str, str]) -> None:
    sums = (truth["subtotal"], truth["tax_amount"], truth["total"])
    for place, (label, value) in enumerate(zip(labels, sums, strict=True)):
        sheet.text(380, y + place * 14, label, bold=place == 2)
        sheet.right(555, y + place * 14, pen.amount(value), bold=place == 2)
