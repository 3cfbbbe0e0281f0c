"""Bars as SVG, by hand: one row a name, on a scale by tens, so that what is fifty times as fast still leaves
the others to be seen."""

import math
from collections.abc import Sequence
from html import escape

WIDTH = 760
LEFT = 230
RIGHT = 110
ROW = 30
BAR = 18


def bars(title: str, rows: Sequence[tuple[str, float, float, float]], unit: str) -> str:
    """`rows` are name, median, least, greatest. The thin line is from the least to the greatest."""
    low = 10 ** math.floor(math.log10(min(least for _, _, least, _ in rows)) - 0.01)
    high = 10 ** math.ceil(math.log10(max(most for _, _, _, most in rows)))
    height = 50 + ROW * len(rows) + 30

    def at(value: float) -> float:
        share = math.log10(value / low) / math.log10(high / low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    drawn = [_text(14, 24, title, size=15, weight="bold")]
    bottom = 40 + ROW * len(rows)
    mark = low
    while mark <= high:
        x = at(mark)
        drawn.append(f'<line x1="{x:.1f}" y1="40" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>')
        drawn.append(_text(x, bottom + 18, f"{mark:,.0f}", anchor="middle", color="#666"))
        mark *= 10
    for number, (name, value, least, most) in enumerate(rows):
        y = 46 + ROW * number
        color = "#1f6f54" if number == 0 else "#9aa5a0"
        drawn.append(_text(LEFT - 8, y + 13, name, anchor="end"))
        drawn.append(
            f'<rect x="{LEFT}" y="{y}" width="{at(value) - LEFT:.1f}" height="{BAR}" fill="{color}"/>'
        )
        middle = y + BAR / 2
        drawn.append(
            f'<line x1="{at(least):.1f}" y1="{middle}" x2="{at(most):.1f}" y2="{middle}" stroke="#222"/>'
        )
        drawn.append(_text(max(at(value), at(most)) + 6, y + 13, f"{value:,.0f} {unit}"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(drawn)}</svg>\n'
    )


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 12,
    anchor: str = "start",
    color: str = "#222",
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{color}"'
        f' font-weight="{weight}">{escape(words)}</text>'
    )
