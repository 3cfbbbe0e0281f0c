"""What the styles and numberings of a Word document make of a paragraph: heading, entry, break."""

import re
from dataclasses import dataclass
from typing import Any, Final

from services.worker.engines.office.package import Package

_NAMED_HEADING: Final = re.compile(r"heading ([1-9])", re.IGNORECASE)
_NESTED_LIST: Final = re.compile(r"list (?:bullet|number) ([2-5])")
_MOST_ANCESTORS: Final = 12
_MOST_DIGITS: Final = 7
_OFF: Final = frozenset(("0", "false", "off"))


@dataclass(frozen=True, slots=True)
class Style:
    """What a paragraph is. `heading` 0: none; `level` None: no entry of a list."""

    heading: int = 0
    level: int | None = None
    ordered: bool = False
    breaks_before: bool = False
    ends_section: bool = False


class Numbering:
    """Reads `styles.xml` and `numbering.xml` once, and tells of each paragraph what it is."""

    def __init__(self, package: Package, parts: dict[str, str], namespace: str) -> None:
        self._w = namespace
        self._styles: dict[str, Any] = {}
        self._ordered: dict[tuple[str, int], bool] = {}
        self._known: dict[str, tuple[int, str | None, int, bool]] = {}
        if (name := parts.get("styles", "")) in package:
            for style in package.tree(name).iter(namespace + "style"):
                self._styles[style.get(namespace + "styleId", "")] = style
        if (name := parts.get("numbering", "")) in package:
            self._read_numbering(package.tree(name))

    def _read_numbering(self, root: Any) -> None:
        w = self._w
        levels: dict[str, list[tuple[int, bool]]] = {}
        for abstract in root.iter(w + "abstractNum"):
            levels[abstract.get(w + "abstractNumId", "")] = [
                (whole(level.get(w + "ilvl")) or 0, self._value(level, "numFmt") not in ("bullet", "none"))
                for level in abstract.iter(w + "lvl")
            ]
        for number in root.iter(w + "num"):
            for level, ordered in levels.get(self._value(number, "abstractNumId") or "", []):
                self._ordered[number.get(w + "numId", ""), level] = ordered

    def paragraph(self, node: Any) -> Style:
        """What this paragraph is."""
        properties = node.find(self._w + "pPr")
        if properties is None:
            return Style()
        heading, number, level, breaks = self._named(self._value(properties, "pStyle") or "")
        own_heading, own_number, own_level, own_breaks = self._direct(properties)
        number, level = (own_number, own_level) if own_number is not None else (number, own_level or level)
        section = properties.find(self._w + "sectPr")
        listed = number not in (None, "0") and not (heading or own_heading)
        return Style(
            heading=own_heading or heading,
            level=level if listed else None,
            ordered=self._ordered.get((number or "", level), False),
            breaks_before=breaks if own_breaks is None else own_breaks,
            ends_section=section is not None and self._value(section, "type") in (None, "nextPage"),
        )

    def _named(self, name: str) -> tuple[int, str | None, int, bool]:
        if name not in self._known:
            self._known[name] = self._resolved(name)
        return self._known[name]

    def _resolved(self, name: str) -> tuple[int, str | None, int, bool]:
        """Heading, numbering, level and break of a style: its own, else of what it is based on."""
        heading, number, level, breaks = 0, None, 0, None
        for _ in range(_MOST_ANCESTORS):
            style = self._styles.get(name)
            if style is None:
                break
            title = (self._value(style, "name") or "").lower()
            match = _NAMED_HEADING.fullmatch(title)
            heading = heading or (int(match[1]) if match else 1 if title == "title" else 0)
            properties = style.find(self._w + "pPr")
            if properties is not None:
                more, found, deep, breaking = self._direct(properties)
                heading = heading or more
                if number is None and found is not None:
                    named = _NESTED_LIST.fullmatch(title)
                    number, level = found, int(named[1]) - 1 if named else deep
                breaks = breaking if breaks is None else breaks
            name = self._value(style, "basedOn") or ""
        return heading, number, level, bool(breaks)

    def _direct(self, properties: Any) -> tuple[int, str | None, int, bool | None]:
        outline = whole(self._value(properties, "outlineLvl"))
        numbered = properties.find(self._w + "numPr")
        number = None if numbered is None else self._value(numbered, "numId")
        level = 0 if numbered is None else whole(self._value(numbered, "ilvl")) or 0
        found = properties.find(self._w + "pageBreakBefore")
        breaks = None if found is None else found.get(self._w + "val") not in _OFF
        # Level 9 is the body of the text.
        return (outline + 1 if outline is not None and outline < 9 else 0), number, level, breaks  # noqa: PLR2004

    def _value(self, node: Any, name: str) -> str | None:
        child = node.find(self._w + name)
        return None if child is None else child.get(self._w + "val")


def whole(value: str | None) -> int | None:
    """A small whole number as XML has it; None for anything else."""
    good = value is not None and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS
    return int(value) if value is not None and good else None
