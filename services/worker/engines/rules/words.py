"""How labels are called: one form for many spellings, and the words that mean the same."""

import re
from functools import lru_cache
from typing import Final

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PERCENT: Final = re.compile(r"[(\[]?\d{1,3}(?:[.,]\d{1,3})? ?%[)\]]?")
_OTHER: Final = re.compile(r"[^\w#]+|_+")
_SAME: Final = {
    "#": "number", "no": "number", "nr": "number", "num": "number", "nos": "number", "qty": "quantity",
    "tel": "phone", "telephone": "phone", "amt": "amount", "descr": "description", "desc": "description",
    "mail": "email", "addr": "address", "acct": "account",
    "ref": "reference", "inv": "invoice", "dob": "date of birth",
}  # fmt: skip
_SMALL: Final = frozenset(("the", "of", "a", "an", "for", "your", "our", "in", "incl", "including"))

# A line (and what goes on below it) is a group: phrases that are printed for the same thing. The first is
# what a property is often called.
_GROUPS: Final = """
invoice number|invoice id|bill number|invoice reference|rechnungsnummer|invoice
invoice date|date of issue|issue date|issued|issued on|date issued|billing date|bill date|rechnungsdatum
    |dated|date
due date|payment due|payment due date|due|due by|pay by|payable until|payable by|due on|date due
    |faellig am
purchase order|po number|purchase order number|order number|your order|po|customer order|order reference
    |p o number
order number|order id|order reference|order
order date|date of order|ordered on|date
currency|currency code
vendor|seller|supplier|from|issuer|sold by|billed by|company|provider|bill from
customer|bill to|billed to|sold to|invoice to|client|buyer|to|invoiced to|billing address|recipient
ship to|deliver to|shipping address|delivery address|delivered to|shipped to
tax id|vat id|vat number|vat registration number|tax number|vat|vat reg number|ust id|tin|ein
subtotal|sub total|net amount|net total|net|sum|amount before tax|total before tax|total net
    |zwischensumme|netto
tax amount|tax|vat|sales tax|vat amount|total tax|gst|total vat|mwst|ust|tax total
total|total due|amount due|grand total|total amount|total amount due|gross amount|balance due|total paid
    |amount payable|total to pay|to pay|invoice total|total gross|gross total|total sum|gesamtbetrag
    |brutto|total price
discount|rebate|rabatt
shipping|shipping cost|delivery|freight|postage
tip|gratuity
merchant name|merchant|store|shop|store name|shop name
purchase date|date of purchase|purchased on|transaction date|date
date|document date
time|transaction time
receipt number|receipt id|receipt|transaction number|transaction id|bon number|slip number
cashier|served by|your cashier
payment method|paid by|payment|payment type|method of payment|tender|paid with|pay method
payment terms|terms|terms of payment
description|item|product|article|details|service|item description|product name|goods|position text|name
    |particulars
quantity|units|pieces|count|pcs|menge|anzahl|quantity ordered
unit price|price|rate|each|price each|price per unit|unit cost|einzelpreis|price unit|cost
amount|line total|total|price|sum|total price|line amount|net amount|betrag|gesamt|extended price|value
price|amount|line total|total|sum|total price|unit price
position number|position|pos|item number|line|line number
sku|article number|product code|item code|part number|art
full name|name|applicant|applicant name|name applicant|name in full|your name|patient name|patient
first name|given name|forename|vorname
last name|surname|family name|nachname
date birth|birth date|born|birthdate|born on|geburtsdatum|birthday
email|email address|e mail|e mail address|contact email
phone number|phone|mobile|contact number|cell|cell phone|mobile number|mobile phone|daytime phone
fax|fax number
address|home address|postal address|street address|mailing address|residential address|anschrift
    |residence
policy number|policy id|policy|insurance number
account number|account|account id
customer number|customer id|client number|client id
marital status|civil status|family status
gender|sex
nationality|citizenship
smoker|smoking|do you smoke
newsletter|subscribe newsletter|email newsletter|subscribe to newsletter
employer|name employer|employer name|current employer|place work
position|job title|occupation|profession|role|title|job
annual income|yearly income|income|salary|annual salary|gross income
website|web site|homepage|url|web|web address|internet
iban|bank account
bic|swift|swift code
signature|signed|sign
department|division
notes|remarks|comments|comment
city|town
country
postal code|zip|zip code|postcode
street
state|province
page
register|till|terminal
"""


@lru_cache(maxsize=20_000)
def normal(label: str) -> str:
    """The one form of a label: `Invoice No.:`, `invoiceNumber` and `INVOICE #` are all `invoice number`;
    a percentage is no part of it."""
    words = _OTHER.sub(" ", _PERCENT.sub(" ", _CAMEL.sub(" ", label[:120])).replace("#", " # ")).casefold()
    words = words.replace("e mail", "email").replace("p o ", "po ")
    kept = (_SAME.get(word, word) for word in words.split())
    return " ".join(word for phrase in kept for word in phrase.split() if word not in _SMALL)


SYNONYMS: Final[tuple[tuple[str, ...], ...]] = tuple(
    tuple(dict.fromkeys(normal(phrase) for phrase in group.split("|")))
    for group in _GROUPS.strip().replace("\n    |", "|").splitlines()
)
KNOWN: Final = frozenset(phrase for group in SYNONYMS for phrase in group)
"""Labels that are printed on documents, whether or not a schema asks for them: no value is one of these."""
TOTALS: Final = frozenset(
    phrase
    for group in SYNONYMS
    if group[0] in ("subtotal", "tax amount", "total", "discount", "shipping", "tip")
    for phrase in group
)
AMOUNTS: Final = tuple(
    normal(phrase)
    for phrase in (
        *("amount", "line total", "total", "line amount", "total price", "net amount", "sum", "betrag"),
        *("gesamt", "extended price", "value", "price"),
    )
)
"""Heads of the column that holds the money of a row, the plainest first."""
COUNTS: Final = frozenset(phrase for group in SYNONYMS if group[0] == "quantity" for phrase in group)
PARTIES: Final = frozenset(
    phrase for group in SYNONYMS if group[0] in ("vendor", "customer", "ship to") for phrase in group
)
PEOPLE: Final = PARTIES | frozenset(
    phrase
    for group in SYNONYMS
    if group[0] in ("merchant name", "cashier", "full name", "first name", "last name", "employer")
    for phrase in group
)
"""Fields that hold a name, though they may not be called so."""
GENERIC: Final = frozenset(
    normal(phrase)
    for phrase in (
        *("date", "dated", "date of issue", "issue date", "issued", "issued on", "date issued"),
        *("from", "to", "name", "number", "id", "code", "reference", "address", "type", "title"),
        *("amount", "total", "price", "sum", "description"),
    )
)
"""Labels that stand on all kinds of documents: `Date` over a recipe is not the date of an invoice."""
_PARTICLES: Final = frozenset(
    (
        *("of", "the", "and", "for", "at", "by", "de", "la", "le", "van", "von", "der", "den", "und"),
        *("et", "y", "e", "du", "di", "da"),
    )
)
_FEWEST_OF_SENTENCE: Final = 3
_LONG_ENOUGH: Final = 4
TITLES: Final = frozenset(
    (
        *("invoice", "tax invoice", "pro forma invoice", "bill", "rechnung", "credit note", "statement"),
        *("receipt", "sales receipt", "quittung", "quote", "quotation", "purchase order", "order"),
        *("delivery note", "packing slip", "application", "form", "copy"),
    )
)
"""Headings of whole documents: nobody is called so."""


def same_as(phrase: str) -> tuple[str, ...]:
    """Other phrases for the same thing: from the group that it heads, else from those it is in."""
    headed = [group for group in SYNONYMS if group[0] == phrase]
    return tuple(other for group in headed or _containing(phrase) for other in group if other != phrase)


def _containing(phrase: str) -> list[tuple[str, ...]]:
    groups = [group for group in SYNONYMS if phrase in group]
    # In several groups it means several things: none of them is safe.
    return groups if len(groups) == 1 else []


def is_label(text: str) -> bool:
    """Whether these words are a label and so never a value."""
    return text.endswith(":") or normal(text) in KNOWN


def is_sentence(text: str) -> bool:
    """Whether these words are a sentence and so nobody's name: most are written small, or a full stop follows
    a word that is."""
    words = [word for word in text.split() if word[0].isalpha() and word not in _PARTICLES]
    if len(words) < _FEWEST_OF_SENTENCE:
        return False
    last = words[-1].rstrip(".!?")
    ends = text.endswith((".", "!", "?")) and last.islower() and len(last) >= _LONG_ENOUGH
    return ends or sum(word[0].islower() for word in words) * 2 > len(words)
