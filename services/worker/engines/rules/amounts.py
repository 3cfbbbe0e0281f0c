"""Figures as numbers: separators of both habits, currencies, brackets and minus signs, percentages."""

import re
from collections.abc import Iterable
from typing import Final, Literal

Point = Literal[".", ",", ""]
_MOST_SEEN: Final = 5_000
_LONGEST: Final = 40
_GROUP: Final = 3
_DOUBTFUL: Final = 0.6
SYMBOLS: Final = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY"}
_CODES: Final = "EUR|USD|GBP|CHF|JPY|CAD|AUD|SEK|NOK|DKK|PLN|CZK|INR|CNY"
CODE: Final = re.compile(rf"(?<![A-Za-z])({_CODES})(?![A-Za-z])")
_AMOUNT: Final = re.compile(
    rf"(?P<open>\()?(?P<minus>[-\u2212])? ?(?:{_CODES}|US\$|[$€£¥])? ?(?P<minus2>[-\u2212])?"
    r"(?P<figures>\d(?:[\d.,' ]{0,28}\d)?)"
    rf" ?(?P<minus3>-)?(?P<percent>%)? ?(?:{_CODES}|[$€£¥]|pcs\.?|pc\.?|Stk\.?|x|kg|h|hrs?|ea)?(?P<close>\))?"
)
_TWO_DECIMALS: Final = re.compile(r"\d([.,])\d\d(?![\d.,])")
_GROUPED: Final = re.compile(r"\d{1,3}(?:[.,' ]\d{3})+(?:[.,]\d{1,6})?|\d+(?:[.,]\d{1,6})?")


def point_of(texts: Iterable[str]) -> Point:
    """What stands before the cents in this document; empty when nothing tells, or both do."""
    counts = {".": 0, ",": 0}
    for seen, text in enumerate(texts):
        if seen > _MOST_SEEN:
            break
        for found in _TWO_DECIMALS.finditer(text):
            counts[found[1]] += 1
    if counts["."] == counts[","]:
        return ""
    return "." if counts["."] > counts[","] else ","


def read_amount(text: str, point: Point) -> tuple[float, float] | None:
    """The number that the whole text is, and how sure; a currency, a unit and signs may stand with it. Text
    with other words in it is no amount."""
    text = text.strip()
    if len(text) > _LONGEST or not any(sign.isdigit() for sign in text):
        return None
    found = _AMOUNT.fullmatch(text)
    if found is None or bool(found["open"]) != bool(found["close"]):
        return None
    figures = found["figures"].strip()
    if _GROUPED.fullmatch(figures) is None:
        return None
    number, sure = _number(figures, point)
    minus = any(found[name] for name in ("open", "minus", "minus2", "minus3"))
    return (-number if minus else number), sure


def _number(figures: str, point: Point) -> tuple[float, float]:
    plain = figures.replace("'", "").replace(" ", "")
    marks = [sign for sign in plain if sign in ".,"]
    if not marks:
        return float(plain), 1.0
    last = marks[-1]
    if len(set(marks)) > 1:
        other = "," if last == "." else "."
        return float(plain.replace(other, "").replace(last, ".")), 1.0
    if len(marks) > 1:
        return float(plain.replace(last, "")), 1.0
    if len(plain.partition(last)[2]) != _GROUP:
        return float(plain.replace(last, ".")), 1.0
    # 1.234 is one thousand to some and one and a bit to others: the rest of the document tells.
    if point == last:
        return float(plain.replace(last, ".")), _DOUBTFUL
    grouping = point != "" or last == ","
    return float(plain.replace(last, "" if grouping else ".")), 1.0 if point else _DOUBTFUL


def currency_of(text: str) -> str | None:
    """The ISO code that an amount is written with, by code or by symbol."""
    code = CODE.search(text)
    if code is not None:
        return code[1]
    return next((SYMBOLS[sign] for sign in text if sign in SYMBOLS), None)
