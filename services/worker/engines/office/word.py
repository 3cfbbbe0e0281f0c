"""Word documents (docx): headings, paragraphs, lists, tables and links, in pages where it tells them.

Word leaves a mark where its last layout began a page. With such marks they are the pages; without, the breaks
that somebody set. Headers, footers, footnotes, comments, deleted text and pictures are not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from services.worker.engines.blocks import Cell, Entry, Heading, Paragraph, Table, escaped, link
from services.worker.engines.office.numbering import Numbering, whole
from services.worker.engines.office.package import Package, damaged
from services.worker.engines.office.pages import Sheets

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT: Final = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_ID: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_SIGNS: Final = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": ""}
_PASSED_OVER: Final = frozenset(("del", "moveFrom", "Fallback", "pPr", "rPr", "instrText", "sdtPr", "object"))
_BREAK: Final = "\f"
_MOST_SPAN: Final = 64


def read(package: Package, *, links: bool) -> Sheets:
    """The document in pages. Refuses one that is damaged."""
    part = package.main_part("word/document.xml")
    root = package.tree(part)
    if _name(root) != "document" or root.tag.startswith(_STRICT):
        raise damaged("it is none of the usual form of Word; save it anew as .docx")
    body = root.find(_W + "body")
    relations = package.relations(part)
    numbering = Numbering(package, dict(relations.values()), _W)
    addresses = {key: target for key, (kind, target) in relations.items() if kind == "hyperlink" and links}
    rendered = next(root.iter(_W + "lastRenderedPageBreak"), None) is not None
    walk = _Walk(Sheets("docx"), numbering, addresses, rendered=rendered)
    for child in () if body is None else body:
        walk.block(child)
    return walk.sheets


@dataclass(slots=True)
class _Walk:
    sheets: Sheets
    numbering: Numbering
    addresses: dict[str, str]
    rendered: bool

    def block(self, node: Any) -> None:
        name = _name(node)
        if name == "p":
            self.paragraph(node)
        elif name == "tbl":
            self.table(node)
        elif name not in _PASSED_OVER:
            for child in node:
                self.block(child)

    def paragraph(self, node: Any) -> None:
        style = self.numbering.paragraph(node)
        if style.breaks_before and not self.rendered:
            self.sheets.turn()
        pieces = "".join(self.inline(node, markdown=False)).split(_BREAK)
        marked = "".join(self.inline(node, markdown=True)).split(_BREAK)
        for number, (text, markdown) in enumerate(zip(pieces, marked, strict=True)):
            if number:
                self.sheets.turn()
            if not text.strip():
                continue
            if style.heading:
                self.sheets.add(Heading(style.heading, text.strip()))
            elif style.level is not None:
                self.sheets.add(Entry(style.level, style.ordered, text.strip(), markdown))
            else:
                self.sheets.add(Paragraph(text.strip("\n"), markdown.strip()))
        if style.ends_section and not self.rendered:
            self.sheets.turn()

    def inline(self, node: Any, *, markdown: bool) -> Iterator[str]:
        for child in node:
            name = _name(child)
            if name == "t":
                yield escaped(child.text or "") if markdown else child.text or ""
            elif name == "lastRenderedPageBreak":
                yield _BREAK if self.rendered else ""
            elif name == "br" and child.get(_W + "type") == "page":
                yield "" if self.rendered else _BREAK
            elif name in _SIGNS:
                yield _SIGNS[name]
            elif name == "hyperlink" and markdown and (url := self.addresses.get(child.get(_ID, ""))):
                text = "".join(self.inline(child, markdown=False))
                yield link(text.replace(_BREAK, ""), url) + _BREAK * text.count(_BREAK)
            elif name not in _PASSED_OVER:
                yield from self.inline(child, markdown=markdown)
                # Paragraphs within a paragraph: those of a text box.
                yield "\n" if name == "p" else ""

    def table(self, node: Any) -> None:
        rows: list[list[Cell]] = []
        turns = 0
        for row in _within(node, "tr"):
            cells: list[Cell] = []
            for cell in _within(row, "tc"):
                text = "".join(self.inline(cell, markdown=False))
                turns += text.count(_BREAK)
                cells += [text.replace(_BREAK, "").strip(), *[""] * (_span(cell) - 1)]
            self.sheets.count(cells)
            rows.append(cells)
        if any(any(row) for row in rows):
            self.sheets.add(Table(rows))
        # The table stays whole, on the page where it begins; the pages after it keep their numbers.
        for _ in range(turns):
            self.sheets.turn()


def _within(node: Any, wanted: str) -> Iterator[Any]:
    """Rows of a table or cells of a row, those in content controls and insertions too."""
    for child in node:
        name = _name(child)
        if name == wanted:
            yield child
        elif name not in _PASSED_OVER and name not in ("tbl", "p"):
            yield from _within(child, wanted)


def _span(cell: Any) -> int:
    found = cell.find(f"{_W}tcPr/{_W}gridSpan")
    told = whole(found.get(_W + "val")) if found is not None else None
    return min(max(told or 1, 1), _MOST_SPAN)


def _name(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]
