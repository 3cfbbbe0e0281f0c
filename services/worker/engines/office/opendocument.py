"""OpenDocument: texts (odt) in pages where the document tells them, spreadsheets (ods) one page for each
sheet that is shown, presentations (odp) one for each slide with its notes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from services.worker.engines.blocks import Cell, Entry, Heading, Paragraph, Table, escaped, link
from services.worker.engines.office.numbering import whole
from services.worker.engines.office.package import Package, damaged, protected
from services.worker.engines.office.pages import MOST_CELLS, Sheets, trimmed

_NAMESPACES: Final = {
    "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
    "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0",
    "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
    "draw": "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0",
    "style": "urn:oasis:names:tc:opendocument:xmlns:style:1.0",
    "fo": "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0",
    "presentation": "urn:oasis:names:tc:opendocument:xmlns:presentation:1.0",
    "xlink": "http://www.w3.org/1999/xlink",
}
_MANIFEST: Final = "META-INF/manifest.xml"
_ENCRYPTION: Final = "{urn:oasis:names:tc:opendocument:xmlns:manifest:1.0}encryption-data"
_PASSED_OVER: Final = ("note", "annotation", "tracked-changes", "forms", "sequence-decls", "ruby-text")
_NUMBERS: Final = frozenset(("float", "percentage", "currency"))
_BREAK: Final = "\f"
_MOST_BLANKS: Final = 1_000


def _q(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}"


def read(package: Package, *, links: bool) -> Sheets:
    """The document in pages. Refuses one that is damaged or needs a password."""
    if _MANIFEST in package and next(package.tree(_MANIFEST).iter(_ENCRYPTION), None) is not None:
        raise protected()
    root = package.tree("content.xml")
    body = root.find(_q("office:body"))
    if body is None or not len(body):
        raise damaged("it has no body")
    walk = _Walk(Sheets(package.kind), links=links)
    walk.learn(root)
    for child in body[0]:
        if package.kind == "ods":
            walk.sheet(child)
        elif package.kind == "odp":
            walk.slide(child)
        else:
            walk.block(child)
    if walk.hidden:
        walk.sheets.facts["hidden_sheets"] = walk.hidden
    return walk.sheets


@dataclass(slots=True)
class _Walk:
    sheets: Sheets
    links: bool
    ordered: dict[str, list[bool]] = field(default_factory=dict)
    breaking: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)
    hidden: list[str] = field(default_factory=list)

    def learn(self, root: Any) -> None:
        """What the document's own styles say of lists, breaks, and what is hidden."""
        for style in root.iter(_q("text:list-style")):
            kinds = [level.tag == _q("text:list-level-style-number") for level in style]
            self.ordered[style.get(_q("style:name"), "")] = kinds
        for style in root.iter(_q("style:style")):
            name = style.get(_q("style:name"), "")
            if any(part.get(_q("fo:break-before")) == "page" for part in style):
                self.breaking.add(name)
            if any(part.get(_q("table:display")) == "false" for part in style):
                self.unseen.add(name)

    def block(self, node: Any, *, turning: bool = True) -> None:
        """Headings, paragraphs, lists and tables, wherever they stand."""
        if node.tag in (_q("text:p"), _q("text:h")):
            self._paragraph(node, turning=turning)
        elif node.tag == _q("text:list"):
            self._list(node, 0, [])
        elif node.tag == _q("table:table"):
            self._table(node)
        elif node.tag == _q("text:soft-page-break"):
            self.sheets.turn()
        elif _local(node) not in _PASSED_OVER:
            for child in node:
                self.block(child, turning=turning)

    def _paragraph(self, node: Any, *, turning: bool) -> None:
        if turning and node.get(_q("text:style-name"), "") in self.breaking and self.sheets.pages:
            self.sheets.turn()
        texts = "".join(self._inline(node, markdown=False)).split(_BREAK)
        marked = "".join(self._inline(node, markdown=True)).split(_BREAK)
        for number, (text, markdown) in enumerate(zip(texts, marked, strict=True)):
            if number:
                self.sheets.turn()
            if not text.strip():
                continue
            if node.tag == _q("text:h"):
                level = whole(node.get(_q("text:outline-level"))) or 1
                self.sheets.add(Heading(level, text.strip()))
            else:
                self.sheets.add(Paragraph(text.strip("\n"), markdown.strip()))

    def _list(self, node: Any, level: int, kinds: list[bool]) -> None:
        kinds = self.ordered.get(node.get(_q("text:style-name"), ""), kinds)
        ordered = kinds[level] if level < len(kinds) else False
        for item in node:
            for child in item:
                if child.tag == _q("text:list"):
                    self._list(child, level + 1, kinds)
                elif text := "".join(self._inline(child, markdown=False)).replace(_BREAK, "").strip():
                    markdown = "".join(self._inline(child, markdown=True)).replace(_BREAK, "").strip()
                    self.sheets.add(Entry(level, ordered, text, markdown))

    def _inline(self, node: Any, *, markdown: bool) -> Iterator[str]:
        yield _words(node.text, markdown=markdown)
        for child in node:
            name = _local(child)
            if name == "s":
                yield " " * min(whole(child.get(_q("text:c"))) or 1, _MOST_BLANKS)
            elif name in ("tab", "line-break", "soft-page-break"):
                yield {"tab": "\t", "line-break": "\n"}.get(name, _BREAK)
            elif name == "a" and markdown and self.links:
                yield link("".join(self._inline(child, markdown=False)), child.get(_q("xlink:href"), ""))
            elif name not in _PASSED_OVER:
                yield from self._inline(child, markdown=markdown)
                yield "\n" if name in ("p", "h") else ""
            yield _words(child.tail, markdown=markdown)

    def _table(self, node: Any) -> None:
        rows: list[list[Cell]] = []
        for row in _rows(node):
            cells = self._row(row)
            # A spreadsheet fills the sheet to its end with one blank row that is repeated a million times.
            if cells:
                times = max(whole(row.get(_q("table:number-rows-repeated"))) or 1, 1)
                self.sheets.count(cells, times)
                rows += [cells] * times
        if rows:
            self.sheets.add(Table(rows))

    def _row(self, row: Any) -> list[Cell]:
        cells: list[Cell] = []
        blanks = 0
        for cell in row:
            if cell.tag not in (_q("table:table-cell"), _q("table:covered-table-cell")):
                continue
            times = max(whole(cell.get(_q("table:number-columns-repeated"))) or 1, 1)
            value = self._value(cell)
            if value in (None, ""):
                blanks += times
                continue
            self.sheets.count([], min(blanks + times, MOST_CELLS + 1))
            cells += [""] * blanks + [value] * times
            blanks = 0
        return trimmed(cells)

    def _value(self, cell: Any) -> Cell:
        kind = cell.get(_q("office:value-type"))
        if kind in _NUMBERS:
            return _number(cell.get(_q("office:value"), ""))
        if kind == "date":
            return str(cell.get(_q("office:date-value"), ""))
        lines = ("".join(self._inline(child, markdown=False)).replace(_BREAK, "") for child in cell)
        return "\n".join(lines).strip()

    def sheet(self, node: Any) -> None:
        """One sheet of a spreadsheet, as a page."""
        if node.tag != _q("table:table"):
            return
        name = node.get(_q("table:name"), "")
        if node.get(_q("table:style-name"), "") in self.unseen:
            self.hidden.append(name)
            return
        self.sheets.begin()
        self.sheets.add(Heading(1, name))
        self._table(node)

    def slide(self, node: Any) -> None:
        """One slide of a presentation, as a page."""
        if node.tag != _q("draw:page"):
            return
        self.sheets.begin()
        for frame in node:
            if frame.tag == _q("presentation:notes"):
                self._notes(frame)
            elif frame.get(_q("presentation:class")) == "title":
                if title := " ".join("".join(self._inline(frame, markdown=False)).split()):
                    self.sheets.add(Heading(1, title))
            else:
                self.block(frame, turning=False)

    def _notes(self, node: Any) -> None:
        if "".join(self._inline(node, markdown=False)).strip():
            self.sheets.add(Heading(2, "Notes"))
            self.block(node, turning=False)


def _rows(node: Any) -> Iterator[Any]:
    for child in node:
        if child.tag == _q("table:table-row"):
            yield child
        elif _local(child) in ("table-header-rows", "table-rows", "table-row-group"):
            yield from _rows(child)


def _number(told: str) -> Cell:
    try:
        value = float(told)
    except ValueError:
        return told
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  (JSON has no form for these)
        return told
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _words(text: str | None, *, markdown: bool) -> str:
    # Blanks and line ends of the XML are one blank each; those that count have elements of their own.
    words = (text or "").replace("\n", " ").replace("\t", " ")
    return escaped(words) if markdown else words


def _local(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]
