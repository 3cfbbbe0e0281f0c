"""Three layouts of a receipt."""

from random import Random

from tests.documents import truths
from tests.documents.sheet import Document, Pen, Sheet

_TILL = (230.0, 420.0)


def till(random: Random) -> Document:
    """The narrow strip of a till, in the letters of a typewriter."""
    truth = truths.receipt(random)
    for item in truth["items"]:
        item["quantity"] = None
    pen = Pen(random, symbol=random.choice(("", "$")), dates=random.choice(("iso", "short")))
    sheet = Sheet(_TILL, font="Courier", points=8)
    sheet.middle(25, truth["merchant_name"], points=11, bold=True)
    sheet.middle(38, ", ".join(truths.address(random)))
    sheet.middle(49, f"Tel {truths.phone(random)}")
    sheet.text(12, 70, f"Date: {pen.day(truth['purchase_date'])}")
    sheet.text(12, 81, f"Receipt No: {truth['receipt_number']}")
    sheet.text(12, 92, f"Cashier: {truth['cashier']}")
    y = 112.0
    sheet.text(12, y, "Item")
    sheet.right(218, y, "Price")
    for item in truth["items"]:
        y += 12
        sheet.text(12, y, item["description"])
        sheet.right(218, y, pen.amount(item["price"]))
    y += 8
    for label, key in (("SUBTOTAL", "subtotal"), ("TAX 8%", "tax"), ("TOTAL", "total")):
        y += 12
        sheet.text(12, y, label, bold=label == "TOTAL")
        sheet.right(218, y, pen.amount(truth[key]), bold=label == "TOTAL")
    sheet.text(12, y + 24, f"Paid by: {truth['payment_method'].title()}")
    sheet.middle(y + 45, "Thank you for shopping with us!")
    return Document(sheet.done(), truths.RECEIPT, truth)


def counted(random: Random) -> Document:
    """Quantity first, labels without colons, no cashier."""
    truth = truths.receipt(random) | {"cashier": None}
    pen = Pen(random, dates="american")
    sheet = Sheet((300, 480))
    sheet.text(20, 30, truth["merchant_name"], points=14, bold=True)
    sheet.lines(20, 45, truths.address(random))
    sheet.text(20, 85, "Sales receipt")
    sheet.right(280, 85, pen.day(truth["purchase_date"]))
    sheet.text(20, 98, "Receipt #")
    sheet.right(280, 98, truth["receipt_number"])
    sheet.text(20, 122, "Qty", bold=True)
    sheet.text(60, 122, "Description", bold=True)
    sheet.right(280, 122, "Amount", bold=True)
    y = 122.0
    for item in truth["items"]:
        y += 13
        sheet.text(20, y, str(item["quantity"]))
        sheet.text(60, y, item["description"])
        sheet.right(280, y, pen.amount(item["price"]))
    for label, key in (("Subtotal", "subtotal"), ("Sales tax", "tax"), ("Total", "total")):
        y += 16
        sheet.text(160, y, label)
        sheet.right(280, y, pen.amount(truth[key]))
    sheet.text(20, y + 30, "Payment method")
    sheet.right(280, y + 30, truth["payment_method"].upper())
    return Document(sheet.done(), truths.RECEIPT, truth)


def stacked(random: Random) -> Document:
    """A receipt sent by mail: labels above values, a table with a count, European figures."""
    truth = truths.receipt(random)
    pen = Pen(random, european=True, dates="dotted")
    sheet = Sheet((420, 560))
    sheet.text(30, 40, "Store", bold=True)
    sheet.text(30, 53, truth["merchant_name"])
    facts = [
        ("Date", pen.day(truth["purchase_date"])),
        ("Receipt number", truth["receipt_number"]),
        ("Served by", truth["cashier"]),
    ]
    for place, (label, value) in enumerate(facts):
        sheet.text(30 + place * 125, 85, label, bold=True)
        sheet.text(30 + place * 125, 98, value)
    for x, head in ((30, "Article"), (230, "Quantity"), (330, "Price")):
        sheet.text(x, 130, head, bold=True)
    y = 130.0
    for item in truth["items"]:
        y += 14
        sheet.text(30, y, item["description"])
        sheet.text(230, y, str(item["quantity"]))
        sheet.text(330, y, pen.amount(item["price"]))
    y += 12
    for label, key in (("Sum", "subtotal"), ("VAT", "tax"), ("Total paid", "total")):
        y += 14
        sheet.text(230, y, label)
        sheet.text(330, y, pen.amount(truth[key]))
    sheet.text(30, y + 30, f"Payment: {truth['payment_method']}")
    return Document(sheet.done(), truths.RECEIPT, truth)


LAYOUTS = {"till": till, "counted": counted, "stacked": stacked}
