"""The items of a page (contract 2.5): what structure a document has, as plain JSON.

They come out of an untrusted document by way of a process that may have been taken over: each is checked
when a result is read.
"""

from typing import Any, Final

_TEXTS: Final = {
    "text": ("md", "value"),
    "heading": ("md", "value"),
    "code": ("md", "value"),
    "list": ("md",),
    "table": ("md", "html", "csv"),
    "link": ("md", "url", "text"),
}
_MOST_DEPTH: Final = 32


def are_items(raw: Any, *, depth: int = 0) -> bool:
    """Whether this is a list of items of the kinds known here, each with all that clients rely on."""
    return isinstance(raw, list) and depth < _MOST_DEPTH and all(_is_item(item, depth) for item in raw)


def _is_item(item: Any, depth: int) -> bool:
    if not isinstance(item, dict) or not isinstance(kind := item.get("type"), str) or kind not in _TEXTS:
        return False
    if not all(isinstance(item.get(key), str) for key in _TEXTS[kind]):
        return False
    if kind == "heading":
        return isinstance(item.get("level"), int)
    if kind == "code":
        return isinstance(item.get("language"), str | None)
    if kind == "list":
        return isinstance(item.get("ordered"), bool) and are_items(item.get("items"), depth=depth + 1)
    return kind != "table" or _are_rows(item.get("rows"))


def _are_rows(rows: Any) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, list) and all(cell is None or isinstance(cell, str | int | float) for cell in row)
        for row in rows
    )
