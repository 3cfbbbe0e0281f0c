"""Three layouts of a filled-in form."""

from random import Random

from tests.documents import truths
from tests.documents.sheet import Document, Pen, Sheet


def column(random: Random) -> Document:
    """Label: value, one below the other; check boxes in words; no web site."""
    truth = truths.form(random) | {"website": None}
    pen = Pen(random, dates=random.choice(("iso", "british", "american")))
    sheet = Sheet(points=10)
    sheet.text(50, 60, "Application for Membership", points=16, bold=True)
    sheet.text(50, 78, "Please complete all sections in block letters.")
    facts = [
        (random.choice(("Full name", "Name of applicant", "Name")), truth["full_name"]),
        (random.choice(("Date of birth", "Birth date")), pen.day(truth["date_of_birth"])),
        (random.choice(("E-mail", "Email address")), truth["email"]),
        (random.choice(("Phone", "Telephone", "Phone number")), truth["phone_number"]),
        ("Address", ", ".join(truth["address"])),
        (random.choice(("Policy number", "Policy no.")), truth["policy_number"]),
        ("Marital status", truth["marital_status"].capitalize()),
        ("Smoker", "Yes" if truth["smoker"] else "No"),
        ("Newsletter", "yes" if truth["newsletter"] else "no"),
        ("Employer", truth["employer"]["name"]),
        (random.choice(("Position", "Job title")), truth["employer"]["position"]),
        ("Annual income", f"{truth['annual_income']:,.2f}"),
    ]
    for place, (label, value) in enumerate(facts):
        sheet.text(50, 110 + place * 20, f"{label}:")
        sheet.text(200, 110 + place * 20, value)
    truth["address"] = [", ".join(truth["address"])]
    return Document(sheet.done(), truths.FORM, truths.finished(truth))


def grid(random: Random) -> Document:
    """Boxes in two columns with a small label above each value; some boxes are empty; check boxes."""
    truth = truths.form(random) | {"annual_income": None, "marital_status": None}
    pen = Pen(random, dates=random.choice(("iso", "short")))
    sheet = Sheet()
    sheet.text(50, 50, "PERSONAL DATA SHEET", points=15, bold=True)
    cells = [
        [("Full name", truth["full_name"]), ("Date of birth", pen.day(truth["date_of_birth"]))],
        [("Email", truth["email"]), ("Phone", truth["phone_number"])],
        [("Policy number", truth["policy_number"]), ("Marital status", "")],
        [("Employer", truth["employer"]["name"]), ("Job title", truth["employer"]["position"])],
        [("Annual income", ""), ("Website", truth["website"])],
    ]
    for row, pair in enumerate(cells):
        for place, (label, value) in enumerate(pair):
            x, y = 50 + place * 250, 80 + row * 40
            sheet.box(x, y, 250, 40)
            sheet.text(x + 4, y + 11, label, points=8)
            sheet.text(x + 4, y + 29, value, points=10)
    sheet.text(54, 295, "Address", points=8)
    sheet.lines(54, 309, truth["address"])
    sheet.text(50, 360, f"[{'x' if truth['smoker'] else ' '}] Smoker")
    sheet.text(50, 376, f"[{'X' if truth['newsletter'] else ' '}] I want the newsletter")
    return Document(sheet.done(), truths.FORM, truths.finished(truth))


def sections(random: Random) -> Document:
    """Numbered sections, two label-value pairs on a line, slashed dates, no policy number."""
    truth = truths.form(random) | {"policy_number": None}
    pen = Pen(random, european=True, dates="dotted")
    sheet = Sheet()
    sheet.middle(50, "Employee Record", points=16, bold=True)
    sheet.text(50, 85, "1. Personal details", bold=True)
    _pair(sheet, 103, ("Name:", truth["full_name"]), ("Born:", pen.day(truth["date_of_birth"])))
    _pair(sheet, 118, ("Phone:", truth["phone_number"]), ("E-mail:", truth["email"]))
    chosen = truth["marital_status"]
    marks = "  ".join(
        f"[{'x' if word == chosen else ' '}] {word}" for word in ("single", "married", "divorced")
    )
    sheet.text(50, 133, f"Marital status:  {marks}")
    sheet.text(50, 148, "Address:")
    sheet.lines(130, 148, truth["address"])
    sheet.text(50, 190, "2. Employment", bold=True)
    _pair(sheet, 208, ("Employer:", truth["employer"]["name"]), ("Position:", truth["employer"]["position"]))
    sheet.text(50, 223, "Annual income:")
    sheet.text(130, 223, f"{pen.amount(truth['annual_income'])} EUR")
    sheet.text(50, 250, "3. Other", bold=True)
    _pair(
        sheet,
        268,
        ("Smoker:", random.choice(("Y", "yes")) if truth["smoker"] else "no"),
        ("Newsletter:", "Yes" if truth["newsletter"] else "No"),
    )
    sheet.text(50, 283, "Website:")
    sheet.text(130, 283, truth["website"])
    sheet.text(50, 340, "Signature: ____________________     Date: ____________")
    return Document(sheet.done(), truths.FORM, truths.finished(truth))


LAYOUTS = {"column": column, "grid": grid, "sections": sections}


def _pair(sheet: Sheet, y: float, left: tuple[str, str], right: tuple[str, str]) -> None:
    sheet.text(50, y, left[0])
    sheet.text(130, y, left[1])
    sheet.text(320, y, right[0])
    sheet.text(390, y, right[1])
