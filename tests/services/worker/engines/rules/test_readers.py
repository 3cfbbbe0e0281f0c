"""Each reader alone: what it takes, and what it leaves."""

import pytest

from services.worker.engines.rules.amounts import Point, currency_of, point_of, read_amount
from services.worker.engines.rules.choices import read_boolean, read_choice
from services.worker.engines.rules.contacts import find_email, find_phone, find_uri
from services.worker.engines.rules.dates import Order, find_date, order_of
from services.worker.engines.rules.words import is_label, normal


@pytest.mark.parametrize(
    ("text", "order", "iso", "sure"),
    [
        ("2024-03-04", "unknown", "2024-03-04", 1.0),
        ("2024/3/4", "unknown", "2024-03-04", 1.0),
        ("04.03.2024", "unknown", "2024-03-04", 1.0),
        ("4.3.24", "unknown", "2024-03-04", 1.0),
        ("4 March 2024", "unknown", "2024-03-04", 1.0),
        ("4th of March 2024", "unknown", "2024-03-04", 1.0),
        ("4. März 2024", "unknown", "2024-03-04", 1.0),
        ("04-Mar-2024", "unknown", "2024-03-04", 1.0),
        ("March 4, 2024", "unknown", "2024-03-04", 1.0),
        ("Sept. 30, 2024", "unknown", "2024-09-30", 1.0),
        ("25/03/2024", "unknown", "2024-03-25", 1.0),
        ("03/25/2024", "unknown", "2024-03-25", 1.0),
        ("03/04/2024", "day", "2024-04-03", 1.0),
        ("03/04/2024", "month", "2024-03-04", 1.0),
        ("03/04/2024", "unknown", "2024-04-03", 0.4),
        ("05/05/2024", "unknown", "2024-05-05", 1.0),
        ("1/2/85", "day", "1985-02-01", 1.0),
        ("29.02.2024", "unknown", "2024-02-29", 1.0),
    ],
)
def test_a_date_becomes_iso(text: str, order: Order, iso: str, sure: float) -> None:
    found = find_date(text, order)
    assert found is not None
    assert found[:2] == (iso, sure)


@pytest.mark.parametrize(
    "text",
    ["31.02.2024", "29.02.2023", "13/13/2024", "00/00/0000", "soon", "4711", "12.50", "1.2.3.4", "May", ""],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert find_date(text, "day") is None


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["03/04/2024", "25/04/2024"], "day"),
        (["03/04/2024", "04/25/2024"], "month"),
        (["25/04/2024", "04/25/2024"], "unknown"),
        (["03/04/2024"], "unknown"),
        (["3.4.2024"], "day"),
        ([], "unknown"),
    ],
)
def test_the_order_of_dates_is_learned_from_the_document(texts: list[str], order: Order) -> None:
    assert order_of(texts) == order


@pytest.mark.parametrize(
    ("text", "point", "value", "sure"),
    [
        ("1,234.56", "", 1234.56, 1.0),
        ("1.234,56", "", 1234.56, 1.0),
        ("1 234,56", ",", 1234.56, 1.0),
        ("1'234.50", ".", 1234.5, 1.0),
        ("€ 12,50", ",", 12.5, 1.0),
        ("12.50 EUR", ".", 12.5, 1.0),
        ("$1,000", ".", 1000, 1.0),
        ("(45.00)", ".", -45, 1.0),
        ("-45.00", ".", -45, 1.0),
        ("45.00-", ".", -45, 1.0),
        ("-$45.00", ".", -45, 1.0),
        ("19 %", "", 19, 1.0),
        ("3 pcs", "", 3, 1.0),
        ("1.234", ",", 1234, 1.0),
        ("1.234", ".", 1.234, 0.6),
        ("1,234", "", 1234, 0.6),
        ("1.234.567", "", 1234567, 1.0),
    ],
)
def test_an_amount_becomes_a_number(text: str, point: Point, value: float, sure: float) -> None:
    found = read_amount(text, point)
    assert found is not None
    assert found[0] == pytest.approx(value)
    assert found[1] == sure


@pytest.mark.parametrize(
    "text",
    ["about 12", "12 Mill Road", "A-77", "(45.00", "1,2,3", "12.34.5", "one", "", "2024-03-04", "14:30"],
)
def test_other_words_are_no_amount(text: str) -> None:
    assert read_amount(text, ".") is None


def test_the_point_and_the_currency_are_learned() -> None:
    assert point_of(["12,50", "1.234,00"]) == ","
    assert point_of(["12.50"]) == "."
    assert point_of(["12"]) == ""
    assert point_of(["12.50", "12,50"]) == ""
    assert currency_of("12 EUR") == "EUR"
    assert currency_of("£12") == "GBP"
    assert currency_of("EUROPE 12") is None


def test_contacts_are_found_as_they_are_written() -> None:
    assert find_email("write to a.b+c@mail.example.org, please") == "a.b+c@mail.example.org"
    assert find_email("a@b") is None
    assert find_phone("+44 20 7946 0123 (office)") == "+44 20 7946 0123"
    assert find_phone("(030) 1234567") == "(030) 1234567"
    assert find_phone("2024-03-04") is None
    assert find_phone("12 Mill Road 4711") is None
    assert find_uri("see https://www.example.net/a.") == "https://www.example.net/a"
    assert find_uri("www.example.net") is None


def test_an_option_is_named_or_it_is_not() -> None:
    options = ["credit card", "debit card", "cash", None]
    assert read_choice("CREDIT CARD", options) == ("credit card", 1.0)
    near = read_choice("Credit-Cards", options)
    assert near is not None
    assert near[0] == "credit card"
    assert near[1] < 1
    assert read_choice("card", options) is None
    assert read_choice("[ ] cash [x] debit card", options) == ("debit card", 1.0)
    assert read_choice("[x] cash [x] debit card", options) is None
    assert read_choice("[ ] cash [ ] debit card", options) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Yes", True),
        ("n", False),
        ("[x]", True),
        ("[ ]", False),
        ("☐", False),
        ("☑", True),
        ("[ ] yes [x] no", False),
    ],
)
def test_yes_and_no(text: str, value: bool) -> None:
    found = read_boolean(text)
    assert found is not None
    assert found[0] is value


@pytest.mark.parametrize("text", ["maybe", "yes, but", "[x] yes [x] no", "[ ] yes [ ] no", ""])
def test_neither_yes_nor_no(text: str) -> None:
    assert read_boolean(text) is None


def test_spellings_of_a_label_are_one() -> None:
    for spelling in ("Invoice No.:", "invoiceNumber", "invoice_number", "INVOICE #", "Invoice Nr"):
        assert normal(spelling) == "invoice number"
    assert normal("Sales Tax (8%)") == "sales tax"
    assert is_label("Anything at all:")
    assert is_label("Due date")
    assert not is_label("Alder Textiles GmbH")
