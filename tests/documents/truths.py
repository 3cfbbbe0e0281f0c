"""What documents are about: people, firms, goods and sums, drawn by a seed; the schemas that ask for them."""

from datetime import date, timedelta
from random import Random
from typing import Any, Final

FIRST: Final = ("Amelia", "Jonas", "Priya", "Mateo", "Chloe", "Yusuf", "Ingrid", "Daniel", "Sofia", "Tomasz")
LAST: Final = ("Okafor", "Lindqvist", "Baker", "Moreau", "Tanaka", "Novak", "Hughes", "Romero", "Fischer")
FIRMS: Final = ("Harbour", "Blue Fern", "Quarry", "Meridian", "Copper Lane", "Alder", "Northgate", "Vantage")
TRADES: Final = ("Supplies", "Logistics", "Systems", "Printing", "Foods", "Instruments", "Textiles")
FORMS: Final = ("Ltd", "GmbH", "Inc.", "LLC", "B.V.", "AG")
STREETS: Final = ("Mill Road", "Station Street", "Elm Avenue", "Canal Walk", "Bakery Lane", "Victoria Street")
TOWNS: Final = (
    ("Leeds", "LS1 4AP"),
    ("Berlin", "10115"),
    ("Austin", "TX 78701"),
    ("Utrecht", "3511 AB"),
    ("Graz", "8010"),
)
GOODS: Final = (
    "Ball bearing 6204", "Copper pipe 15 mm", "Ink cartridge black", "Consulting, on site", "Oak shelf 90 cm",
    "Shipping box medium", "LED panel 40 W", "Cable tie set", "Paper A4 80 g", "Annual maintenance",
)  # fmt: skip
LONG_GOODS: Final = (
    "Stainless steel mounting bracket with four screws and rubber washers for outdoor use",
    "Extended support for the storage appliance including replacement on the next working day",
    "Hand made walnut table top, oiled, with rounded edges and a bevel on the lower side",
)
SHOP_GOODS: Final = (
    "Milk 1L", "Rye bread", "Coffee beans", "Bananas", "Olive oil", "Soap", "Yoghurt", "Batteries AA", "Tea",
)  # fmt: skip
SHOPS: Final = ("Corner Market", "Green Grocer", "City Pharmacy", "Daily Deli", "Book Nook", "Hill Hardware")


def text(description: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": ["string", "null"], **({"description": description} if description else {}), **more}


NUMBER: Final = {"type": ["number", "null"]}
INVOICE: Final[dict[str, Any]] = {
    "type": "object",
    "$defs": {
        "Item": {
            "type": "object",
            "properties": {
                "description": {"type": "string"},
                "quantity": NUMBER,
                "unit_price": NUMBER,
                "amount": {"type": ["number", "null"], "description": "Total of the line"},
            },
        },
        "Party": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "address": text("Postal address")},
        },
    },
    "properties": {
        "invoice_number": {"type": "string"},
        "invoice_date": {"type": "string", "format": "date"},
        "due_date": text("Payment due date", format="date"),
        "purchase_order": text("PO number of the customer"),
        "currency": {"anyOf": [{"type": "string", "enum": ["EUR", "USD", "GBP"]}, {"type": "null"}]},
        "vendor": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "email": text(format="email"),
                "phone": text(format="phone"),
                "tax_id": text("VAT registration number"),
            },
        },
        "customer": {"$ref": "#/$defs/Party"},
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
        "subtotal": NUMBER,
        "tax_amount": NUMBER,
        "total": {"type": "number", "description": "Total amount due"},
    },
    "required": ["invoice_number", "total"],
}
RECEIPT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "merchant_name": text("Name of the store"),
        "purchase_date": text("Date of purchase", format="date"),
        "receipt_number": text(),
        "cashier": text(),
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "description": text(),
                    "quantity": {"type": ["integer", "null"]},
                    "price": NUMBER,
                },
            },
        },
        "subtotal": NUMBER,
        "tax": NUMBER,
        "total": NUMBER,
        "payment_method": {"enum": ["cash", "credit card", "debit card", None]},
    },
}
FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "full_name": text("Name of the applicant"),
        "date_of_birth": text(format="date"),
        "email": text(format="email"),
        "phone_number": text(format="phone"),
        "address": text("Home address"),
        "policy_number": text(pattern="^[A-Z]{2}-[0-9]{6}$"),
        "marital_status": {"type": ["string", "null"], "enum": ["single", "married", "divorced", None]},
        "smoker": {"type": ["boolean", "null"]},
        "newsletter": {"type": ["boolean", "null"], "description": "Wants the newsletter"},
        "employer": {
            "type": ["object", "null"],
            "properties": {"name": text("Employer"), "position": text("Job title")},
        },
        "annual_income": NUMBER,
        "website": text(format="uri"),
    },
}


def person(random: Random) -> str:
    return f"{random.choice(FIRST)} {random.choice(LAST)}"


def firm(random: Random) -> str:
    return f"{random.choice(FIRMS)} {random.choice(TRADES)} {random.choice(FORMS)}"


def address(random: Random) -> list[str]:
    town, code = random.choice(TOWNS)
    return [f"{random.randint(1, 199)} {random.choice(STREETS)}", f"{code} {town}"]


def day(random: Random, start: int = 2022, years: int = 4) -> date:
    return date(start, 1, 1) + timedelta(days=random.randrange(365 * years))


def phone(random: Random) -> str:
    return f"+44 20 7946 0{random.randint(100, 999)}"


def invoice(random: Random, *, rows: tuple[int, int] = (2, 6), long: bool = False) -> dict[str, Any]:
    """The truth of an invoice; addresses are lists of lines until `finished` joins them."""
    made, vendor = day(random), firm(random)
    items: list[dict[str, Any]] = []
    for _ in range(random.randint(*rows)):
        quantity, price = random.randint(1, 24), round(random.uniform(1, 900), 2)
        name = random.choice(LONG_GOODS) if long and random.random() < 0.5 else random.choice(GOODS)
        amount = round(quantity * price, 2)
        items.append({"description": name, "quantity": quantity, "unit_price": price, "amount": amount})
    subtotal = round(sum(item["amount"] for item in items), 2)
    tax = round(subtotal * random.choice((0.07, 0.19, 0.2, 0.21)), 2)
    return {
        "invoice_number": f"{random.choice(('INV-', 'RE-', '', 'F'))}{random.randint(10000, 99999)}",
        "invoice_date": made.isoformat(),
        "due_date": (made + timedelta(days=random.choice((14, 30, 45)))).isoformat(),
        "purchase_order": f"PO-{random.randint(1000, 9999)}",
        "currency": random.choice(("EUR", "USD", "GBP")),
        "vendor": {
            "name": vendor,
            "email": f"billing@{vendor.split()[0].lower()}.example.com",
            "phone": phone(random),
            "tax_id": f"{random.choice(('DE', 'GB', 'NL'))}{random.randint(10**8, 10**9 - 1)}",
        },
        "customer": {"name": firm(random), "address": address(random)},
        "items": items,
        "subtotal": subtotal,
        "tax_amount": tax,
        "total": round(subtotal + tax, 2),
    }


def receipt(random: Random) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for name in random.sample(SHOP_GOODS, random.randint(2, 6)):
        quantity = random.choice((1, 1, 1, 2, 3))
        price = round(quantity * random.uniform(0.5, 30), 2)
        items.append({"description": name, "quantity": quantity, "price": price})
    subtotal = round(sum(item["price"] for item in items), 2)
    tax = round(subtotal * 0.08, 2)
    return {
        "merchant_name": random.choice(SHOPS),
        "purchase_date": day(random).isoformat(),
        "receipt_number": str(random.randint(100000, 999999)),
        "cashier": random.choice(FIRST),
        "items": items,
        "subtotal": subtotal,
        "tax": tax,
        "total": round(subtotal + tax, 2),
        "payment_method": random.choice(("cash", "credit card", "debit card")),
    }


def form(random: Random) -> dict[str, Any]:
    name = person(random)
    return {
        "full_name": name,
        "date_of_birth": day(random, 1950, 50).isoformat(),
        "email": f"{name.split()[0].lower()}@mail.example.org",
        "phone_number": phone(random),
        "address": address(random),
        "policy_number": f"{random.choice(('KL', 'AB', 'ZX'))}-{random.randint(100000, 999999)}",
        "marital_status": random.choice(("single", "married", "divorced")),
        "smoker": random.random() < 0.5,
        "newsletter": random.random() < 0.5,
        "employer": {
            "name": firm(random),
            "position": random.choice(("Engineer", "Nurse", "Baker", "Clerk")),
        },
        "annual_income": float(random.randint(18, 140) * 1000),
        "website": f"https://www.{name.split()[1].lower()}.example.net",
    }


def finished(truth: dict[str, Any]) -> dict[str, Any]:
    """The truth as data: an address is one text of several lines."""
    return {key: _joined(value) for key, value in truth.items()}


def _joined(value: Any) -> Any:
    if isinstance(value, dict):
        return finished(value)
    if isinstance(value, list) and value and isinstance(value[0], str):
        return "\n".join(value)
    return value
