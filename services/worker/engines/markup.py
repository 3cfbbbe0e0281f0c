"""HTML as blocks: its headings, paragraphs, lists, tables and code. Styles and scripts are not looked at."""

from collections.abc import Iterator
from typing import Any, Final

from services.worker.engines.blocks import Block, Code, Entry, Heading, Paragraph, Table, escaped, link

UNSEEN: Final = ("script", "style", "template", "noscript", "head")
"""Elements whose text nobody reads."""
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_LISTS: Final = ("ul", "ol", "menu")
_OTHERS: Final = """
    address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer
    form header hr html li main nav p pre section summary table tbody td tfoot th thead tr
"""
_BLOCKS: Final = frozenset((*_HEADINGS, *_LISTS, *_OTHERS.split()))


def blocks_of(soup: Any) -> list[Block]:
    """The blocks of a tree of BeautifulSoup whose unseen elements are gone. Raises RecursionError for a tree
    nested some hundred deep."""
    return list(_blocks(soup, _around_blocks(soup)))


def _around_blocks(soup: Any) -> set[int]:
    """The blocks and all that hold one, by `id`. Each is asked for once on its way up: to look into each
    element of the tree for a block would be to walk the tree once for each of its levels."""
    found: set[int] = set()
    for node in soup.find_all(_BLOCKS):
        while node is not None and id(node) not in found:
            found.add(id(node))
            node = node.parent  # noqa: PLW2901  (up from each)
    return found


def _blocks(node: Any, around: set[int]) -> Iterator[Block]:
    loose: list[Any] = []
    for child in node.children:
        if id(child) not in around:
            loose.append(child)
            continue
        yield from _paragraph(loose)
        loose = []
        yield from _block(child, around)
    yield from _paragraph(loose)


def _block(node: Any, around: set[int]) -> Iterator[Block]:
    if node.name in _HEADINGS:
        if text := _text(node):
            yield Heading(_HEADINGS[node.name], text)
    elif node.name in _LISTS:
        yield from _entries(node, 0)
    elif node.name == "table" and node.find("table") is None:
        if (table := _table(node)).rows:
            yield table
    elif node.name == "pre":
        if (code := node.get_text()).strip():
            yield Code(code.strip("\n"))
    else:
        yield from _blocks(node, around)


def _paragraph(nodes: list[Any]) -> Iterator[Block]:
    text = _squeezed("".join(_plain(node) for node in nodes))
    if text:
        yield Paragraph(text, _squeezed("".join(_marked(node) for node in nodes)))


def _entries(node: Any, level: int) -> Iterator[Block]:
    for item in node.find_all("li", recursive=False):
        inner = [child for child in item.children if getattr(child, "name", None) not in _LISTS]
        text = _squeezed(" ".join(_plain(child) for child in inner))
        if text:
            yield Entry(level, node.name == "ol", text, _squeezed("".join(_marked(child) for child in inner)))
        for child in item.find_all(_LISTS, recursive=False):
            yield from _entries(child, level + 1)


def _table(node: Any) -> Table:
    rows = [
        [_text(cell) for cell in row.find_all(("td", "th"), recursive=False)] for row in node.find_all("tr")
    ]
    return Table([row for row in rows if row])


def _text(node: Any) -> str:
    return _squeezed(_plain(node))


def _plain(node: Any) -> str:
    return node.get_text() if getattr(node, "name", None) else _string(node)


def _marked(node: Any) -> str:
    if not getattr(node, "name", None):
        return escaped(_string(node))
    if node.name == "a" and node.get("href"):
        return link(_text(node), str(node["href"]))
    return "".join(_marked(child) for child in node.children)


def _string(node: Any) -> str:
    # Comments and the like are strings of a type of their own.
    return str(node) if type(node).__name__ == "NavigableString" else ""


def _squeezed(text: str) -> str:
    return " ".join(text.split())
