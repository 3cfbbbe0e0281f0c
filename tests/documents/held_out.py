"""Layouts that no rule was written for: drawn before the rules, never read while writing them.

A layout that a rule was tuned on is no longer held out: move it to its kind's file then, and draw a new one.
"""

from random import Random

from tests.documents import truths
from tests.documents.sheet import SYMBOLS, Document, Pen, Sheet, wrapped


def invoice_sidebar(random: Random) -> Document:
    """Facts in a column at the left with labels above values; the amounts stand before the description."""
    truth = truths.invoice(random)
    pen = Pen(random, symbol=SYMBOLS[truth["currency"]], dates=random.choice(("british", "american")))
    sheet = Sheet()
    sheet.text(40, 50, "Invoice", points=22, bold=True)
    facts = [
        ("INVOICE NO.", truth["invoice_number"]),
        ("ISSUED", pen.day(truth["invoice_date"])),
        ("DUE", pen.day(truth["due_date"])),
        ("P.O. NUMBER", truth["purchase_order"]),
    ]
    for place, (label, value) in enumerate(facts):
        sheet.text(40, 90 + place * 34, label, points=7, bold=True)
        sheet.text(40, 101 + place * 34, value)
    for x, head, party in (
        (200, "FROM", [truth["vendor"]["name"], *truths.address(random)]),
        (380, "BILL TO", [truth["customer"]["name"], *truth["customer"]["address"]]),
    ):
        sheet.text(x, 90, head, points=7, bold=True)
        sheet.lines(x, 101, party)
    sheet.text(200, 150, f"{truth['vendor']['email']}")
    sheet.text(200, 162, f"{truth['vendor']['phone']}")
    sheet.text(200, 174, f"Tax ID {truth['vendor']['tax_id']}")
    y = 240.0
    for x, head in ((40, "Qty"), (90, "Unit price"), (170, "Amount"), (260, "Description")):
        sheet.text(x, y, head, bold=True)
    for item in truth["items"]:
        y += 15
        sheet.text(40, y, str(item["quantity"]))
        sheet.text(90, y, pen.amount(item["unit_price"]))
        sheet.text(170, y, pen.amount(item["amount"]))
        sheet.text(260, y, item["description"])
    for label, key in (("Net", "subtotal"), ("Tax", "tax_amount"), ("Balance due", "total")):
        y += 18
        sheet.text(90, y, label)
        sheet.text(170, y, pen.amount(truth[key]))
    sheet.text(40, 780, f"All prices in {truth['currency']}. Questions? Write to us.", points=7)
    return Document(sheet.done(), truths.INVOICE, truths.finished(truth))


def invoice_plain(random: Random) -> Document:
    """A letter-like bill in a typewriter's letters, dotted leaders, article numbers, wrapped descriptions."""
    truth = truths.invoice(random, long=True) | {"purchase_order": None}
    truth["vendor"]["phone"] = None
    pen = Pen(random, dates=random.choice(("iso", "short")))
    sheet = Sheet(font="Courier")
    vendor = truth["vendor"]
    sheet.middle(40, vendor["name"], points=12, bold=True)
    sheet.middle(54, " - ".join(truths.address(random)))
    sheet.middle(66, f"{vendor['email']} - VAT {vendor['tax_id']}")
    sheet.lines(60, 110, ["Customer", truth["customer"]["name"], *truth["customer"]["address"]])
    sheet.text(60, 175, f"INVOICE {truth['invoice_number']}", points=12, bold=True)
    for place, (label, value) in enumerate(
        (
            ("Invoice date", pen.day(truth["invoice_date"])),
            ("Due date", pen.day(truth["due_date"])),
            ("Currency", truth["currency"]),
        )
    ):
        sheet.text(60, 195 + place * 12, f"{label} ".ljust(20, ".") + f" {value}")
    y = 250.0
    for x, head in ((60, "Art."), (110, "Product")):
        sheet.text(x, y, head)
    for x, head in ((400, "Units"), (470, "Each"), (545, "Sum")):
        sheet.right(x, y, head)
    for item in truth["items"]:
        y += 16
        sheet.text(60, y, str(random.randint(1000, 9999)))
        sheet.right(400, y, str(item["quantity"]))
        sheet.right(470, y, pen.amount(item["unit_price"]))
        sheet.right(545, y, pen.amount(item["amount"]))
        y = sheet.lines(110, y, wrapped(item["description"], 38)) - 12
    y += 26
    for label, key in (("Subtotal", "subtotal"), ("VAT", "tax_amount"), ("TOTAL", "total")):
        sheet.text(350, y, label)
        sheet.right(545, y, pen.amount(truth[key]))
        y += 13
    return Document(sheet.done(), truths.INVOICE, truths.finished(truth))


def receipt_cafe(random: Random) -> Document:
    """`2 x Tea` with the count in the text, a card slip below."""
    truth = truths.receipt(random) | {"cashier": None}
    pen = Pen(random, symbol="£", dates="british")
    sheet = Sheet((260, 460), font="Courier", points=8)
    sheet.middle(25, truth["merchant_name"].upper(), points=12, bold=True)
    sheet.middle(38, truths.address(random)[0])
    sheet.text(15, 65, f"{pen.day(truth['purchase_date'])} 14:{random.randint(10, 59)}")
    sheet.right(245, 65, f"Receipt {truth['receipt_number']}")
    y = 85.0
    for item in truth["items"]:
        y += 12
        sheet.text(15, y, f"{item['quantity']} x {item['description']}")
        sheet.right(245, y, pen.amount(item["price"]))
    y += 6
    for label, key in (("Sub total", "subtotal"), ("Incl. VAT", "tax"), ("To pay", "total")):
        y += 12
        sheet.text(15, y, label)
        sheet.right(245, y, pen.amount(truth[key]))
    sheet.text(15, y + 24, f"PAYMENT TYPE: {truth['payment_method'].upper()}")
    sheet.middle(y + 48, "See you soon")
    return Document(sheet.done(), truths.RECEIPT, truth)


def receipt_wide(random: Random) -> Document:
    """A printed sheet: facts in two columns, a table with a price for one and a price for all."""
    truth = truths.receipt(random)
    pen = Pen(random, symbol="$", dates="american")
    sheet = Sheet()
    sheet.text(50, 60, "RECEIPT", points=20, bold=True)
    facts = [
        ("Merchant", truth["merchant_name"], "Receipt ID", truth["receipt_number"]),
        ("Cashier", truth["cashier"], "Purchased on", pen.day(truth["purchase_date"])),
        ("Payment method", truth["payment_method"].title(), "Register", str(random.randint(1, 9))),
    ]
    for place, (left, first, right, second) in enumerate(facts):
        y = 95.0 + place * 16
        sheet.text(50, y, left, bold=True)
        sheet.text(150, y, first)
        sheet.text(330, y, right, bold=True)
        sheet.text(430, y, second)
    y = 170.0
    for x, head in ((50, "Product"), (300, "Qty"), (370, "Each"), (460, "Price")):
        sheet.text(x, y, head, bold=True)
    for item in truth["items"]:
        y += 15
        sheet.text(50, y, item["description"])
        sheet.text(300, y, str(item["quantity"]))
        sheet.text(370, y, pen.amount(item["price"] / item["quantity"]))
        sheet.text(460, y, pen.amount(item["price"]))
    for label, key in (("Subtotal:", "subtotal"), ("Sales Tax (8%):", "tax"), ("TOTAL:", "total")):
        y += 17
        sheet.text(370, y, label)
        sheet.text(460, y, pen.amount(truth[key]))
    return Document(sheet.done(), truths.RECEIPT, truth)


def form_lines(random: Random) -> Document:
    """Labels before ruled lines, values on the lines, yes and no as two boxes to tick."""
    truth = truths.form(random) | {"annual_income": None}
    pen = Pen(random, dates="british")
    sheet = Sheet(points=11)
    sheet.middle(60, "Insurance Questionnaire", points=17, bold=True)
    facts = [
        ("Applicant name", truth["full_name"]),
        ("DOB", pen.day(truth["date_of_birth"])),
        ("Email address", truth["email"]),
        ("Contact number", truth["phone_number"]),
        ("Home address", ", ".join(truth["address"])),
        ("Policy No", truth["policy_number"]),
        ("Name of employer", truth["employer"]["name"]),
        ("Occupation", truth["employer"]["position"]),
        ("Yearly income", ""),
        ("Web site", truth["website"]),
    ]
    for place, (label, value) in enumerate(facts):
        y = 100.0 + place * 22
        sheet.text(60, y, label)
        sheet.text(200, y, value)
        sheet.rule(195, y + 3, 520)
    y = 340.0
    for label, key in (("Do you smoke?", "smoker"), ("Subscribe to the newsletter?", "newsletter")):
        yes, no = ("x", " ") if truth[key] else (" ", "x")
        sheet.text(60, y, label)
        sheet.text(260, y, f"[{yes}] Yes")
        sheet.text(320, y, f"[{no}] No")
        y += 20
    sheet.text(60, y, f"Marital status: {truth['marital_status']}")
    truth["address"] = [", ".join(truth["address"])]
    return Document(sheet.done(), truths.FORM, truths.finished(truth))


def form_table(random: Random) -> Document:
    """Three columns of boxes, labels in capitals above the values, an employer's block of its own."""
    truth = truths.form(random) | {"smoker": None, "website": None}
    pen = Pen(random, european=True, dates="dotted")
    sheet = Sheet()
    sheet.text(40, 50, "CUSTOMER REGISTRATION", points=15, bold=True)
    employer = truth["employer"]
    rows = [
        [
            ("FULL NAME", truth["full_name"]),
            ("DATE OF BIRTH", pen.day(truth["date_of_birth"])),
            ("PHONE", truth["phone_number"]),
        ],
        [
            ("E-MAIL ADDRESS", truth["email"]),
            ("POLICY NUMBER", truth["policy_number"]),
            ("MARITAL STATUS", truth["marital_status"].upper()),
        ],
        [
            ("EMPLOYER", employer["name"]),
            ("POSITION", employer["position"]),
            ("ANNUAL INCOME", pen.amount(truth["annual_income"])),
        ],
    ]
    for row, cells in enumerate(rows):
        for place, (label, value) in enumerate(cells):
            x, y = 40 + place * 172, 75 + row * 42
            sheet.box(x, y, 172, 42)
            sheet.text(x + 5, y + 12, label, points=6.5, bold=True)
            sheet.text(x + 5, y + 30, value)
    sheet.text(45, 215, "ADDRESS", points=6.5, bold=True)
    sheet.lines(45, 230, truth["address"])
    sheet.text(40, 270, f"Newsletter: {'Yes' if truth['newsletter'] else 'No'}")
    return Document(sheet.done(), truths.FORM, truths.finished(truth))


LAYOUTS = {
    "invoice": {"sidebar": invoice_sidebar, "plain": invoice_plain},
    "receipt": {"cafe": receipt_cafe, "wide": receipt_wide},
    "form": {"lines": form_lines, "table": form_table},
}
