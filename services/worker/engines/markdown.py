"""Markdown as blocks: its headings, lists, tables, code and paragraphs, line by line.

Only what stands at the start of a line is looked at. What a paragraph holds inside is kept as it was written.
"""

import re
from collections.abc import Iterator
from typing import Final

from services.worker.engines.blocks import Block, Code, Entry, Heading, Paragraph, Table

_HEADING: Final = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)")
_ENTRY: Final = re.compile(r"([ \t]*)([-*+]|\d{1,9}[.)])[ \t]+(\S.*)")
_FENCE: Final = re.compile(r" {0,3}(`{3,}+|~{3,}+)[ \t]*+([\w+.-]*+)[^`]*+")
_RULER: Final = re.compile(r"[ \t|:-]+")
_CELL_END: Final = re.compile(r"(?<!\\)\|")
_LINK: Final = re.compile(r"!?\[([^\[\]]{0,1000})\]\([^()\s]{0,2000}\)")
_INDENT: Final = 2


def outline(raw: str) -> list[Block]:
    """The blocks of a text of Markdown, in order."""
    return list(_blocks(raw.split("\n")))


def _blocks(lines: list[str]) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        end = _end_of_block(lines, at)
        if lines[at].strip():
            yield _block(lines[at:end])
        at = end


def _end_of_block(lines: list[str], at: int) -> int:
    """Where the block ends that begins here."""
    end = at + 1
    if fence := _FENCE.fullmatch(lines[at]):
        while end < len(lines) and not _closes(lines[end], fence[1]):
            end += 1
        return min(end + 1, len(lines))
    if not lines[at].strip() or _HEADING.fullmatch(lines[at]):
        return end
    if _is_table(lines, at):
        while end < len(lines) and "|" in lines[end]:
            end += 1
        return end
    while end < len(lines) and lines[end].strip() and not _begins(lines, end):
        end += 1
    return end


def _closes(line: str, fence: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(fence) and bare == fence[0] * len(bare)


def _begins(lines: list[str], at: int) -> bool:
    line = lines[at]
    return bool(
        _HEADING.fullmatch(line) or _ENTRY.fullmatch(line) or _FENCE.fullmatch(line) or _is_table(lines, at)
    )


def _is_table(lines: list[str], at: int) -> bool:
    return (
        "|" in lines[at]
        and at + 1 < len(lines)
        and "|" in lines[at + 1]
        and "-" in lines[at + 1]
        and bool(_RULER.fullmatch(lines[at + 1]))
    )


def _block(lines: list[str]) -> Block:
    if fence := _FENCE.fullmatch(lines[0]):
        closed = len(lines) > 1 and _closes(lines[-1], fence[1])
        return Code("\n".join(lines[1 : -1 if closed else None]), fence[2] or None)
    if heading := _HEADING.fullmatch(lines[0]):
        return Heading(len(heading[1]), _plain(heading[2].rstrip(" #\t")))
    if _is_table(lines, 0):
        return Table([_cells(line) for number, line in enumerate(lines) if number != 1])
    written = "\n".join(lines).strip()
    if entry := _ENTRY.fullmatch(lines[0]):
        level = len(entry[1].expandtabs(4)) // _INDENT
        marked = "\n".join([entry[3], *(line.strip() for line in lines[1:])])
        return Entry(level, entry[2][0].isdigit(), _plain(marked), marked)
    return Paragraph(_plain(written), written)


def _cells(line: str) -> list[str]:
    bare = line.strip().removeprefix("|")
    if _CELL_END.search(bare[-2:]) and bare.endswith("|"):
        bare = bare[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _CELL_END.split(bare)]


def _plain(written: str) -> str:
    return _LINK.sub(r"\1", written)
