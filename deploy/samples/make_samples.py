# ruff: noqa: INP001 - a script beside its documents, no package
"""Makes the sample documents in `documents/` beside this file: the same bytes every time.

    .venv/bin/python deploy/samples/make_samples.py [FOLDER]

Needs reportlab, pillow, python-docx and openpyxl (the `dev` extra). Every word and number in the documents is
invented here.
"""

import random
import sys
import zipfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import docx
from openpyxl import Workbook
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

PAGE_AT_150_DPI = (1240, 1754)
INK = 140  # darker than this is black
STYLES = getSampleStyleSheet()
NO_DATE = (1980, 1, 1, 0, 0, 0)
PROPERTIES = "docProps/core.xml"
ABOUT = b"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>Batchmill samples</dc:creator></cp:coreProperties>
"""

LETTER = """Harbour Pump Works
14 Quay Street, Northport

3 March 2026

Dear Ms Okafor,

thank you for returning the pump with the serial number
HP-2207-B. Our workshop found a worn shaft seal and a bent
impeller blade. Both parts were replaced under warranty.

The pump ran for six hours on the test stand at 1450 turns
a minute. Flow and pressure are inside the limits of the data
sheet. The measured values are on the back of this letter.

It leaves our house on 5 March with the order number 88413.

Yours sincerely,
T. Lindqvist, Service"""

RECEIPT = """CORNER STATIONERY
21 Mill Lane, Northport

Receipt 004417
12.02.2026   14:36

3 x Notebook A5         11.70
1 x Ink bottle blue      8.40
2 x Envelope C4          1.80

Sum                     21.90
Cash                    25.00
Change                   3.10

Thank you"""

HTML = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Weather station: setting up</title></head>
<body>
<h1>Setting up the weather station</h1>
<p>The station needs <strong>two AA cells</strong> and a place without direct sun.</p>
<h2>Steps</h2>
<ol>
  <li>Hold the button for five seconds until the lamp blinks.</li>
  <li>Join the network named <code>station-setup</code>.</li>
  <li>Enter the height of the place above the sea in metres.</li>
</ol>
<h2>Lamp</h2>
<table>
  <tr><th>Colour</th><th>Meaning</th></tr>
  <tr><td>green</td><td>measuring</td></tr>
  <tr><td>amber</td><td>cells are low</td></tr>
  <tr><td>red</td><td>no network for ten minutes</td></tr>
</table>
<p>Spare parts: see the <a href="https://example.com/parts">parts list</a>.</p>
</body>
</html>
"""

MARKDOWN = """# Release notes

## 2.3.0

- Readings are kept for 90 days instead of 30.
- The alarm limit may be set for each room.

## 2.2.1

- Fixed: a sensor without a name was left out of the weekly report.

| Version | Date       | Sensors supported |
| ------- | ---------- | ----------------- |
| 2.3.0   | 2026-02-20 | 64                |
| 2.2.1   | 2026-01-11 | 48                |
"""

NOTES = """Meeting of 9 February 2026

Present: Ada, Björn, Chidi

1. The second pump is late; the supplier now says week 9.
2. Björn measures the noise in room 3 again, with the door closed.
3. Budget: 1,250 are left for the spring. Chidi asks for two offers.

Next meeting: 23 February, 10:00
"""


def main(folder: Path) -> None:
    """Write all documents below `folder`."""
    (folder / "notes").mkdir(parents=True, exist_ok=True)
    (folder / "quarterly-report.pdf").write_bytes(report())
    (folder / "invoice-1042.pdf").write_bytes(invoice())
    (folder / "maintenance-plan.docx").write_bytes(plan())
    (folder / "spare-parts.xlsx").write_bytes(stock())
    (folder / "scanned-letter.pdf").write_bytes(scanned_pdf(LETTER))
    (folder / "receipt.png").write_bytes(png(scan(RECEIPT, (760, 900), size=30, seed=11)))
    (folder / "weather-station.html").write_text(HTML, encoding="utf-8")
    (folder / "release-notes.md").write_text(MARKDOWN, encoding="utf-8")
    (folder / "readings.csv").write_text(readings(), encoding="utf-8")
    (folder / "notes" / "meeting.txt").write_text(NOTES, encoding="utf-8")


def report() -> bytes:
    """Two pages with headings, paragraphs and a table."""
    rows = [
        ("Region", "Units", "Revenue", "Change"),
        ("North", "1,204", "482,300", "+4.1 %"),
        ("East", "986", "391,750", "-1.8 %"),
        ("South", "1,530", "604,900", "+7.9 %"),
        ("West", "742", "288,400", "+0.6 %"),
        ("Total", "4,462", "1,767,350", "+3.6 %"),
    ]
    story: list[Flowable] = [
        Paragraph("Quarterly report", STYLES["Title"]),
        Paragraph("First quarter 2026, pumps and valves", STYLES["Italic"]),
        Spacer(1, 8 * mm),
        Paragraph("Summary", STYLES["Heading2"]),
        Paragraph(
            "Sales rose by 3.6 per cent against the same quarter of last year. The south grew most, after "
            "the new depot in Port Averell opened in January. The east lost a large customer.",
            STYLES["BodyText"],
        ),
        Spacer(1, 6 * mm),
        Paragraph("Sales by region", STYLES["Heading2"]),
        grid(rows),
        PageBreak(),
        Paragraph("Outlook", STYLES["Heading2"]),
        Paragraph(
            "Orders on hand reach to the end of July. We expect the price of castings to stay level and plan "
            "to hire four people for the workshop in Northport.",
            STYLES["BodyText"],
        ),
        Spacer(1, 4 * mm),
        Paragraph("Risks", STYLES["Heading2"]),
        Paragraph("One supplier of seals delivers late; a second one is being tested.", STYLES["BodyText"]),
    ]
    return pdf(story, "Quarterly report")


def invoice() -> bytes:
    """One page of labelled fields and lines, as extraction likes to be tried on."""
    story: list[Flowable] = [
        Paragraph("Invoice", STYLES["Title"]),
        Paragraph("Harbour Pump Works, 14 Quay Street, Northport", STYLES["BodyText"]),
        Spacer(1, 6 * mm),
        Paragraph("Invoice number: 1042", STYLES["BodyText"]),
        Paragraph("Invoice date: 2026-03-05", STYLES["BodyText"]),
        Paragraph("Due date: 2026-04-04", STYLES["BodyText"]),
        Paragraph("Customer: Okafor Water Services", STYLES["BodyText"]),
        Spacer(1, 6 * mm),
        grid(
            [
                ("Item", "Quantity", "Price", "Amount"),
                ("Shaft seal HP-22", "4", "18.50", "74.00"),
                ("Impeller 120 mm", "1", "139.00", "139.00"),
                ("Test run, hours", "6", "45.00", "270.00"),
            ]
        ),
        Spacer(1, 6 * mm),
        Paragraph("Net amount: 483.00", STYLES["BodyText"]),
        Paragraph("Tax 20 %: 96.60", STYLES["BodyText"]),
        Paragraph("Total: 579.60 EUR", STYLES["BodyText"]),
    ]
    return pdf(story, "Invoice 1042")


def plan() -> bytes:
    """A Word document with headings, lists, a table and a page break."""
    document = docx.Document()
    document.add_heading("Maintenance plan", 1)
    document.add_paragraph("Pumps of the series HP-22 are looked after twice a year, by two people.")
    document.add_heading("Before the season", 2)
    for step in ("Close the inlet valve.", "Drain the housing.", "Look at the shaft seal for wear."):
        document.add_paragraph(step, style="List Number")
    document.add_heading("Intervals", 2)
    table = document.add_table(rows=0, cols=2)
    for words in (("Component", "Interval"), ("Shaft seal", "24 months"), ("Bearing grease", "6 months")):
        for cell, text in zip(table.add_row().cells, words, strict=True):
            cell.text = text
    document.add_page_break()
    document.add_heading("After the season", 2)
    for step in ("Rinse with clear water.", "Store it dry and above freezing."):
        document.add_paragraph(step, style="List Bullet")
    return settled(document.save)


def stock() -> bytes:
    """A workbook of two sheets: one page each."""
    book = Workbook()
    parts = book.active
    parts.title = "Parts"
    for row in (
        ("Part", "Fits", "Shelf", "In stock"),
        ("HP-22-017 shaft seal", "HP-22", "A3", 14),
        ("HP-22-120 impeller", "HP-22", "B1", 3),
        ("HP-30-044 gasket set", "HP-30", "A5", 27),
    ):
        parts.append(row)
    makers = book.create_sheet("Makers")
    makers.append(("Maker", "Town", "Weeks to deliver"))
    makers.append(("Averell Castings", "Port Averell", 6))
    makers.append(("Mill Lane Seals", "Northport", 2.5))
    return settled(book.save)


def readings() -> str:
    """Two days of invented hourly values."""
    dice = random.Random(3)  # noqa: S311
    lines = ["time,room,temperature_c,humidity_percent"]
    for hour in range(48):
        when = f"2026-02-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z"
        lines.append(f"{when},room-{1 + hour % 3},{19 + dice.random() * 4:.1f},{38 + dice.random() * 15:.0f}")
    return "\n".join(lines) + "\n"


def grid(rows: Sequence[Sequence[str]]) -> Table:
    """A ruled table whose first row is its head."""
    style = TableStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
            ("BACKGROUND", (0, 0), (-1, 0), colors.lightgrey),
            ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
        ]
    )
    return Table([list(row) for row in rows], colWidths=[60 * mm, 30 * mm, 35 * mm, 30 * mm], style=style)


def pdf(story: list[Flowable], title: str) -> bytes:
    """`invariant` leaves the date and the random file id out of the PDF."""
    out = BytesIO()
    SimpleDocTemplate(out, pagesize=A4, title=title, author="Batchmill samples", invariant=1).build(story)
    return out.getvalue()


def settled(save: Callable[[BytesIO], object]) -> bytes:
    """The archive without the hour at which it was made."""
    made, out = BytesIO(), BytesIO()
    save(made)
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(old.namelist()):
            part = ABOUT if name == PROPERTIES else old.read(name)
            new.writestr(zipfile.ZipInfo(name, NO_DATE), part, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def scanned_pdf(text: str) -> bytes:
    """One page that is a picture: there is no text layer to read."""
    out = BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    picture = BytesIO(png(scan(text, PAGE_AT_150_DPI, size=34, seed=7)))
    canvas.drawImage(ImageReader(picture), 0, 0, *A4)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def scan(text: str, size_px: tuple[int, int], *, size: int, seed: int) -> Image.Image:
    """Text as a slightly turned, speckled black-and-white picture."""
    page = Image.new("L", size_px, 255)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(page).multiline_text((90, 110), text, fill=0, font=font, spacing=18)
    page = page.rotate(0.2, fillcolor=255, resample=Image.Resampling.BICUBIC)
    dice = random.Random(seed)  # noqa: S311
    for _ in range(size_px[0] * size_px[1] // 8_000):
        page.putpixel((dice.randrange(size_px[0]), dice.randrange(size_px[1])), 90)
    return page.point(lambda grey: 255 if grey > INK else 0).convert("1")


def png(picture: Image.Image) -> bytes:
    """The picture as an optimised PNG of 150 dots an inch."""
    out = BytesIO()
    picture.save(out, "PNG", optimize=True, dpi=(150, 150))
    return out.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "documents")
