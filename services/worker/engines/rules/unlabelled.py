"""What may be taken without a label: there is but one of its kind, or its place tells. Confidence is low."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from services.worker.engines.rules.amounts import CODE, SYMBOLS, currency_of, read_amount
from services.worker.engines.rules.contacts import find_email, find_phone, find_uri
from services.worker.engines.rules.dates import find_date
from services.worker.engines.rules.fill import Found
from services.worker.engines.rules.layout import Cell, Grid
from services.worker.engines.rules.phrasebook import Phrasebook
from services.worker.engines.rules.schema import Leaf
from services.worker.engines.rules.values import Habits, is_valid
from services.worker.engines.rules.words import TITLES, normal

_SURE: Final = 0.6
_BY_PLACE: Final = 0.5
_MOST_CELLS: Final = 5_000
_TOP: Final = 3
_MOST_WORDS: Final = 5
_SELLERS: Final = frozenset(("vendor", "seller", "supplier", "merchant", "store", "shop", "issuer"))
_FEWEST_LABELLED: Final = 2
_MOST_WORDS_OF_STREET: Final = 8
_OWN_DATE: Final = frozenset(
    ("date", "purchase", "transaction", "document", "receipt", "invoice", "order", "issue")
)
_ONLY: Final = ("email", "phone", "uri", "date")


def add_unlabelled(
    given: dict[tuple[str, ...], Found],
    pages: Sequence[Grid],
    leaves: Sequence[Leaf],
    book: Phrasebook,
    habits: Habits,
) -> None:
    """Adds to `given`: the one e-mail, telephone number, web address or date of a document whose schema asks
    for one of the kind; the currency that all amounts are in; the firm at the top of the first page. Only
    where labels gave two values before: a letter is not about the schema because it has a date."""
    if len(given) < _FEWEST_LABELLED:
        return
    for kind in _ONLY:
        asked = [leaf for leaf in leaves if leaf.kind == kind]
        if len(asked) == 1 and asked[0].path not in given and _may_stand_alone(asked[0]):
            _add(given, asked[0], _only(pages, _finder(kind, habits)))
    for leaf in leaves:
        if leaf.path in given:
            continue
        if leaf.kind in ("choice", "text") and "currency" in leaf.words:
            _add(given, leaf, _currency(pages, given, leaves))
        if leaf.kind == "text" and _is_seller(leaf) and pages:
            _add(given, leaf, _letterhead(pages[0], book))


def _may_stand_alone(leaf: Leaf) -> bool:
    """A date without a label is the document's own, never somebody's birthday."""
    return leaf.kind != "date" or set(leaf.words) <= _OWN_DATE


def _add(given: dict[tuple[str, ...], Found], leaf: Leaf, found: Found | None) -> None:
    if found is not None and is_valid(leaf, found.value):
        given[leaf.path] = found


def _finder(kind: str, habits: Habits) -> Callable[[str], str | None]:
    def find_day(text: str) -> str | None:
        found = find_date(text, habits.order)
        return found[0] if found is not None and found[1] == 1.0 else None

    return {"email": find_email, "phone": find_phone, "uri": find_uri, "date": find_day}[kind]


def _cells(pages: Sequence[Grid]) -> list[tuple[Grid, Cell]]:
    found: list[tuple[Grid, Cell]] = []
    for grid in pages:
        for cell in grid.cells:
            found.append((grid, cell))
            if len(found) >= _MOST_CELLS:
                return found
    return found


def _only(pages: Sequence[Grid], find: Callable[[str], str | None]) -> Found | None:
    values: dict[str, Found] = {}
    for grid, cell in _cells(pages):
        value = find(cell.text)
        if value is not None and value not in values:
            values[value] = Found(value, _SURE, grid.trust, ((grid.page, cell.text),))
            if len(values) > 1:
                return None
    return next(iter(values.values()), None)


def _currency(
    pages: Sequence[Grid], given: Mapping[tuple[str, ...], Found], leaves: Sequence[Leaf]
) -> Found | None:
    """The one that all amounts are in: those that were given, and the cells that are nothing but one."""
    codes: dict[str, Found] = {}
    for leaf in leaves:
        found = given.get(leaf.path)
        for page, text in found.sources if found is not None and leaf.kind == "number" else ():
            code = currency_of(text)
            if found is not None and code is not None:
                codes.setdefault(code, Found(code, _SURE, found.trust, ((page, text),)))
    for grid, cell in _cells(pages):
        if not (
            any(sign in SYMBOLS for sign in cell.text) or CODE.search(cell.text[-5:] + " " + cell.text[:5])
        ):
            continue
        code = currency_of(cell.text)
        if code is not None and code not in codes and read_amount(cell.text, "") is not None:
            codes[code] = Found(code, _SURE, grid.trust, ((grid.page, cell.text),))
    return next(iter(codes.values())) if len(codes) == 1 else None


def _is_seller(leaf: Leaf) -> bool:
    words = set(leaf.words)
    if len(leaf.path) > 1 and words == {"name"}:
        words = set(normal(leaf.path[-2]).split())
    return bool(words & _SELLERS) and words <= _SELLERS | {"name"}


def _letterhead(grid: Grid, book: Phrasebook) -> Found | None:
    """The first line that is no title and no label, when what stands under it looks like an address."""
    lines = [line for line in grid.lines[:40] if line]
    for at, line in enumerate(lines[:_TOP]):
        text = line[0].text
        words = normal(text)
        if words in TITLES or not words:
            continue
        plain = (
            len(text.split()) <= _MOST_WORDS
            and not book.is_label(text)
            and not any(sign.isdigit() or sign in ":@" for sign in text)
            and not text.endswith((",", "!", "?"))
        )
        under = lines[at + 1][0].text if at + 1 < len(lines) else ""
        if plain and _looks_like_address(under):
            return Found(text, _BY_PLACE, grid.trust, ((grid.page, text),))
        return None
    return None


def _looks_like_address(text: str) -> bool:
    figures = any(sign.isdigit() for sign in text)
    letters = sum(sign.isalpha() for sign in text)
    short = len(text.split()) <= _MOST_WORDS_OF_STREET
    return figures and letters >= _TOP and ":" not in text and short
