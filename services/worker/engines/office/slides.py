"""PowerPoint presentations (pptx): one page for each slide that is shown, and its notes below it.

Pictures, charts, animations, headers and footers are not read. A hidden slide is left out, and counted in
`hidden_slides`.
"""

from typing import Any, Final

from services.worker.engines.blocks import Entry, Heading, Paragraph, Table, escaped, link, plain
from services.worker.engines.office.package import Package
from services.worker.engines.office.pages import Sheets

_A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P: Final = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_ID: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_EMU_PER_POINT: Final = 12_700
_TITLES: Final = frozenset(("title", "ctrTitle"))
_FURNITURE: Final = frozenset(("dt", "ftr", "hdr", "sldNum", "sldImg"))
_BODIES: Final = frozenset(("body", "obj", ""))


def read(package: Package, *, links: bool) -> Sheets:
    """The slides in their order. Refuses what is damaged."""
    sheets = Sheets("pptx")
    main = package.main_part("ppt/presentation.xml")
    root = package.tree(main)
    relations = package.relations(main)
    width, height = _size(root)
    hidden = 0
    for entry in root.iter(_P + "sldId"):
        part = relations.get(entry.get(_ID, ""), ("", ""))[1]
        slide = package.tree(part)
        if slide.get("show") in ("0", "false"):
            hidden += 1
            continue
        sheets.begin(width, height)
        around = package.relations(part)
        addresses = {key: target for key, (kind, target) in around.items() if kind == "hyperlink" and links}
        _Slide(sheets, addresses).shapes(slide)
        for kind, target in around.values():
            if kind == "notesSlide":
                _notes(package.tree(target), sheets)
    if hidden:
        sheets.facts["hidden_slides"] = hidden
    return sheets


def _size(root: Any) -> tuple[float | None, float | None]:
    size = root.find(_P + "sldSz")
    told = [None, None] if size is None else [size.get("cx", ""), size.get("cy", "")]
    width, height = (
        int(one) / _EMU_PER_POINT if one and one.isascii() and one.isdigit() and len(one) < 12 else None  # noqa: PLR2004
        for one in told
    )
    return width, height


class _Slide:
    def __init__(self, sheets: Sheets, addresses: dict[str, str]) -> None:
        self._sheets = sheets
        self._addresses = addresses

    def shapes(self, node: Any) -> None:
        """Every shape of a slide or a group, in the order of the file."""
        for child in node:
            if child.tag == _P + "sp":
                self._shape(child)
            elif child.tag == _P + "graphicFrame":
                for table in child.iter(_A + "tbl"):
                    self._table(table)
            elif child.tag in (_P + "grpSp", _P + "cSld", _P + "spTree"):
                self.shapes(child)

    def _shape(self, shape: Any) -> None:
        placeholder = next(shape.iter(_P + "ph"), None)
        role = None if placeholder is None else placeholder.get("type", "")
        if role in _FURNITURE:
            return
        if role in _TITLES:
            if title := " ".join(" ".join(_lines(shape)).split()):
                self._sheets.add(Heading(1, title))
            return
        for paragraph in shape.iter(_A + "p"):
            text = _text(paragraph)
            if not text.strip():
                continue
            properties = paragraph.find(_A + "pPr")
            listed = (
                role in _BODIES if properties is None or not _bullet(properties) else _bullet(properties) > 0
            )
            if listed:
                level = "0" if properties is None else properties.get("lvl", "0")
                ordered = properties is not None and properties.find(_A + "buAutoNum") is not None
                deep = int(level) if level in tuple("012345678") else 0
                self._sheets.add(Entry(deep, ordered, text.strip(), self._marked(paragraph)))
            else:
                self._sheets.add(Paragraph(text.strip(), self._marked(paragraph)))

    def _marked(self, paragraph: Any) -> str:
        pieces = []
        for run in paragraph:
            address = run.find(f"{_A}rPr/{_A}hlinkClick")
            url = None if address is None else self._addresses.get(address.get(_ID, ""))
            pieces.append(link(_run(run), url) if url else escaped(_run(run)))
        return "".join(pieces).strip()

    def _table(self, table: Any) -> None:
        rows = []
        for row in table.iter(_A + "tr"):
            cells = ["\n".join(_lines(cell)).strip() for cell in row.iter(_A + "tc")]
            self._sheets.count([*cells])
            rows.append(cells)
        if any(any(row) for row in rows):
            self._sheets.add(Table(rows))


def _bullet(properties: Any) -> int:
    """1: the paragraph has a bullet or number of its own; -1: it says it has none; 0: it says nothing."""
    if properties.find(_A + "buNone") is not None:
        return -1
    return 1 if any(properties.find(_A + name) is not None for name in ("buChar", "buAutoNum")) else 0


def _notes(notes: Any, sheets: Sheets) -> None:
    lines: list[str] = []
    for shape in notes.iter(_P + "sp"):
        placeholder = next(shape.iter(_P + "ph"), None)
        if placeholder is not None and placeholder.get("type") == "body":
            lines += [line for line in _lines(shape) if line.strip()]
    if lines:
        sheets.add(Heading(2, "Notes"))
        for line in lines:
            sheets.add(plain(line))


def _lines(node: Any) -> list[str]:
    return [_text(paragraph) for paragraph in node.iter(_A + "p")]


def _text(paragraph: Any) -> str:
    return "".join(_run(run) for run in paragraph)


def _run(run: Any) -> str:
    if run.tag == _A + "br":
        return "\n"
    return "".join(text.text or "" for text in run.iter(_A + "t"))
