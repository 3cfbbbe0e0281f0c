"""What a document is made of, where its format says so: headings, paragraphs, lists and tables; and their
forms as text, as markdown and as page items (contract 2.5)."""

import csv
import html
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

Cell = str | int | float | None
Rows = Sequence[Sequence[Cell]]
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<])")
_STARTS_A_BLOCK: Final = re.compile(r"^([ \t]*)(#{1,6} |[-+>] |\d{1,9}[.)] )", re.MULTILINE)
_MOST_HEADING_LEVEL: Final = 6
_MOST_LIST_LEVEL: Final = 8


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the highest."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph. `markdown` is its text with links; `escaped` makes it where there are none."""

    text: str
    markdown: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list; level 0 is the outermost."""

    level: int
    ordered: bool
    text: str
    markdown: str


@dataclass(frozen=True, slots=True)
class Code:
    """Text whose blanks and line ends matter."""

    text: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table, its first row being its head. Rows need not be equally long."""

    rows: Rows


Block = Heading | Paragraph | Entry | Code | Table


def plain(text: str) -> Paragraph:
    """A paragraph without links."""
    return Paragraph(text, escaped(text))


def escaped(text: str) -> str:
    """Text as markdown that shows the same characters."""
    return _STARTS_A_BLOCK.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", text))


def link(text: str, url: str) -> str:
    """A link in markdown; only its text when the address is none that a reader should follow."""
    safe = url.startswith(("http://", "https://", "mailto:")) and not re.search(r"[\s<>()]", url)
    return f"[{escaped(text)}]({url})" if safe and text.strip() else escaped(text)


def text_of(blocks: Iterable[Block]) -> str:
    """The words, an empty line between two blocks, none between entries of a list; tabs between cells."""
    return _joined((_text(block), block) for block in blocks)


def markdown_of(blocks: Iterable[Block]) -> str:
    """The blocks as markdown."""
    return _joined((_markdown(block), block) for block in blocks)


def _joined(pieces: Iterable[tuple[str, Block]]) -> str:
    lines: list[str] = []
    before: Block | None = None
    for piece, block in pieces:
        if piece.strip():
            close = isinstance(block, Entry) and isinstance(before, Entry)
            lines.append(("" if before is None else "\n" if close else "\n\n") + piece)
            before = block
    return "".join(lines)


def items_of(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """The blocks as page items; entries that follow each other are one list."""
    items: list[dict[str, Any]] = []
    at = 0
    while at < len(blocks):
        block = blocks[at]
        end = at + 1
        if isinstance(block, Entry):
            while end < len(blocks) and isinstance(blocks[end], Entry):
                end += 1
            items += _lists([entry for entry in blocks[at:end] if isinstance(entry, Entry)])
        elif _text(block).strip():
            items.append(_item(block))
        at = end
    return items


def _text(block: Block) -> str:
    if isinstance(block, Table):
        return "\n".join("\t".join(_shown(cell) for cell in row) for row in block.rows)
    if isinstance(block, Entry):
        return "  " * min(block.level, _MOST_LIST_LEVEL) + "- " + block.text
    return block.text


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return "#" * _level(block) + " " + escaped(" ".join(block.text.split())) if block.text.strip() else ""
    if isinstance(block, Entry):
        indent = "   " * min(block.level, _MOST_LIST_LEVEL)
        mark = "1. " if block.ordered else "- "
        return indent + mark + block.markdown.strip().replace("\n", f"\n{indent}   ")
    if isinstance(block, Code):
        return fenced(block.text, block.language or "")
    if isinstance(block, Table):
        return table_markdown(block.rows)
    return block.markdown


def _level(heading: Heading) -> int:
    return min(max(heading.level, 1), _MOST_HEADING_LEVEL)


def _item(block: Block) -> dict[str, Any]:
    md = _markdown(block)
    if isinstance(block, Heading):
        return {"type": "heading", "md": md, "level": _level(block), "value": block.text.strip()}
    if isinstance(block, Code):
        return {"type": "code", "md": md, "value": block.text, "language": block.language}
    if isinstance(block, Table):
        rows = [list(row) for row in block.rows]
        return {"type": "table", "md": md, "rows": rows, "html": _table_html(rows), "csv": _table_csv(rows)}
    return {"type": "text", "md": md, "value": block.text.strip()}


def _lists(entries: list[Entry]) -> list[dict[str, Any]]:
    """Lists in lists: an entry opens a list of its level, and closes those below it."""
    found: list[dict[str, Any]] = []
    # Level and list of those that are open; the markdown of each is joined when all its lines are known.
    opened: list[tuple[int, dict[str, Any]]] = []
    made: list[tuple[dict[str, Any], list[str]]] = []
    lines: dict[int, list[str]] = {}
    for entry in entries:
        level = min(entry.level, _MOST_LIST_LEVEL)
        while opened and _ends(opened[-1], level, ordered=entry.ordered):
            opened.pop()
        if not opened or opened[-1][0] < level:
            one: dict[str, Any] = {"type": "list", "md": "", "items": [], "ordered": entry.ordered}
            (opened[-1][1]["items"] if opened else found).append(one)
            opened.append((level, one))
            made.append((one, lines.setdefault(id(one), [])))
        text = {"type": "text", "md": entry.markdown.strip(), "value": entry.text.strip()}
        opened[-1][1]["items"].append(text)
        for _, one in opened:
            lines[id(one)].append(_markdown(entry))
    for one, own in made:
        one["md"] = "\n".join(own)
    return found


def _ends(opened: tuple[int, dict[str, Any]], level: int, *, ordered: bool) -> bool:
    deep, one = opened
    return deep > level or (deep == level and one["ordered"] != ordered)


def table_markdown(rows: Rows) -> str:
    """A table of markdown."""
    return table_lines(rows, max(map(len, rows), default=0))


def table_lines(rows: Iterable[Sequence[Cell]], width: int) -> str:
    """A table of markdown, `width` being that of its widest row. Only the head is filled up to it: readers
    fill the others, and one wide row of a long table would make it a thousand times as large."""
    lines = [_line(row if number else [*row, *[""] * (width - len(row))]) for number, row in enumerate(rows)]
    lines[1:1] = ["|" + " --- |" * width] if lines else []
    return "\n".join(lines)


def _line(row: Sequence[Cell]) -> str:
    return "| " + " | ".join(map(_cell, row)) + " |"


def _cell(value: Cell) -> str:
    return _shown(value).strip().replace("\\", "\\\\").replace("|", "\\|").replace("\n", "<br>")


def _shown(cell: Cell) -> str:
    return "" if cell is None else str(cell)


def _table_html(rows: Rows) -> str:
    def line(row: Sequence[Cell], tag: str) -> str:
        cells = "".join(f"<{tag}>{html.escape(_shown(cell), quote=False)}</{tag}>" for cell in row)
        return f"<tr>{cells}</tr>"

    body = "".join(line(row, "td") for row in rows[1:])
    return f"<table><thead>{line(rows[0], 'th')}</thead><tbody>{body}</tbody></table>"


def _table_csv(rows: Rows) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().rstrip("\n")


def fenced(raw: str, language: str) -> str:
    """Text between fences that it does not hold itself."""
    fence = "```"
    while fence in raw:
        fence += "`"
    return f"{fence}{language}\n{raw.rstrip()}\n{fence}"
