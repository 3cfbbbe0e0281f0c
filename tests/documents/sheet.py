"""A page to draw on, in points from the top left, and the ways in which figures and dates are written."""

import io
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any, Final

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas

MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
SYMBOLS: Final = {"EUR": "€", "USD": "$", "GBP": "£"}


class Sheet:
    """A PDF in the making."""

    def __init__(self, size: tuple[float, float] = A4, *, font: str = "Helvetica", points: float = 9) -> None:
        self._out = io.BytesIO()
        # invariant: the same seed gives the same bytes on any day.
        self._canvas = canvas.Canvas(self._out, pagesize=size, invariant=True)
        self.width, self.height = size
        self.font, self.points = font, points

    def text(self, x: float, y: float, words: str, *, points: float = 0, bold: bool = False) -> None:
        self._use(points, bold=bold)
        self._canvas.drawString(x, self.height - y, words)

    def right(self, x: float, y: float, words: str, *, points: float = 0, bold: bool = False) -> None:
        self._use(points, bold=bold)
        self._canvas.drawRightString(x, self.height - y, words)

    def middle(self, y: float, words: str, *, points: float = 0, bold: bool = False) -> None:
        self._use(points, bold=bold)
        self._canvas.drawCentredString(self.width / 2, self.height - y, words)

    def lines(self, x: float, y: float, many: list[str], *, step: float = 12) -> float:
        for line in many:
            self.text(x, y, line)
            y += step
        return y

    def rule(self, x: float, y: float, to: float) -> None:
        self._canvas.line(x, self.height - y, to, self.height - y)

    def box(self, x: float, y: float, width: float, height: float) -> None:
        self._canvas.rect(x, self.height - y - height, width, height)

    def next_page(self) -> None:
        self._canvas.showPage()

    def done(self) -> bytes:
        self._canvas.showPage()
        self._canvas.save()
        return self._out.getvalue()

    def _use(self, points: float, *, bold: bool) -> None:
        self._canvas.setFont(f"{self.font}-Bold" if bold else self.font, points or self.points)


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF, the schema it was made for, and what a perfect reader takes out of it."""

    content: bytes
    schema: dict[str, Any]
    truth: dict[str, Any]


@dataclass
class Pen:
    """How one document writes dates and figures."""

    random: Random
    european: bool = False
    symbol: str = ""
    dates: str = "iso"
    lead: bool = field(default=False)

    def amount(self, value: float) -> str:
        plain = f"{value:,.2f}"
        if self.european:
            plain = plain.replace(",", "_").replace(".", ",").replace("_", ".")
            return f"{plain} {self.symbol}".strip()
        return f"{self.symbol}{plain}"

    def day(self, iso: str) -> str:
        day = date.fromisoformat(iso)
        month = MONTHS[day.month - 1]
        return {
            "iso": iso,
            "dotted": f"{day.day:02d}.{day.month:02d}.{day.year}",
            "british": f"{day.day} {month} {day.year}",
            "american": f"{month} {day.day}, {day.year}",
            "short": f"{day.day:02d}-{month[:3]}-{day.year}",
            "slashed_us": f"{day.month:02d}/{day.day:02d}/{day.year}",
            "slashed_eu": f"{day.day:02d}/{day.month:02d}/{day.year}",
        }[self.dates]


def wrapped(words: str, width: int) -> list[str]:
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
